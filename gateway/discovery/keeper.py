"""Keeps what was seen and is not configured, matches it with the watch rules, and brings in what is approved.

`sighted` is called by drivers, as often as a beacon speaks: it looks one row up. Everything that takes time (a changed
configuration) is done by `run` or by who approves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gateway.abilities import Sighting
from gateway.clock import Clock
from gateway.discovery.proposing import Proposal, Refused, propose, suggested
from gateway.discovery.row import APPROVED, KNOWN, PENDING, REJECTED, SEEN, Row, usable
from gateway.discovery.table import Table, shown
from gateway.driver import Memory
from gateway.errors import ConfigError, GatewayError
from gateway.health import Health
from gateway.model import ChannelSpec
from gateway.settings.provisioned import Provisioned
from gateway.settings.types import GatewaySettings
from gateway.watching import WatchSpec

GATHER_S = 2.0
"""Devices that come in by themselves wait so long for others: one restart of the channel for all of them."""
RETRY_S = 30.0
EVENTS_PER_MINUTE = 20
_SHOWN = 5

_log = logging.getLogger("fieldpost.discovery")


class Provisions(Protocol):
    """The applier."""

    def provisioned(self) -> Provisioned: ...

    async def provision(
        self, change: Callable[[Provisioned], Provisioned], *, note: str, who: str
    ) -> dict[str, Any]: ...


class Discovery:
    """`settings` are those that run; `library` gives the profiles (name -> as written) that come with a driver; `emit`
    puts an event into the journal; `record` audits a device (id, row) that came in although nobody was asked.
    """

    provisions: Provisions

    def __init__(
        self,
        memory: Memory,
        clock: Clock,
        health: Health,
        *,
        emit: Callable[[dict[str, Any]], None],
        settings: Callable[[], GatewaySettings],
        library: Callable[[str, str], Mapping[str, Any]],
        record: Callable[[str, str], None] = lambda _device, _row: None,
    ) -> None:
        self._clock = clock
        self._health = health
        self._emit = emit
        self._settings = settings
        self._library = library
        self._record = record
        self._table = Table(memory)
        self._ruled_by: GatewaySettings | None = None
        self._wake = asyncio.Event()
        self._judging_all = False
        self._told: list[float] = []
        self._left_out = 0

    # What drivers say

    def sighted(self, channel: str, sighting: Sighting) -> None:
        """A driver saw a device that it is not to read. Synchronous and cheap."""
        if not usable(sighting):
            return
        self._follow()
        now = self._clock.wall_ms()
        row = self._table.get(f"{channel}/{sighting.identity}")
        if row is None:
            row = Row(channel, sighting.identity, first=now)
            row.take(sighting)
            row.last, row.count = now, 1
            if self._table.add(row, wanted=self._rule(row) is not None):
                self._judge(row)
            return
        row.last, row.count = now, row.count + 1
        self._table.touched(row)
        if row.take(sighting):  # it says something else of itself than before
            self._judge(row)

    def _follow(self) -> None:
        """The configuration changed: other rules, other devices."""
        settings = self._settings()
        if settings is self._ruled_by:
            return
        self._ruled_by = settings
        self._judging_all = True
        for row in self._table.rows():
            row.why = ""
            self._judge(row)
        self._judging_all = False
        if any(self._comes_in(row) for row in self._table.rows()):  # what was held back may come in now
            self._wake.set()
        self._show()

    def _judge(self, row: Row) -> None:
        """Find the state of a row anew; tell what has become pending."""
        before = row.state, row.watch
        channel = self._channel(row.channel)
        known = row.is_of(channel) if channel is not None else ""
        there = row.device if row.device and self._has(channel, row.device) else known
        rule = self._rule(row)
        row.watch = rule.name if rule is not None else ""
        if row.state == APPROVED and not there:
            row.state = PENDING  # it was taken out again, by a rollback or by hand
        if there and row.state != APPROVED:
            came_in = (row.channel, there) in self._settings().accepted or (
                row.state == PENDING and row.device == there
            )
            row.state, row.device = APPROVED if came_in else KNOWN, there
        elif not there and row.state in (SEEN, PENDING, KNOWN):
            row.device = row.device if row.state == PENDING else ""
            row.state = PENDING if rule is not None else SEEN
        if (row.state, row.watch) == before:
            return
        self._table.keep(row)
        if row.state == PENDING and before[0] != PENDING:
            self._tell(row, "pending")
        if row.state == PENDING and self._comes_in(row):
            self._wake.set()
        self._show()

    def _rule(self, row: Row) -> WatchSpec | None:
        matched = row.matched()
        rules = (rule for rule in self._settings().watch if rule.channel == row.channel)
        return next((rule for rule in rules if rule.fits(matched)), None)

    def _rule_of(self, row: Row) -> WatchSpec | None:
        return next(
            (rule for rule in self._settings().watch if (rule.channel, rule.name) == (row.channel, row.watch)), None
        )

    def _comes_in(self, row: Row) -> bool:
        """Whether nobody is asked about a row. What came in once and was taken out again is somebody's decision."""
        rule = self._rule_of(row)
        return rule is not None and rule.auto and row.state == PENDING and not row.device and not row.why

    def _channel(self, name: str) -> ChannelSpec | None:
        return next((spec for spec in self._settings().channels if spec.id == name), None)

    @staticmethod
    def _has(channel: ChannelSpec | None, device: str) -> bool:
        return channel is not None and any(each.id == device for each in channel.devices)

    def _taken(self) -> set[str]:
        return {device.id for spec in self._settings().channels for device in spec.devices}

    # What people do

    def rows(self) -> list[dict[str, Any]]:
        """All rows, those that wait first, then the last seen; `suggested`: the id that a device would get."""
        self._follow()
        order = {PENDING: 0, APPROVED: 1, SEEN: 2, REJECTED: 3, KNOWN: 4}
        found = sorted(self._table.rows(), key=lambda row: (order[row.state], -row.last, row.id))
        names = self._names()
        return [shown(row, **({"suggested": names[row.id]} if row.state in (PENDING, SEEN) else {})) for row in found]

    @property
    def left_out(self) -> int:
        """How often something was seen that found no place among the rows."""
        return self._table.dropped

    def _names(self) -> dict[str, str]:
        taken = self._taken()
        return {
            row.id: row.device if row.state in (APPROVED, KNOWN) else suggested(row, self._rule_of(row), taken)
            for row in self._table.rows()
        }

    def find(self, words: str) -> Row:
        """The row that somebody means. Raises Refused (404, 409)."""
        self._follow()
        found = self._table.find(words, self._names())
        if not found:
            raise Refused(f"nothing was discovered that is called {words}", 404)
        if len(found) > 1:
            raise Refused(f"{words} may be {', '.join(row.id for row in found[:_SHOWN])}: name one of them", 409)
        return found[0]

    async def approve(self, words: str, *, name: str = "", profile: str = "", who: str) -> dict[str, Any]:
        """Make a device of it, in the running gateway and over restarts. Raises Refused, Busy: nothing changed."""
        row = self.find(words)
        if row.state in (APPROVED, KNOWN):
            raise Refused(f"{row.id} is the device {row.device} already", 409)
        proposal = self._proposal(row, self._taken(), None, name, profile)
        answer = await self._bring([(row, proposal)], who)
        return {"id": row.id, "device": proposal.device, "channel": proposal.channel, **answer}

    def reject(self, words: str) -> Row:
        """It is not asked about any more. Raises Refused."""
        row = self.find(words)
        if row.state in (APPROVED, KNOWN):
            raise Refused(f"{row.id} is the device {row.device}: forget it, or remove it from the configuration", 409)
        row.state = REJECTED
        self._table.keep(row)
        self._show()
        return row

    async def forget(self, words: str, *, who: str) -> dict[str, Any]:
        """As if it had never been seen; a device that came in this way goes. Raises Refused, Busy."""
        row = self.find(words)
        answer: dict[str, Any] = {"id": row.id}
        if row.state == APPROVED and self.provisions.provisioned().devices().get(row.device) == row.channel:
            channel, device = row.channel, row.device
            note = f"discovered: without {device}"
            try:
                done = await self.provisions.provision(lambda all_: all_.without(channel, device), note=note, who=who)
            except ConfigError as error:
                raise Refused(f"{device} cannot go: {_explained(error)}") from error
            answer |= {"device": device, "lines": done["lines"], "generation": done["generation"]}
        self._table.remove(row)
        self._show()
        return answer

    def brought_in(self) -> Provisioned:
        """The devices that no file of the configuration folder holds."""
        return self.provisions.provisioned()

    # How they come in

    def _proposal(
        self, row: Row, taken: set[str], coming: Mapping[str, int] | None, name: str = "", profile: str = ""
    ) -> Proposal:
        """Raises Refused. `coming`: how many come in by each rule at the same time; None for somebody's decision, which
        the rule's limit does not bind.
        """
        if self._channel(row.channel) is None:
            raise Refused(f"there is no channel {row.channel} any more", 409)
        rule = self._rule_of(row)
        if rule is not None and coming is not None:
            have = sum(
                one.state == APPROVED and one.watch == rule.name and one.channel == row.channel
                for one in self._table.rows()
            )
            if have + coming.get(f"{row.channel}/{rule.name}", 0) >= rule.limit:
                text = f"the rule {rule.name} of channel {row.channel} has its {rule.limit} devices"
                raise Refused(f"{text}: raise its limit, or approve it by hand", 409)
        return propose(row, rule, taken, name=name, profile=profile)

    async def _bring(self, chosen: Sequence[tuple[Row, Proposal]], who: str) -> dict[str, Any]:
        """All of them in one change. Raises Refused, Busy."""
        profiles: dict[str, Any] = {}
        for row, proposal in chosen:
            channel = self._channel(row.channel)
            if proposal.profile and channel is not None:
                profiles |= self._library(channel.driver, proposal.profile)

        def change(known: Provisioned) -> Provisioned:
            for _, one in chosen:
                known = known.with_device(one.channel, one.device, one.keys, profiles)
            return known

        names = ", ".join(proposal.device for _, proposal in chosen)
        try:
            done = await self.provisions.provision(change, note=f"discovered: {_few(names)}", who=who)
        except ConfigError as error:
            raise Refused(f"{names} cannot come in: {_explained(error)}") from error
        for row, proposal in chosen:
            row.state, row.device, row.why = APPROVED, proposal.device, ""
            self._table.keep(row)
            self._tell(row, "approved", who=who)
        self._show()
        return {"generation": done["generation"], "lines": done["lines"]}

    async def run(self) -> None:
        """Supervised unit: brings in what nobody is asked about."""
        self._follow()
        while True:
            if not any(self._comes_in(row) for row in self._table.rows()):
                self._wake.clear()
                await self._wake.wait()
            await self._clock.sleep(GATHER_S)
            self._follow()
            try:
                await self._bring_waiting()
            except GatewayError as error:  # another change waits to be confirmed, or no room on the disk
                _log.warning("discovered devices wait: %s", error)
                await self._clock.sleep(RETRY_S)

    async def _bring_waiting(self) -> None:
        chosen: list[tuple[Row, Proposal]] = []
        held: list[tuple[Row, str]] = []
        taken, coming = self._taken(), dict[str, int]()
        for row in [row for row in self._table.rows() if self._comes_in(row)]:
            try:
                proposal = self._proposal(row, taken, coming)
            except Refused as error:
                held.append((row, str(error)))
                continue
            taken.add(proposal.device)
            by = f"{row.channel}/{row.watch}"
            coming[by] = coming.get(by, 0) + 1
            chosen.append((row, proposal))
        held += await self._bring_good(chosen)
        self._follow()  # what came in is no reason to try those that are held once more
        for row, why in held:
            self._held(row, why)

    async def _bring_good(self, chosen: Sequence[tuple[Row, Proposal]]) -> list[tuple[Row, str]]:
        """Bring in all that can come, together if possible. Returns the others with the reason."""
        if not chosen:
            return []
        try:
            await self._bring(chosen, "discovery")
        except Refused as error:
            if len(chosen) == 1:
                return [(chosen[0][0], str(error))]
            return [held for one in chosen for held in await self._bring_good([one])]
        for row, proposal in chosen:
            self._record(proposal.device, row.id)
        return []

    def _held(self, row: Row, why: str) -> None:
        """It does not come in by itself: somebody has to look."""
        row.why = why
        self._table.keep(row)
        _log.warning("%s does not come in by itself: %s", row.id, why)
        self._show()

    # What is told

    def _show(self) -> None:
        """One issue for all that wait."""
        if self._judging_all:
            return
        waiting = [row for row in self._table.rows() if row.state == PENDING and not self._comes_in(row)]
        if not waiting:
            self._health.clear("device_discovered", "gateway")
            return
        names = _few(", ".join(sorted(row.name or row.identity for row in waiting)))
        text = f"{len(waiting)} discovered device{'s wait' if len(waiting) > 1 else ' waits'} for approval: {names}"
        self._health.set("device_discovered", "gateway", text, "fieldpost discovered, then approve or reject")

    def _tell(self, row: Row, what: str, **more: Any) -> None:
        now = self._clock.mono()
        self._told = [at for at in self._told if now - at < 60.0]
        if len(self._told) >= EVENTS_PER_MINUTE:
            self._left_out += 1
            return
        self._told.append(now)
        entry = {"ts": self._clock.wall_ms(), "kind": "discovered", "what": what, "channel": row.channel}
        entry |= {"identity": row.identity, "name": row.name, "watch": row.watch, "device": row.device, **more}
        if self._left_out:
            entry["left_out"], self._left_out = self._left_out, 0
        self._emit({key: value for key, value in entry.items() if value != ""})


def _few(names: str) -> str:
    parts = names.split(", ")
    shown_ = ", ".join(parts[:_SHOWN])
    return shown_ if len(parts) <= _SHOWN else f"{shown_} and {len(parts) - _SHOWN} more"


def _explained(error: ConfigError) -> str:
    return "; ".join(f"{one.message}{f' ({one.hint})' if one.hint else ''}" for one in error.problems[:_SHOWN])
