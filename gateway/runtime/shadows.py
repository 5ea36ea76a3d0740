"""The shadows of one gateway, wired: their keeper over the store, the desk, and what makes devices follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from gateway.audit import Audit
from gateway.clock import Clock
from gateway.commands import Commands
from gateway.errors import DeviceUnavailable, RequestRefused
from gateway.health import Health
from gateway.latest import LatestValues
from gateway.model import DeviceState, Tag, Value, WriteResult
from gateway.runtime.channels import Channels
from gateway.settings.types import ShadowSettings
from gateway.shadows import rows
from gateway.shadows.answers import RIDS
from gateway.shadows.desk import ACKED, Desk
from gateway.shadows.feed import Feed
from gateway.shadows.keeper import Keeper
from gateway.shadows.reporting import Reporter
from gateway.shadows.wishes import WISHED, Wishes
from gateway.shadows.writing import WriteThrough
from gateway.store import Store
from gateway.tags import TagTable

READ_TIMEOUT_S = 30.0
_NOT_ASKED = 501


class Shadows(Struct, frozen=True):
    """`desk` for whoever asks, `writes` to be run as a unit."""

    desk: Desk
    writes: WriteThrough


class _Wires:
    """gateway.shadows.writing.Wires over the running channels."""

    def __init__(self, channels: Channels, commands: Commands, latest: LatestValues) -> None:
        self._channels = channels
        self._commands = commands
        self._latest = latest

    def state(self, device: str) -> DeviceState | None:
        runner = self._channels.target(device)
        return None if runner is None else runner.states().get(device)

    async def read(self, tags: Sequence[Tag]) -> list[tuple[Tag, Value, int, int | None]]:
        runner = self._channels.target(tags[0].device)
        if runner is None:
            raise DeviceUnavailable("the channel is not running")
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                return await runner.read(tags)
        except RequestRefused as error:
            if error.code != _NOT_ASKED:
                raise
            current = [self._latest.current(tag) for tag in tags]  # a driver that pushes: what it said last
            return [(row.tag, row.value, int(row.quality), row.ts) for row in current]

    async def write(
        self, values: Mapping[str, Value], *, origin: str, via: str, deadline_s: float
    ) -> list[WriteResult]:
        return await self._commands.write(values, origin=origin, via=via, deadline_s=deadline_s)


def make_shadows(
    *,
    store: Store,
    tags: TagTable,
    latest: LatestValues,
    channels: Channels,
    commands: Commands,
    clock: Clock,
    health: Health,
    audit: Audit,
    settings: Callable[[], ShadowSettings],
    online: Callable[[], bool],
) -> Shadows:
    """Of an open store: what was desired before the start is desired still."""
    epoch = store.state.epoch
    keeper = Keeper(store, store.table(rows.TABLE).items(), epoch, Feed())
    reporter = Reporter(keeper, latest, tags.device, clock, health, epoch=epoch, max_bytes=lambda: settings().max_bytes)
    desk = Desk(
        keeper,
        reporter,
        store,
        tags,
        clock,
        audit,
        settings=settings,
        allows=commands.allows,
        online=online,
        rids=store.table(RIDS).items(),
        acked=store.table(ACKED).items(),
    )
    wishes = Wishes(keeper, tags, clock, store.table(WISHED).items(), lambda: settings().max_bytes)
    writes = WriteThrough(keeper, reporter, tags, _Wires(channels, commands, latest), clock, wishes)
    writes.on_end(desk.ended)
    return Shadows(desk, writes)
