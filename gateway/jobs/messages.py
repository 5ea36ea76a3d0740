"""Jobs as messages: what stands on `job/next` is checked, what is told on `job/{id}/status` is made here."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from gateway.jobs.outline import outline
from gateway.uplink.commands import too_deep

MAX_PAYLOAD = 64 * 1024
"""Bytes of one job; larger ones are answered 413."""
MAX_DEPTH = 8
"""Levels of objects and lists in `doc`."""
MAX_TEXT = 2_000
"""Characters of a text for people."""
_READ_FOR_ITS_ID = 1024 * 1024
"""Larger messages are not even read to learn who is to be answered."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_OP = re.compile(r"[a-z][a-z_]{0,31}\Z")
_KEYS = frozenset(("v", "id", "ver", "op", "doc", "exp"))
_TOO_DEEP = f"doc: nested in more than {MAX_DEPTH} levels"

_Number = Annotated[int, Meta(ge=1, le=2**53)]


class JobMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """A job as it is sent. Nothing beside these keys: what is not known cannot relax a check."""

    v: int
    id: str
    ver: _Number
    op: str
    doc: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies a default
    exp: _Number | None = None

    @property
    def digest(self) -> str:
        """Names what is wanted: 16 hex digits over op and doc."""
        return hashlib.sha256(msgspec.json.encode([self.op, self.doc], order="sorted")).hexdigest()[:16]


class NoJob(Struct, frozen=True):
    """A message that is no job. `id` is empty where nobody can be answered; `ver` is 0 where it says none."""

    id: str
    ver: int
    code: int
    text: str


def parse_job(payload: bytes) -> JobMessage | NoJob:
    """What stands on `job/next`, when it is not empty."""
    if len(payload) > MAX_PAYLOAD:
        return _no_job(payload, f"a job has at most {MAX_PAYLOAD} bytes", 413)
    try:
        job = msgspec.json.decode(payload, type=JobMessage)
    except msgspec.ValidationError as error:
        return _no_job(payload, _told(error))
    except RecursionError:
        return _no_job(payload, _TOO_DEEP)
    except (msgspec.MsgspecError, ValueError):  # ValueError: an integer of thousands of digits
        return _no_job(b"", "not JSON")
    if job.v != 1:
        return _no_job(payload, f"v: version {job.v} of jobs is not known here")
    if not _ID.match(job.id):
        return _no_job(payload, "id: 1 to 64 letters, digits, _ and -")
    if not _OP.match(job.op):
        return _no_job(payload, "op: not the name of an op")
    if too_deep(job.doc, MAX_DEPTH):
        return _no_job(payload, _TOO_DEEP)
    return job


def _told(error: msgspec.ValidationError) -> str:
    """A refusal with the field's path, as `doc: expected object, got array`."""
    text, _, path = str(error).partition(" - at `$")
    field = path.strip("`. ")
    return (f"{field}: {text}" if field else text)[:MAX_TEXT]


def _no_job(payload: bytes, text: str, code: int = 400) -> NoJob:
    """With whatever of it can be answered."""
    found: Any = None
    if 0 < len(payload) <= _READ_FOR_ITS_ID:
        try:
            found = msgspec.json.decode(payload)
        except RecursionError:
            found = outline(payload) if len(payload) <= MAX_PAYLOAD else None
        except (msgspec.MsgspecError, ValueError):
            found = None
    if not isinstance(found, dict):
        return NoJob("", 0, code, text)
    id_, ver = found.get("id"), found.get("ver")
    id_ = id_ if isinstance(id_, str) and _ID.match(id_) else ""
    ver = ver if isinstance(ver, int) and not isinstance(ver, bool) and 1 <= ver <= 2**53 else 0
    strange = sorted(found.keys() - _KEYS)
    if strange and code == 400:
        text = f"{strange[0][:40]}: a job has no such key"
    return NoJob(id_, ver, code, text)


def status_body(
    id_: str, ver: int, state: str, ts: int, detail: dict[str, Any], *, step: str = "", percent: int | None = None
) -> dict[str, Any]:
    """A status message (protocol.md 1.3); `percent` only where it is known."""
    body: dict[str, Any] = {"v": 1, "id": id_, "ver": ver, "state": state, "step": step}
    if percent is not None:
        body["percent"] = percent
    return {**body, "ts": ts, "detail": detail}
