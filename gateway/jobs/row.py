"""A job as it is kept: what is wanted, where it is, how it ended. On disk before it acts, and before it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from gateway.jobs.messages import status_body
from gateway.jobs.work import Job, JobState

OPEN = frozenset((JobState.QUEUED, JobState.IN_PROGRESS))


class JobRow(Struct, frozen=True):
    """One version of a job. `no`: its place in the order of arrival. `at`, `ts`: UTC ms of its arrival and of what is
    told now. `doc` is dropped when it has ended, `digest` stays. `kept`: what its work wants back after a restart.

    `committed`: past its commit point. `cancelled`: nobody wants it any more, its work is to end. `resumes`: restarts
    of the process while it was at this step. `owed`: uplinks whose broker has not acknowledged its end.
    """

    no: int
    id: str
    ver: int
    op: str
    doc: dict[str, Any]
    digest: str
    via: str
    at: int
    ts: int
    exp: int | None = None
    state: JobState = JobState.QUEUED
    step: str = "accepted"
    percent: int | None = None
    detail: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies a default
    kept: dict[str, Any] = {}  # noqa: RUF012
    committed: bool = False
    cancelled: bool = False
    resumes: int = 0
    owed: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its key in the table."""
        return f"{self.id}/{self.ver}"

    @property
    def final(self) -> bool:
        return self.state not in OPEN

    @property
    def job(self) -> Job:
        return Job(self.id, self.ver, self.op, self.doc, self.via, self.exp)

    def status(self) -> dict[str, Any]:
        """As it is told."""
        return status_body(
            self.id, self.ver, self.state.value, self.ts, self.detail, step=self.step, percent=self.percent
        )


class JobTable(Protocol):
    """The table `job`."""

    def rows(self) -> list[JobRow]:
        """All rows in the order of arrival, for a start."""
        ...

    async def put(
        self, rows: Sequence[JobRow], forget: Sequence[str] = (), entries: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Returns when the rows are on disk, those of the keys to `forget` are not, and the entries are in the
        journal, in one transaction. Raises GatewayError: then nothing of it is.
        """
        ...

    def told(self, key: str, uplink: str) -> None:
        """An uplink's broker has the end: with the next commit it is owed no more."""
        ...
