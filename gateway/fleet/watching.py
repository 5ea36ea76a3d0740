"""What happens in a fleet, as it comes: messages of a broker as changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from gateway.fleet.document import decode, parse_document
from gateway.fleet.jobwire import parse_job, parse_status
from gateway.fleet.roster import Roster
from gateway.fleet.shadows import Reported, parse_rejection, parse_reported
from gateway.mqttclient.connection import Inbound
from gateway.nesting import nest
from gateway.uplink.codecs.decode import decode_batch

BOUND = 1000


class Change(Struct, frozen=True):
    """One thing that happened. `kind`: status, birth, desired, reported, rejected, result, job, job_status, telemetry,
    dropped.

    `body`: of status the gateway as `fleet ls` shows it; of shadows `ver`, `state`, ...; of telemetry `ts`, `values`,
    `quality`; of job what stands on `job/next`, empty for nothing; of dropped `count`, the changes that came faster
    than they were taken. `retained`: it was so before.
    """

    kind: str
    gateway: str
    device: str | None
    body: dict[str, Any]
    retained: bool = False


class _Object(Struct):
    v: int


class Watch:
    """Makes changes of messages, and keeps at most `bound` of them; beyond that the oldest go, and that is told."""

    def __init__(self, device: str | None = None, bound: int = BOUND) -> None:
        self._device = device
        self._roster = Roster()
        self._waiting: deque[Change] = deque()
        self._bound = bound
        self._dropped = 0
        self.ignored = 0

    @staticmethod
    def filters(root: str, device: str | None, *, telemetry: bool) -> list[str]:
        """What to subscribe to, below `fp/1/{tenant}/{gateway}`."""
        shadow = f"{root}/shadow/{device or '+'}"
        found = [f"{root}/status", f"{root}/birth/#", f"{root}/result/+"]
        found += [f"{root}/job/next", f"{root}/job/+/status"]
        found += [f"{shadow}/{kind}" for kind in ("desired", "reported", "rejected")]
        return [*found, f"{root}/up/telemetry"] if telemetry else found

    def take(self, message: Inbound) -> None:
        changes = list(self._changes(message))
        for change in changes:
            if self._device is None or change.device in {None, self._device}:
                self._waiting.append(change)
        while len(self._waiting) > self._bound:
            self._waiting.popleft()
            self._dropped += 1

    @property
    def ready(self) -> bool:
        return bool(self._waiting)

    def next(self) -> Change:
        """The oldest change; there must be one (`ready`)."""
        if self._dropped:
            count, self._dropped = self._dropped, 0
            return Change("dropped", "", None, {"count": count})
        return self._waiting.popleft()

    def _changes(self, message: Inbound) -> Iterator[Change]:
        _, _, _, gateway, kind, *rest = (*message.topic.split("/"), "", "")
        rest = [part for part in rest if part]
        if kind in {"status", "birth"}:
            if self._roster.take(message.topic, message.payload):
                info = self._roster.gateway(gateway)
                body = {} if info is None else msgspec.to_builtins(info)
                if kind == "status" or self._roster.devices(gateway) is not None:
                    yield Change(kind, gateway, None, body, message.retain)
            return
        if kind == "up":
            yield from self._telemetry(gateway, message)
            return
        if kind == "job":
            kind, rest = ("job", []) if rest == ["next"] else ("job_status", [])
        device = rest[0] if kind == "shadow" and len(rest) == 2 else None
        name = rest[1] if device is not None else kind
        body = _body(name, message.payload)
        if body is None:
            self.ignored += 1
            return
        yield Change(name, gateway, device, body, message.retain)

    def _telemetry(self, gateway: str, message: Inbound) -> Iterator[Change]:
        batch = decode_batch(message.payload)
        if batch is None:
            self.ignored += 1
            return
        found: dict[tuple[str, int], dict[str, Any]] = {}
        try:
            for reading in batch.readings(self._roster.aliases(gateway)):
                body = found.setdefault((reading.device, reading.ts), {"ts": reading.ts, "values": {}, "quality": {}})
                body["values"][reading.tag] = reading.value
                if reading.quality != "good":
                    body["quality"][reading.tag] = reading.quality
        except (KeyError, TypeError, ValueError):  # codec native before its birth, or not what it says to be
            self.ignored += 1
            return
        for (device, _), body in found.items():
            yield Change("telemetry", gateway, device, body)


def _body(kind: str, payload: bytes) -> dict[str, Any] | None:
    """The body of a change of a shadow or a result; None for what cannot be read."""
    if kind == "desired":
        document = parse_document(payload)
        return None if document is None else {"ver": document.ver, "state": nest(document.values())}
    if kind == "reported":
        reported = parse_reported(payload)
        return None if reported is None else reported_body(reported)
    if kind == "job" and not payload:
        return {}
    if kind in {"job", "job_status"}:
        return _job_body(kind, payload)
    if kind == "rejected":
        rejection = parse_rejection(payload)
        return None if rejection is None else msgspec.to_builtins(rejection)
    if decode(payload, _Object) is None:
        return None
    body: dict[str, Any] = msgspec.json.decode(payload)
    return {key: value for key, value in body.items() if key != "v"}


def _job_body(kind: str, payload: bytes) -> dict[str, Any] | None:
    if kind == "job_status":
        status = parse_status(payload)
        return None if status is None else msgspec.to_builtins(status)
    job = parse_job(payload)
    if job is None:
        return None
    return {"id": job.id, "ver": job.ver, "op": job.op, "what": job.what, "exp": job.exp}


def reported_body(reported: Reported) -> dict[str, Any]:
    """A reported document for people and programs."""
    body: dict[str, Any] = {
        "ver": reported.ver,
        "desired_ver": reported.desired_ver,
        "polled": reported.polled,
        "state": nest(reported.values),
    }
    if reported.local:
        body["local"] = msgspec.to_builtins(reported.local)
    if reported.apply is not None:
        body["apply"] = msgspec.to_builtins(reported.apply)
    if reported.quality:
        body["quality"] = dict(reported.quality)
    if reported.delta is not None:
        body["delta"] = list(reported.delta)
    return body
