"""Jobs as they travel (protocol.md 1.3): what is wanted (`job/next`), and how it stands (`job/{id}/status`). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gateway.fleet.document import decode
from gateway.fleet.faults import FleetError
from gateway.settings.ids import is_id

MAX_BYTES = 65_536
"""What a gateway takes as one job."""

ENDS = frozenset({"succeeded", "failed", "rejected", "timed_out", "cancelled"})
"""Final states."""
STATES = ENDS | {"queued", "in_progress"}
COMMITTED = frozenset({"trial", "probation", "apply", "gates"})
"""Steps behind the point from which on a job cannot be cancelled."""
_CONFLICT = 409
_LONGEST_TEXT = 500


class JobWanted(Struct, frozen=True):
    """What stands on `job/next`. `exp`: not to be begun after this, UTC ms."""

    id: str
    ver: int
    op: str
    doc: Mapping[str, Any]
    exp: int | None = None

    @property
    def what(self) -> str:
        """In one word for people: the target, or the revision."""
        if isinstance(target := self.doc.get("target"), str):
            return target
        return f"rev {self.doc['rev']}" if "rev" in self.doc else ""


class JobStatus(Struct, frozen=True):
    """A word of a gateway about a job. `text` and `code` are those of `detail`."""

    id: str
    ver: int
    state: str
    step: str = ""
    percent: int | None = None
    ts: int | None = None
    text: str = ""
    code: int | None = None
    detail: Mapping[str, Any] = {}

    @property
    def final(self) -> bool:
        return self.state in ENDS

    @property
    def committed(self) -> bool:
        """Whether it goes on whatever is asked; a gateway that was asked says so by the code."""
        return self.step in COMMITTED or (self.state == "in_progress" and self.code == _CONFLICT)


class _Next(Struct):
    v: int
    id: str
    ver: int
    op: str
    doc: dict[str, Any]
    exp: int | None = None


class _Status(Struct):
    v: int
    id: str
    ver: int
    state: str
    step: str | None = None
    percent: float | None = None
    ts: int | None = None
    detail: dict[str, Any] | None = None


def render_job(job: JobWanted) -> bytes:
    """As it is published. Raises FleetError 413 when a gateway would refuse it for its size."""
    body: dict[str, Any] = {"v": 1, "id": job.id, "ver": job.ver, "op": job.op, "doc": dict(job.doc)}
    payload = msgspec.json.encode(body if job.exp is None else body | {"exp": job.exp})
    if len(payload) > MAX_BYTES:
        raise FleetError(
            f"the job would have {len(payload)} bytes; {MAX_BYTES} are allowed. A configuration of this size goes as a"
            " signed target: configs/GATEWAY/REV.json",
            code=413,
        )
    return payload


def parse_job(payload: bytes) -> JobWanted | None:
    """None for what is no job of version 1."""
    wire = decode(payload, _Next)
    if wire is None or not is_id(wire.id):
        return None
    return JobWanted(wire.id, wire.ver, wire.op, wire.doc, wire.exp)


def parse_status(payload: bytes) -> JobStatus | None:
    """None for what is no status of a job of version 1."""
    wire = decode(payload, _Status)
    if wire is None or not is_id(wire.id) or wire.state not in STATES:
        return None
    detail = wire.detail or {}
    text, code = detail.get("text"), detail.get("code")
    return JobStatus(
        wire.id,
        wire.ver,
        wire.state,
        wire.step or "",
        None if wire.percent is None else round(min(100.0, max(0.0, wire.percent))),
        wire.ts,
        _text(text if isinstance(text, str) and text else detail.get("reason")),
        code if isinstance(code, int) else None,
        detail,
    )


def _text(said: Any) -> str:
    text = said if isinstance(said, str) else ""
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."
