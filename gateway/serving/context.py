"""What the kernel does for one server: its view of the tags, the hand-over of changes, its writes, its state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from gateway.clock import Clock
from gateway.driver import Memory
from gateway.errors import WriteRejected
from gateway.health import Health
from gateway.latest import LatestValues
from gateway.model import Batch, Quality, WriteResult, WriteState
from gateway.outcome import ContainedTaskGroup, EndedUnasked, causes
from gateway.serving.contract import Client, Mapped, Offer, Server, ServerSpec, Shown
from gateway.tags import TagTable

VIA = "plant"
"""How commands, `write.allow` and the audit log call writes of HMIs and PLCs."""
DEADLINE_S = 10.0
REFRESH_S = 5.0
"""All offered tags are looked at so often whatever was told: a channel that was stopped sends no last batch."""

_NOTHING = Shown(None, Quality.BAD_COMM, None)


class CommandDoor(Protocol):
    """gateway.commands.Commands as a server needs it."""

    async def write(
        self, values: Mapping[str, object], *, origin: str, via: str, deadline_s: float
    ) -> list[WriteResult]: ...


class Changes:
    """Places with news. Bounded by the number of offers: a tag that changes again while nobody looks is there once."""

    def __init__(self, size: int) -> None:
        self._news: set[int] = set(range(size))
        self._size = size
        self._ready = asyncio.Event()
        self._ready.set()

    def add(self, places: Iterable[int]) -> None:
        self._news.update(places)
        if self._news:
            self._ready.set()

    async def take(self) -> list[int]:
        """Wait for news, at most until all are due to be looked at again."""
        try:
            async with asyncio.timeout(REFRESH_S):
                await self._ready.wait()
        except TimeoutError:
            return list(range(self._size))
        self._ready.clear()
        news, self._news = self._news, set()
        return sorted(news)


class ServerRunner:
    """One server of the configuration; `run` is one attempt."""

    def __init__(
        self,
        name: str,
        spec: ServerSpec,
        offers: tuple[Offer, ...],
        *,
        listen: tuple[str, int],
        settings: Any,
        gateway: str,
        base: Path,
        folder: Path,
        tags: TagTable,
        latest: LatestValues,
        runs: Callable[[str], bool],
        commands: CommandDoor,
        memory: Memory,
        clock: Clock,
        health: Health,
    ) -> None:
        """`runs(device)`: whether the device's channel runs; the tags of one that does not are bad/comm."""
        self.name = name
        self.spec = spec
        self.offers = offers
        self.unit = f"server:{spec.name}[{name}]"
        self.host, self.port = listen
        self.settings = settings
        self.gateway = gateway
        self.base = base
        self.folder = folder
        self.tags = tags
        self.latest = latest
        self.runs = runs
        self.commands = commands
        self.memory = memory
        self.clock = clock
        self.health = health
        self.log = logging.LoggerAdapter(logging.getLogger("fieldpost.server"), {"unit": self.unit})
        self.up = False
        self._version = -1
        self._by_slot: dict[int, int] = {}
        self._server: Server | None = None
        self._changes: Changes | None = None

    async def run(self) -> None:
        """One attempt with a fresh server. Ends with an exception only."""
        # Importing a library may take half a second, in which no device would be asked.
        server = await asyncio.to_thread(self.spec.create)
        self._server, self._changes = server, Changes(len(self.offers))
        try:
            async with ContainedTaskGroup(self.unit) as group:
                await server.run(Context(self, self._changes, group))
                raise EndedUnasked("the server's run returned")
        except BaseExceptionGroup as errors:
            self._tell_port(errors)
            raise
        finally:
            self.up = False
            self._server = self._changes = None

    def on_batch(self, batch: Batch) -> None:
        """Bus subscriber: which of the offers have news."""
        if self._changes is None:
            return
        places = self.places()
        self._changes.add([places[slot] for slot in batch.slots if slot in places])

    def places(self) -> dict[int, int]:
        """Slot to place, made anew when the table of tags has changed."""
        if self._version != self.tags.version:
            self._version = self.tags.version
            found = ((self.tags.get(offer.device, offer.path), i) for i, offer in enumerate(self.offers))
            self._by_slot = {tag.slot: i for tag, i in found if tag is not None}
        return self._by_slot

    def shown(self, place: int) -> Shown:
        """What a place shows now."""
        offer = self.offers[place]
        tag = self.tags.get(offer.device, offer.path)
        if tag is None:
            return _NOTHING
        current = self.latest.current(tag)
        if not self.runs(offer.device):
            return Shown(None, Quality.BAD_COMM, current.ts)
        return Shown(current.value, current.quality, current.ts)

    def listening(self) -> None:
        self.up = True
        self.health.clear("server_port", self.name)
        self.log.info("listening on %s:%d, %d tags", self.host, self.port, len(self.offers))

    def status(self) -> dict[str, Any]:
        """For `status`."""
        server = self._server
        clients: Sequence[Client] = server.clients() if server is not None and self.up else ()
        return {
            "kind": self.spec.name,
            "state": "listening" if self.up else "down",
            "listen": f"{self.host}:{self.port}",
            "tags": len(self.offers),
            "writable": sum(offer.writable for offer in self.offers),
            "clients": [{"who": client.who, "since": client.since} for client in clients],
        }

    def map(self) -> list[Mapping[str, Any]] | None:
        """The places of its tags; None while it does not run, or where it has none."""
        server = self._server
        return list(server.map()) if self.up and isinstance(server, Mapped) else None

    def _tell_port(self, errors: BaseException) -> None:
        error = next((each for each in causes(errors) if isinstance(each, OSError)), None)
        if error is not None and not self.up:
            text = f"{self.host}:{self.port} cannot be served: {error}"
            self.health.set("server_port", self.name, text, "see who has the port (ss -ltnp), or set `listen`")


class Context:
    """The gateway.serving.contract.ServerContext of one attempt."""

    def __init__(self, runner: ServerRunner, changes: Changes, group: asyncio.TaskGroup) -> None:
        self._runner = runner
        self._changes = changes
        self.name = runner.name
        self.gateway = runner.gateway
        self.host = runner.host
        self.port = runner.port
        self.settings = runner.settings
        self.offers = runner.offers
        self.base = runner.base
        self.folder = runner.folder
        self.clock = runner.clock
        self.log = runner.log
        self.memory = runner.memory
        self.task_group = group
        self.current = runner.shown
        self.changed = changes.take
        self.listening = runner.listening

    async def write(self, values: Mapping[int, object], who: str) -> list[WriteResult]:
        offers = [self.offers[place] for place in values]
        if not all(offer.writable for offer in offers):
            return [_refusal(offer) for offer in offers]
        wanted = {offer.name: value for offer, value in zip(offers, values.values(), strict=True)}
        try:
            results = await self._runner.commands.write(wanted, origin=who, via=VIA, deadline_s=DEADLINE_S)
        except WriteRejected as error:
            return [WriteResult(o.device, o.path, WriteState.REJECTED, error.code, text=str(error)) for o in offers]
        by_name = {(result.device, result.tag): result for result in results}
        return [by_name[offer.device, offer.path] for offer in offers]

    def issue(self, key: str, text: str, repair: str = "") -> None:
        self._runner.health.set(key, self.name, text, repair)

    def clear(self, key: str) -> None:
        self._runner.health.clear(key, self.name)


def _refusal(offer: Offer) -> WriteResult:
    text = f"{offer.name} is read-only here" if not offer.writable else "not tried: another item was refused"
    return WriteResult(offer.device, offer.path, WriteState.REJECTED, 403 if not offer.writable else 400, text=text)
