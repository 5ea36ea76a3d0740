"""What a job is, and what whoever does its op is given and owes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from gateway.errors import GatewayError

LOCAL = "@local"
"""`via` of a job that somebody at this machine asked for; no uplink is called so. Nobody else is told of it."""


class JobState(StrEnum):
    """The states of protocol.md 1.3; all but the first two are final."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class Job(Struct, frozen=True):
    """What is wanted. `doc` belongs to the op; `exp`: not to be begun after this, UTC ms; `via`: the uplink that
    brought it.
    """

    id: str
    ver: int
    op: str
    doc: Mapping[str, Any]
    via: str
    exp: int | None = None


class Ended(Struct, frozen=True):
    """How a job ended, in one of the final states; `detail` as in ota.md 3, `text` for people."""

    state: JobState
    text: str = ""
    code: int = 200
    detail: Mapping[str, Any] = {}


class JobRefused(GatewayError):
    """The job is not begun: it ends as `rejected`. `code` as of a command's result."""

    def __init__(self, text: str, *, code: int = 400, detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.detail = dict(detail or {})


class Running(Protocol):
    """A job at work, as whoever does it sees it."""

    @property
    def job(self) -> Job: ...

    @property
    def resumed(self) -> bool:
        """The process ended while the job was at work, and was started again."""
        ...

    @property
    def kept(self) -> Mapping[str, Any]:
        """What was kept with the job by `step`, also before a restart."""
        ...

    @property
    def cancelled(self) -> asyncio.Event:
        """Set when nobody wants the job any more. Whoever does it ends it as CANCELLED where nothing is changed yet."""
        ...

    async def step(
        self, step: str, *, percent: int | None = None, keep: Mapping[str, Any] | None = None, **detail: Any
    ) -> None:
        """Where the job is. Another `step` or something to `keep` is on disk when this returns, and told after that; of
        percents and details alone, only some are told. `detail` belongs to the step: another one begins with what is
        given, the same one adds to it. `keep` is merged into what was kept; None removes a key.
        """
        ...

    async def commit(self, *, decided: bool = False) -> None:
        """From here on the job cannot be cancelled: who asks is answered with 409. Durable when it returns. Raises
        JobCancelled when it was cancelled before; not so when it was `decided` elsewhere, before anybody could be told.
        """
        ...


class JobCancelled(GatewayError):
    """The job was cancelled before its commit point."""


class Work(Protocol):
    """Does the jobs of one op. Made by gateway/runtime/jobworks.py."""

    def check(self, job: Job) -> None:
        """Raises JobRefused for a `doc` that is no doc of this op. Quick, without effects."""
        ...

    async def run(self, running: Running) -> Ended:
        """Do it; returns how it ended. Called again, with `resumed`, after a restart in between. May raise JobRefused
        (rejected) and JobCancelled (cancelled); any other error of ours ends the job as FAILED with its text.
        """
        ...
