"""A change of a device's desired document, from reading it at the broker to what the device made of it.

The retained whole document is the truth: it waits at the broker for a gateway that is away. It is read, changed,
published with a higher version, and looked at until it is sure that nobody's change was lost by it (`race`).
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from gateway.clock import Clock
from gateway.fleet.document import Document, Edits, fitting, parse_document
from gateway.fleet.faults import BrokerRefuses, Conflict, FleetError
from gateway.fleet.link import Link, Listening
from gateway.fleet.race import Race, Standing
from gateway.fleet.roster import Roster
from gateway.fleet.shadows import Reported, parse_rejection, parse_reported
from gateway.fleet.verdicts import LeafResult, Verdicts
from gateway.mqttclient.connection import Inbound

WAIT_S = 10.0
_GRACE_S = 0.5
"""For the writer who overwrote us to mend it, and for the reported document that follows a rejection."""


_MOST_EARLY = 1000


class SetResult(Struct, frozen=True):
    """What became of a change. `ver` is the document's version; `online` whether the gateway was (None: not known)."""

    gateway: str
    device: str
    ver: int
    online: bool | None
    leaves: tuple[LeafResult, ...]

    @property
    def ok(self) -> bool:
        return all(leaf.state == "ok" for leaf in self.leaves)


class Order(Struct, frozen=True, kw_only=True):
    """How a change is to be made; see Fleet.set."""

    wait_s: float | None = None
    if_ver: int | None = None
    fresh: bool = False
    tolerance: float | None = None
    limit: int
    within_s: float


class View:
    """What the topics of one device say, kept up to date by a listener."""

    def __init__(self, root: str, device: str) -> None:
        self.gateway = root.rpartition("/")[2]
        self.device = device
        self.status_topic = f"{root}/status"
        self.desired_topic = f"{root}/shadow/{device}/desired"
        self.reported_topic = f"{root}/shadow/{device}/reported"
        self.rejected_topic = f"{root}/shadow/{device}/rejected"
        self.roster = Roster()
        self.reported: Reported | None = None
        self.desired: Document | None = None
        self.unreadable: set[str] = set()
        self.on_desired: Callable[[Document], None] = lambda _: None
        self.on_reported: Callable[[Reported], None] = lambda _: None
        self.on_rejected: Callable[[bytes], None] = lambda _: None

    @property
    def filters(self) -> list[str]:
        return [self.desired_topic, self.reported_topic, self.rejected_topic, self.status_topic]

    def take(self, message: Inbound) -> None:
        if message.topic == self.status_topic:
            self.roster.take(message.topic, message.payload)
        elif message.topic == self.rejected_topic:
            self.on_rejected(message.payload)
        elif message.topic == self.desired_topic:
            self._desired(message.payload)
        else:
            self._reported(message.payload)

    def _desired(self, payload: bytes) -> None:
        document = parse_document(payload) if payload else Document()
        self.unreadable.discard("desired")
        if document is None:
            self.unreadable.add("desired")
            self.on_desired(Document())  # whoever has just written a document has lost it
            return
        self.desired = document if payload else None
        self.on_desired(document)

    def _reported(self, payload: bytes) -> None:
        if not payload:
            self.reported = None
            return
        reported = parse_reported(payload)
        if reported is None:
            self.unreadable.add("reported")
            return
        self.unreadable.discard("reported")
        self.reported = reported
        self.on_reported(reported)

    @property
    def online(self) -> bool | None:
        info = self.roster.gateway(self.gateway)
        return None if info is None else info.online

    def complete(self) -> bool:
        """Whether everything that can be retained has come."""
        return self.online is not None and self.desired is not None and self.reported is not None


class Change:
    """One change of one device. `edits`: shadow path to value, None takes the leaf out."""

    def __init__(self, link: Link, view: View, clock: Clock, edits: Edits, order: Order) -> None:
        self._link = link
        self._view = view
        self._clock = clock
        self._edits = dict(edits)
        self._order = order
        self._early: deque[bytes] = deque(maxlen=_MOST_EARLY)
        """Rejections that came before it was known what is waited for."""

    async def make(self, listening: Listening) -> SetResult:
        """Do it. `listening` is settled. Raises FleetError."""
        self._check()
        race = Race(self._edits, floor=self._floor(), if_ver=self._order.if_ver, by=secrets.token_hex(4))
        race.see(Document() if self._order.fresh or self._view.desired is None else self._view.desired)
        self._check_removals(race.base)
        self._view.on_desired = race.see
        self._view.on_rejected = self._early.append
        await self._publish(race.first(self._clock.wall_ms()))
        await self._hold(race, listening)
        verdicts = Verdicts(self._edits, race.wanted(), tolerance=self._order.tolerance)
        await self._wait(race, verdicts, listening)
        return SetResult(
            self._view.gateway,
            self._view.device,
            max(race.wanted().values()),
            self._view.online,
            tuple(verdicts.results(self._why())),
        )

    def _floor(self) -> int:
        """The version that was given out already."""
        desired, reported = self._view.desired, self._view.reported
        return max(desired.ver if desired is not None else 0, reported.desired_ver if reported is not None else 0)

    def _check(self) -> None:
        """Nothing is begun over what is not understood."""
        if self._order.fresh:
            return
        if "desired" in self._view.unreadable:
            raise FleetError(
                f"what is retained on {self._view.desired_topic} is no desired document: look who writes there, or"
                " begin a new one (fresh, --new)",
                code=422,
            )
        desired, reported = self._view.desired, self._view.reported
        if desired is None and reported is not None and reported.desired_ver > 0:
            raise FleetError(
                f"the broker has no desired document of {self._view.device}, but the gateway knows version"
                f" {reported.desired_ver}: the broker has lost it, or the gateway keeps it itself (authority: gateway;"
                " send a patch, --patch). A new document (fresh, --new) ends all leaves that are not in it",
                code=409,
            )
        if desired is not None and reported is not None and reported.desired_ver > desired.ver:
            raise FleetError(
                f"the broker has version {desired.ver} of the desired document of {self._view.device}, but the gateway"
                f" knows version {reported.desired_ver}: the broker was restored from an old copy, or somebody sends"
                " patches. Over it, what was set since would be lost without a word. Where the gateway keeps the"
                " document itself (authority: gateway) send a patch (--patch); else begin a new document (fresh,"
                " --new): it ends all leaves that are not in it",
                code=409,
            )

    def _check_removals(self, base: Document) -> None:
        for path, value in self._edits.items():
            if value is None and not any(f"{other}.".startswith(f"{path}.") for other in base.leaves):
                raise FleetError(f"{path} is not in the desired document of {self._view.device}", code=404)

    async def _publish(self, document: Document) -> None:
        await self._link.publish(self._view.desired_topic, fitting(document, self._order.limit), retain=True)

    async def _hold(self, race: Race, listening: Listening) -> None:
        """Until our change is at the broker with everybody else's. Raises Conflict, BrokerRefuses."""
        while True:
            try:
                async with asyncio.timeout(self._order.within_s):
                    await listening.until(lambda: race.standing() is not Standing.UNSEEN)
            except TimeoutError:
                raise BrokerRefuses(
                    f"{self._view.desired_topic} was published, but the broker did not give it back within"
                    f" {self._order.within_s:g} s: this user may not write or not read it; see the access list"
                ) from None
            if race.standing() is Standing.OVERWRITTEN and not await self._patience(race, listening):
                await self._publish(race.again(self._clock.wall_ms()))
            elif race.standing() is Standing.OVERWROTE:
                await self._mend(race)
            elif race.standing() in {Standing.HELD, Standing.OVERRULED}:
                race.settled()
                return

    async def _mend(self, race: Race) -> None:
        if self._order.if_ver is None:
            await self._publish(race.again(self._clock.wall_ms()))
            return
        await self._publish(race.again(self._clock.wall_ms(), without_ours=True))
        raise Conflict(f"the desired document was changed by another writer after version {self._order.if_ver}")

    async def _patience(self, race: Race, listening: Listening) -> bool:
        """Whether the writer who overwrote us mends it in a moment; a different one for each of several."""
        try:
            async with asyncio.timeout(max(_GRACE_S, listening.quiet_s) * random.uniform(1, 2)):  # noqa: S311 - no secret
                await listening.until(lambda: race.standing() is not Standing.OVERWRITTEN)
        except TimeoutError:
            return False
        return True

    async def _wait(self, race: Race, verdicts: Verdicts, listening: Listening) -> None:
        """Until every leaf has its end, or the time is over."""
        self._follow(verdicts)
        loop = asyncio.get_running_loop()
        wait_s = self._order.wait_s
        if wait_s is None:
            wait_s = 0.0 if self._view.online is False else WAIT_S
        deadline = loop.time() + wait_s
        with suppress(TimeoutError):
            while not verdicts.final:
                seen = (race.wanted(), race.overruled())
                async with asyncio.timeout_at(deadline):
                    await listening.until(lambda: verdicts.final or _lost(race) or _moved(race, seen))  # noqa: B023
                if _lost(race):
                    await self._hold(race, listening)
                verdicts.want(race.wanted())
                verdicts.overruled(race.overruled())
        if verdicts.final and not verdicts.complete:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_S):
                    await listening.until(lambda: verdicts.complete)

    def _follow(self, verdicts: Verdicts) -> None:
        if self._view.reported is not None:
            verdicts.reported(self._view.reported)
        for payload in self._early:
            _reject(verdicts, payload)
        self._view.on_reported = verdicts.reported
        self._view.on_rejected = lambda payload: _reject(verdicts, payload)

    def _why(self) -> str:
        if self._view.online is False:
            return "the gateway is offline: it gets the change when it is back"
        if self._view.online is None:
            return "no status of this gateway at the broker: it gets the change when it connects"
        return "no answer of the gateway yet"


def _lost(race: Race) -> bool:
    return race.standing() in {Standing.OVERWRITTEN, Standing.OVERWROTE}


def _moved(race: Race, seen: tuple[dict[str, int], dict[str, int]]) -> bool:
    return (race.wanted(), race.overruled()) != seen


def _reject(verdicts: Verdicts, payload: bytes) -> None:
    rejection = parse_rejection(payload)
    if rejection is not None:
        verdicts.rejected(rejection)
