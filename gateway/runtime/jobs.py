"""The gateway's jobs, as the rest of it knows them. Most gateways have none: the desk is opened, and what it needs is
imported, when the first one comes, or when the table holds some.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.preloading import preload
from gateway.uplink.joblink import JobBox

if TYPE_CHECKING:
    from gateway.jobs.desk import JobDesk
    from gateway.jobs.worker import JobWorker
    from gateway.runtime.node import Node
    from gateway.uplink.ports import JobStatus

_TABLE = "job"
_NEEDED = ("gateway.jobs.worker", "gateway.runtime.joblog", "gateway.runtime.jobworks")


class Jobs:
    """gateway.uplink.ports.JobPort over the running gateway. `restore` once before anything comes."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._boxes: dict[str, JobBox] = {}
        self._turn = asyncio.Lock()
        self._desk: JobDesk | None = None
        self._worker: JobWorker | None = None

    def restore(self) -> None:
        """Take up what the table holds."""
        if self._node.store.table(_TABLE).items():
            self._open()

    def close(self) -> None:
        """Before a planned stop: no job begins any more."""
        if self._worker is not None:
            self._worker.close()

    # ------------------------------------------------------------------ for uplinks

    async def take(self, uplink: str, ops: Sequence[str], payload: bytes) -> None:
        if not payload and self._desk is None:
            return  # most gateways hear this once, of a topic that was cleared
        async with self._turn:  # in the order in which they came
            if self._desk is None:
                await preload(_NEEDED)
            await self._open().take(uplink, ops, payload)

    def box(self, uplink: str) -> JobBox:
        return self._boxes.setdefault(uplink, JobBox())

    def reconnected(self, uplink: str) -> None:
        self.box(uplink).pending.clear()
        if self._desk is not None:
            self._desk.reconnected(uplink)

    def told(self, uplink: str, status: JobStatus) -> None:
        if self._desk is not None:
            self._desk.told(uplink, status)

    # ------------------------------------------------------------------ for people and other parts

    async def ask(self, id_: str, op: str, doc: dict[str, Any]) -> dict[str, Any]:
        """A job of somebody at this machine; gives its state, which may be `rejected`. Another one that is under way
        and was asked for here is cancelled, as on an uplink.
        """
        from gateway.jobs.work import LOCAL

        body = msgspec.json.encode({"v": 1, "id": id_, "ver": 1, "op": op, "doc": doc})
        await self.take(LOCAL, (op,), body)
        return next((row for row in self.view() if row["id"] == id_), {})

    def view(self) -> list[dict[str, Any]]:
        """All jobs that are known, the newest last: as they are told, with op, uplink and time of arrival."""
        rows = self._desk.rows() if self._desk is not None else []
        return [{**row.status(), "op": row.op, "via": row.via, "at": row.at} for row in rows]

    def left_out(self) -> dict[str, int]:
        """Messages on `job/next` that were not looked at because too many came, by uplink."""
        return dict(self._desk.left_out) if self._desk is not None else {}

    def end_of(self, id_: str) -> str | None:
        """How a job ended; empty while it has not, None for one that nobody knows."""
        rows = [row for row in self._desk.rows() if row.id == id_] if self._desk is not None else []
        if not rows:
            return None
        return rows[-1].state.value if rows[-1].final else ""

    def current(self) -> dict[str, Any] | None:
        """The job at work or next in turn, in a few words; None where there is none."""
        row = self._desk.turn() if self._desk is not None else None
        if row is None:
            return None
        shown: dict[str, Any] = {"id": row.id, "op": row.op, "state": row.state.value, "step": row.step}
        return shown if row.percent is None else {**shown, "percent": row.percent}

    # ------------------------------------------------------------------ opening

    def _open(self) -> JobDesk:
        if self._desk is not None:
            return self._desk
        from gateway.jobs.desk import JobDesk
        from gateway.jobs.worker import JobWorker
        from gateway.release import release_ms
        from gateway.runtime.joblog import JobLog
        from gateway.runtime.jobworks import JobWorks

        node = self._node
        works = JobWorks(node)
        desk = JobDesk(JobLog(node.store), works, node.clock, release_ms(), node.audit.record, self.box)
        desk.restore()
        self._desk, self._worker = desk, JobWorker(desk, works, node.clock)
        node.supervisor.add("jobs", self._worker.run)
        return desk
