"""A desk and its worker over a real store, with a work that does what a test tells it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

from gateway.audit import Audit
from gateway.jobs.desk import JobDesk
from gateway.jobs.row import JobRow
from gateway.jobs.work import Ended, Job, JobRefused, JobState, Running
from gateway.jobs.worker import JobWorker
from gateway.runtime.joblog import JobLog
from gateway.testing import ManualClock
from gateway.uplink.joblink import JobBox
from tests.unit.store.kit import RELEASE_MS, opened

OPS = ("ota", "driver", "config", "restart")
Act = Callable[[Running], Awaitable[Ended]]


class Plant:
    """The work of op `config`. `acts`: what it does with a job, by id; else it ends well at once. `doc` may have the
    key `set`, which ends up in `effects`.
    """

    def __init__(self) -> None:
        self.acts: dict[str, Act] = {}
        self.effects: list[Any] = []
        self.begun: list[tuple[str, bool]] = []

    def check(self, job: Job) -> None:
        if strange := job.doc.keys() - {"set"}:
            raise JobRefused(f"doc.{min(strange)}: not known", detail={"keys": sorted(strange)})

    async def run(self, running: Running) -> Ended:
        self.begun.append((f"{running.job.id}/{running.job.ver}", running.resumed))
        act = self.acts.get(running.job.id)
        if act is not None:
            return await act(running)
        self.effects.append(running.job.doc.get("set"))
        return Ended(JobState.SUCCEEDED, "set")


class Works:
    def __init__(self, plant: Plant) -> None:
        self.plant = plant

    def knows(self, op: str) -> bool:
        return op == "config"

    def get(self, op: str) -> Plant | None:
        return self.plant if op == "config" else None


class Bench:
    """One life of the gateway: `kill` ends it as a power cut does. Statuses that were told, per uplink, in `told`, where
    the desk is not `linked` to uplinks.
    """

    def __init__(self, path: Path, clock: Any = None, plant: Plant | None = None, *, linked: bool = False) -> None:
        self.path = path
        self.linked = linked
        self.clock = clock or ManualClock()
        self.plant = plant or Plant()
        self.store = opened(path, self.clock)
        self.boxes: defaultdict[str, JobBox] = defaultdict(JobBox)
        self.told: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        works = Works(self.plant)
        audit = Audit(self.clock, self.store)
        self.desk = JobDesk(JobLog(self.store), works, self.clock, RELEASE_MS, audit.record, self.boxes.__getitem__)
        self.worker = JobWorker(self.desk, works, self.clock)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.desk.restore()
        self._tasks = [asyncio.ensure_future(self.worker.run()), asyncio.ensure_future(self._keep())]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def kill(self) -> None:
        for tasks in (self._tasks, self.desk._tasks):  # what is sheltered ends with the process only
            ending = list(tasks)
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
        self._tasks = []
        self.store.abandon()

    async def _keep(self) -> None:
        """Commit, and empty the boxes as links do."""
        while True:
            await self.store.commit()
            for uplink, box in self.boxes.items() if not self.linked else ():
                while box.pending:
                    status = box.pending.pop(next(iter(box.pending)))
                    self.told[uplink].append(json.loads(json.dumps(status.body)))
            await asyncio.sleep(0.0005)

    async def put(self, id_: str, *, ver: int = 1, uplink: str = "cloud", ops: Any = OPS, **more: Any) -> None:
        """A job stands on `job/next`."""
        body = {"v": 1, "id": id_, "ver": ver, "op": "config", "doc": {}, **more}
        await self.desk.take(uplink, ops, json.dumps(body).encode())

    async def clear(self, uplink: str = "cloud") -> None:
        await self.desk.take(uplink, OPS, b"")

    def row(self, id_: str, ver: int = 1) -> JobRow:
        """As it is on disk."""
        return next(row for row in JobLog(self.store).rows() if (row.id, row.ver) == (id_, ver))

    def states(self, id_: str, ver: int = 1, uplink: str = "cloud") -> list[str]:
        return [told["state"] for told in self.told[uplink] if (told["id"], told["ver"]) == (id_, ver)]

    def last(self, id_: str, ver: int = 1, uplink: str = "cloud") -> dict[str, Any]:
        mine = [told for told in self.told[uplink] if (told["id"], told["ver"]) == (id_, ver)]
        return mine[-1] if mine else {"state": "", "step": "", "detail": {}}

    async def until(self, condition: Callable[[], Any], why: str = "") -> None:
        await until(condition, f"{why}; told: {dict(self.told)}")

    async def ended(self, id_: str, state: str = "succeeded", ver: int = 1, uplink: str = "cloud") -> dict[str, Any]:
        """The last status of a job, when it has that state."""
        await self.until(lambda: self.states(id_, ver, uplink)[-1:] == [state], f"{id_} v{ver} is {state}")
        return self.last(id_, ver, uplink)

    async def passes(self, seconds: float) -> None:
        """Time passes, when what is under way has come to rest."""
        for _ in range(5):
            await self.store.commit()
            await asyncio.sleep(0)
        await self.clock.advance(seconds)

    async def entries(self, kind: str) -> list[dict[str, Any]]:
        await self.store.commit()
        return [one for one in self.store.entries_view("event", limit=1000) if one["kind"] == kind]


class Port:
    """A gateway.uplink.ports.JobPort over the desk of a bench that is `linked`."""

    def __init__(self, bench: Bench) -> None:
        self.take = bench.desk.take
        self.reconnected = bench.desk.reconnected
        self.told = bench.desk.told
        self.box = bench.boxes.__getitem__


async def until(condition: Callable[[], Any], why: str = "") -> None:
    """Let the loop and the store's thread work until it holds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, why
        await asyncio.sleep(0.001)


class Gate:
    """A work that waits: until it is let go, or cancelled."""

    def __init__(self, *, commits: bool = False) -> None:
        self.commits = commits
        self.open = asyncio.Event()
        self.inside = asyncio.Event()

    async def __call__(self, running: Running) -> Ended:
        await running.step("apply", keep={"seen": 1 + running.kept.get("seen", 0)})
        if self.commits:
            await running.commit()
        self.inside.set()
        waits = [asyncio.ensure_future(self.open.wait()), asyncio.ensure_future(running.cancelled.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)
        if running.cancelled.is_set():
            return Ended(JobState.CANCELLED, "nothing was changed")
        return Ended(JobState.SUCCEEDED)
