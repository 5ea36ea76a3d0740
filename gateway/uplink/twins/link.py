"""The twin topics on one uplink: updates and questions in, results, documents, deltas and states out.

Everything that is told without a question goes out at most once in PACE_S for each device, the newest of it. Nothing is
kept for a broker that is away: who comes back asks (`twin/get`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import structs

from gateway.clock import Clock
from gateway.errors import StoreError
from gateway.health import Health
from gateway.mqttclient.connection import REFUSED, Connection, Inbound, Outgoing
from gateway.uplink.codecs.base import JSON
from gateway.uplink.select import Chosen
from gateway.uplink.twins import messages
from gateway.uplink.twins.messages import BASE
from gateway.uplink.twins.port import Twin, TwinError, TwinPort
from gateway.uplink.twins.waiting import KINDS, Waiting

PACE_S = 0.5
UNKNOWN = "unknown"
_ROOM = 512
"""Bytes of a packet that are no payload."""
CALM_S = 60.0
"""A flood is over when nothing was dropped for so long."""

_log = logging.getLogger("fieldpost")


class TwinLink:
    """Lives as long as the uplink. `devices` are the patterns of its selection."""

    prefix = f"{BASE}/"

    def __init__(
        self,
        name: str,
        devices: tuple[str, ...],
        port: TwinPort,
        clock: Clock,
        max_payload: int,
        health: Health,
    ) -> None:
        self._name = name
        self._health = health
        self._waiting = Waiting()
        self._flooded_at: float | None = None
        self._who = f"twins of {name}"
        self._chosen = Chosen(devices)
        self._port = port
        self._clock = clock
        self._max_payload = max_payload
        self._told: dict[str, dict[str, Twin]] = {}
        """By device: twins as they were told last."""
        self._delta: dict[str, dict[str, str]] = {}
        self._states: dict[str, str] = {}
        self._changed: dict[str, None] = {}
        self._left_out: dict[str, int] = {}
        self._counts: Counter[str] = Counter(
            updates=0, questions=0, refused=0, told=0, too_large=0, retained=0, dropped=0
        )

    @property
    def filters(self) -> list[str]:
        """What is to be subscribed to."""
        return [f"{BASE}/+/{each}" for each in KINDS]

    def status(self) -> dict[str, int]:
        """Counters; `left_out`: tags that cannot be told as twins now."""
        return {**self._counts, "left_out": sum(self._left_out.values())}

    # --- in

    def admit(self, topic: str, message: Inbound) -> Inbound | None:
        """What is to be handled of a message that came on a topic below the base; None: nothing. Never waits."""
        device, _, kind = topic.partition("/")
        known = self._port.knows(device)
        if kind not in KINDS or (known and not self._chosen(device)):
            return None  # nobody's, or another uplink's
        if message.retain:  # it would be done again at each connection
            if not self._counts["retained"]:
                _log.warning(
                    "%s: %s has a retained message, which is ignored: publish without retain", self._who, topic
                )
            self._counts["retained"] += 1
            return None
        if len(message.payload) > messages.MOST_BYTES:  # refused for its length: nobody needs the rest
            message = structs.replace(message, payload=message.payload[: messages.MOST_BYTES + 1])
        if self._waiting.enter(device, kind, message.payload, known=known):
            return message
        self._counts["dropped"] += 1
        self._flood()
        return None

    def leave(self, topic: str) -> None:
        """A message that was admitted is done."""
        device, _, kind = topic.partition("/")
        self._waiting.leave(device, kind)

    async def handle(self, connection: Connection, topic: str, message: Inbound) -> None:
        """Take a message that was admitted. Returns when it is on disk and answered."""
        device, _, kind = topic.partition("/")
        answers = {"twin/update": self._update, "twin/get": self._get, "state/update": self._state}
        event = messages.event_id(message.payload)
        try:
            body = await (answers[kind] if self._port.knows(device) else _nobody)(device, event, message.payload)
        except TwinError as error:
            self._counts["refused"] += 1
            body = messages.failed(event, self._now(), error)
        except StoreError as error:
            body = messages.failed(event, self._now(), TwinError(f"not stored: {error}", code=500))
        await self._answer(connection, f"{device}/{kind}/result", event, body)

    async def _update(self, device: str, event: str, payload: bytes) -> dict[str, Any]:
        self._counts["updates"] += 1
        update = messages.update_of(payload)
        known = {twin.name: twin for twin in self._port.twins(device)[0]}
        for name, value in update.actual.items():
            twin = known.get(name)
            if twin is None and name not in update.wishes:
                raise TwinError(f"{device} has no twin {name}", code=404)
            if twin is not None and (twin.actual is None or twin.actual.value != value):
                raise TwinError(f"what {name} is, the device tells itself; want something by `expected`", code=409)
        twins: Sequence[Twin] = list(known.values())
        if update.wishes:
            twins = await self._port.want(device, update.wishes, self._who)
        named = update.wishes.keys() | update.actual.keys()
        return messages.twins_in(event, self._now(), (twin for twin in twins if twin.name in named))

    async def _get(self, device: str, event: str, payload: bytes) -> dict[str, Any]:
        self._counts["questions"] += 1
        messages.body_of(payload)
        twins, self._left_out[device] = self._port.twins(device)
        return messages.twins_in(event, self._now(), twins)

    async def _state(self, device: str, event: str, payload: bytes) -> dict[str, Any]:
        said, state = messages.state_of(payload), self._port.states().get(device, UNKNOWN)
        if said not in {state, "ok" if state == "online" else state}:
            raise TwinError(f"{device} is {state}: this gateway knows it by its answers", code=409)
        return messages.state_in(event, self._now(), device, state)

    async def _answer(self, connection: Connection, topic: str, event: str, body: dict[str, Any]) -> None:
        payload = msgspec.json.encode(body)
        if len(payload) > self._room(connection):
            self._counts["too_large"] += 1
            error = TwinError(f"the answer has {len(payload)} bytes: more than a message may have", code=500)
            payload = msgspec.json.encode(messages.failed(event, self._now(), error))
        await connection.publish(Outgoing(f"{BASE}/{topic}", payload, JSON))

    # --- too much

    def _flood(self) -> None:
        """Messages were dropped just now."""
        self._flooded_at = self._clock.mono()
        self._health.set(
            "twins_flooded",
            self._name,
            f"{self._counts['dropped']} messages on twin topics were dropped: too many waited at once",
            "see which program publishes so many, and have it wait for the results",
        )

    async def _tell_flood(self, connection: Connection) -> None:
        """One result for all that was dropped of a device and kind since the last look."""
        for (device, kind), dropped in self._waiting.take_dropped().items():
            text = f"{dropped.count} messages up to this one were not looked at: too many waited at once"
            event = messages.event_id(dropped.last)
            body = messages.failed(event, self._now(), TwinError(text, code=429))
            await self._publish(connection, f"{device}/{kind}/result", body)
        if self._flooded_at is not None and self._clock.mono() - self._flooded_at >= CALM_S:
            self._flooded_at = None
            self._health.clear("twins_flooded", self._name)

    # --- out

    async def run(self, connection: Connection) -> None:
        """Tell what changes for as long as the connection lasts. Raises ConnectionLost."""
        self._told, self._delta, self._states, self._left_out = {}, {}, {}, {}
        self._changed = dict.fromkeys(self._devices())
        end = self._port.listen(self._note)
        try:
            first = True
            while True:
                devices = set(self._devices())
                for gone in self._told.keys() - devices:
                    self._forget(gone)
                changed, self._changed = self._changed, {}
                for device in changed:
                    if device in devices:
                        await self._tell(connection, device, quiet=first)
                await self._tell_states(connection, sorted(devices))
                await self._tell_flood(connection)
                first = False
                await self._clock.sleep(PACE_S)
        finally:
            end()

    def _note(self, device: str) -> None:
        self._changed[device] = None

    def _devices(self) -> list[str]:
        return [device for device in self._port.devices() if self._chosen(device)]

    def _forget(self, device: str) -> None:
        for known in (self._told, self._delta, self._states, self._left_out):
            known.pop(device, None)

    async def _tell(self, connection: Connection, device: str, *, quiet: bool) -> None:
        """What has changed since it was told. `quiet`: this is where it begins."""
        twins, self._left_out[device] = self._port.twins(device)
        before, after = self._told.get(device), {twin.name: twin for twin in twins}
        self._told[device] = after
        if before is not None and not quiet:
            names = [name for name in before.keys() | after.keys() if not _same(before.get(name), after.get(name))]
            entries = {name: messages.changed(before.get(name), after.get(name)) for name in sorted(names)}
            for part in _parts(entries, self._room(connection)):
                body = {"event_id": "", "timestamp": self._now(), "twin": part}
                await self._publish(connection, f"{device}/twin/update/document", body)
        await self._tell_delta(connection, device, twins)

    async def _tell_delta(self, connection: Connection, device: str, twins: Sequence[Twin]) -> None:
        body = messages.delta_in(self._now(), twins)
        if body["delta"] == self._delta.get(device, {}):
            return
        self._delta[device] = body["delta"]
        if body["delta"]:
            await self._publish(connection, f"{device}/twin/update/delta", body)

    async def _tell_states(self, connection: Connection, devices: Sequence[str]) -> None:
        states = self._port.states()
        for device in devices:
            state = states.get(device, UNKNOWN)
            if self._states.get(device) != state:
                self._states[device] = state
                body = messages.state_in("", self._now(), device, state)
                await self._publish(connection, f"{device}/state/update/result", body)

    async def _publish(self, connection: Connection, topic: str, body: Mapping[str, Any]) -> None:
        payload = msgspec.json.encode(body)
        if len(payload) > self._room(connection):
            self._counts["too_large"] += 1
            return
        code = await connection.publish(Outgoing(f"{BASE}/{topic}", payload, JSON))
        self._counts["told" if code < REFUSED else "refused"] += 1

    def _room(self, connection: Connection) -> int:
        return min(self._max_payload, (connection.max_packet or self._max_payload + _ROOM) - _ROOM)

    def _now(self) -> int:
        return self._clock.wall_ms()


async def _nobody(device: str, _event: str, _payload: bytes) -> dict[str, Any]:
    raise TwinError(f"there is no device {device[:64]}", code=404)


def _same(before: Twin | None, after: Twin | None) -> bool:
    """Whether there is nothing to tell: another time, or a counter that others have raised, is no news."""
    if before is None or after is None:
        return before is after
    wanted = [None if twin.expected is None else (twin.expected.value, twin.expected.ver) for twin in (before, after)]
    got = [None if twin.actual is None else twin.actual.value for twin in (before, after)]
    return wanted[0] == wanted[1] and got[0] == got[1] and before.type == after.type


def _parts(entries: Mapping[str, Any], room: int) -> Iterator[dict[str, Any]]:
    """Entries in portions that fit into messages."""
    part: dict[str, Any] = {}
    size = _ROOM
    for name, entry in entries.items():
        more = len(msgspec.json.encode({name: entry})) + 1
        if part and size + more > room:
            yield part
            part, size = {}, _ROOM
        part[name] = entry
        size += more
    if part:
        yield part
