"""What a deployment is, and its record on the operator's machine: enough to go on after the operator was killed.

The record is a file of lines, one deployment each: first what is wanted, then what happened. The gateways do not need
it: the same job again has no second effect there. So its lines are not forced to the disk, and a torn line is none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from gateway.fleet.course import End
from gateway.fleet.faults import FleetError
from gateway.fleet.jobwire import JobWanted, render_job
from gateway.fleet.waves import Waves

VER = 1
"""Of the jobs: a deployment wants one thing, so there is never another version of it."""


class Deployment(Struct, frozen=True, kw_only=True):
    """One target on its way to some gateways. `id` is the id of its job on each of them.

    `docs` by gateway, or one for all under an empty name. `exp`: not begun after this, UTC ms.
    """

    id: str
    tenant: str
    op: str
    label: str
    docs: Mapping[str, Mapping[str, Any]]
    waves: tuple[tuple[str, ...], ...]
    canaries: bool
    made: int
    exp: int | None = None
    url: str = ""
    """The broker that was named, for the hint how to go on."""

    def job(self, gateway: str) -> JobWanted:
        doc = self.docs[gateway] if gateway in self.docs else self.docs[""]
        return JobWanted(self.id, VER, self.op, doc, self.exp)

    def payload(self, gateway: str) -> bytes:
        """What stands on its `job/next`. Raises FleetError 413."""
        return render_job(self.job(gateway))

    @property
    def division(self) -> Waves:
        return Waves(self.waves, self.canaries)


class _Line(Struct, omit_defaults=True):
    gateway: str
    ts: int
    end: End | None = None


class Record:
    """The record of one deployment. `sent` and `ends` are what is known of an earlier run (UTC ms; ends)."""

    def __init__(self, path: Path, deployment: Deployment) -> None:
        self.path = path
        self.deployment = deployment
        self.sent: dict[str, int] = {}
        self.ends: dict[str, End] = {}

    @classmethod
    def create(cls, folder: Path, deployment: Deployment) -> Record:
        """A new one. Raises FleetError 409 when there is one of this name, 500 when it cannot be written."""
        record = cls(_path(folder, deployment.id), deployment)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(record.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(msgspec.json.encode(deployment) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            text = f"there is a deployment {deployment.id} already: go on with it by --resume, or take another name"
            raise FleetError(text, code=409) from None
        except OSError as error:
            raise FleetError(f"{record.path} cannot be written: {error.strerror}") from error
        return record

    @classmethod
    def load(cls, folder: Path, name: str) -> Record:
        """One that was made here. Raises FleetError 404, and 422 for a file that is none."""
        path = _path(folder, name)
        try:
            first, *lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            raise FleetError(f"no deployment {name} was made here ({path})", code=404) from None
        except OSError as error:
            raise FleetError(f"{path} cannot be read: {error.strerror}") from error
        try:
            record = cls(path, msgspec.json.decode(first, type=Deployment))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FleetError(f"{path} is no record of a deployment: {error}", code=422) from error
        for line in lines:
            record._take(line)
        record._forget()
        return record

    def _forget(self) -> None:
        """Who was never sent it, and whose job was taken out, gets it now: a gateway that knows it says so again."""
        self.ends = {name: end for name, end in self.ends.items() if name in self.sent and end.state != "cancelled"}

    def _take(self, line: bytes) -> None:
        try:
            said = msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # torn by a kill
        if said.end is None:
            self.sent[said.gateway] = said.ts
            self.ends.pop(said.gateway, None)
        else:
            self.ends[said.gateway] = said.end

    def note_sent(self, gateway: str, ts: int) -> None:
        """Its job is about to be put at the broker. Raises FleetError when that cannot be written."""
        if gateway not in self.sent:
            self.sent[gateway] = ts
            self._append(_Line(gateway, ts))

    def note_end(self, gateway: str, ts: int, end: End) -> None:
        """How it ended, or fell back after it. Raises FleetError when that cannot be written."""
        if self.ends.get(gateway) != end:
            self.ends[gateway] = end
            self._append(_Line(gateway, ts, end))

    def _append(self, line: _Line) -> None:
        try:
            with self.path.open("ab") as file:  # a torn line before ours must not take ours with it
                file.write(b"\n" + msgspec.json.encode(line) + b"\n")
        except OSError as error:
            raise FleetError(f"{self.path} cannot be written: {error.strerror}") from error


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.jsonl"
