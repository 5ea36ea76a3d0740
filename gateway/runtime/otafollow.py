"""From the request to the end of a trial: the updater and slotctl decide, the job tells."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gateway.atomic import replace_file
from gateway.jobs.work import Ended, JobCancelled, JobState, Running
from gateway.ota.gates import sentence
from gateway.ota.gates import told as told_gates
from gateway.ota.places import Places, kill_point
from gateway.ota.release import ReleaseRefused
from gateway.ota.request import asking, read_request
from gateway.ota.slots import SlotsView, look

if TYPE_CHECKING:
    from gateway.runtime.node import Node

_LOOK_S = 0.5
_ASK_AGAIN_S = 60.0
_STAGED_WITHIN_S = 45 * 60.0
"""Longer than the service manager lets the updater run."""
_LONGEST_TRIAL_S = 11 * 24 * 3600.0
"""Ten starts of a day each, the most that a release may ask for, and a day."""
_LET_GO_S = 20.0
"""A withdrawn request is told as cancelled after this at last: less than a job's desk waits."""
_BEGINS_WITHIN_S = 10.0


class Follow:
    """Of one job. `look_s`: how long a withdrawn request may be about to be read."""

    def __init__(self, node: Node, places: Places, running: Running, look_s: float = _BEGINS_WITHIN_S) -> None:
        self._node = node
        self._places = places
        self._running = running
        self._begins_s = look_s

    def ended(self, row: Mapping[str, Any]) -> Ended:
        """How a job ended, of what slotctl kept of it."""
        outcome = str(row.get("outcome", ""))
        state = _STATES.get(outcome, JobState.FAILED)
        updating = self._node.updating
        said = updating.detail(row) if updating is not None else {**row, "rolled_back": outcome == "ROLLED_BACK"}
        gates = dict(said.get("gates") or {})
        told = {"rolled_back": said["rolled_back"], "confirmed_offline": gates.pop("confirmed_offline", None)}
        told |= {"slot": said.get("slot"), "reason": said.get("reason"), "gates": gates or None}
        detail = {**_going(self._running.kept), **{name: value for name, value in told.items() if value is not None}}
        text = str(row.get("text") or row.get("slot") or outcome.lower())
        if state is JobState.FAILED:
            text = sentence(text, told_gates(gates))
        return Ended(state, text, 500 if state is JobState.FAILED else 200, detail)

    def is_asked(self) -> bool:
        """Whether the updater is asked for this very job."""
        try:
            return read_request(self._places.request).job == self._running.job.id
        except ReleaseRefused:
            return False

    async def ask(self, target: str) -> None:
        """Write the request: the service manager starts the updater. Nothing is changed yet. Raises JobCancelled, and
        ReleaseRefused `busy` where somebody else's request came first.
        """
        running = self._running
        if running.cancelled.is_set():
            raise JobCancelled("cancelled before it was staged")
        await running.step("stage", **_going(running.kept))
        kill_point("job.before-request")
        await asyncio.to_thread(self._ask, json.dumps({"job": running.job.id, "target": target}).encode())
        kill_point("job.requested")

    def _ask(self, body: bytes) -> None:
        with asking(self._places, self._running.job.id):
            replace_file(self._places.request, body)

    async def run(self) -> Ended:
        """Until the state of the slots says how it ended."""
        clock, asked_at, begun = self._node.clock, self._node.clock.mono(), self._node.clock.mono()
        tried = False
        while True:
            view = await asyncio.to_thread(look, self._places)
            row = view.job(self._running.job.id)
            if row is not None:
                return self.ended(row)
            if view.trial is not None and view.trial.job == self._running.job.id:
                await self._tell_trial(view, first=not tried)
                tried = True
            elif tried:
                tried = False  # its end is being written
            elif self._running.cancelled.is_set():
                return await self._withdraw()
            elif clock.mono() - begun > _STAGED_WITHIN_S:
                await asyncio.to_thread(self._places.request.unlink, missing_ok=True)
                return Ended(JobState.FAILED, "the updater did not answer", 500, {"reason": "updater"})
            elif clock.mono() - asked_at > _ASK_AGAIN_S and not await asyncio.to_thread(self._is_at_work):
                asked_at = clock.mono()
                await asyncio.to_thread(self._ask_again)
            if clock.mono() - begun > _LONGEST_TRIAL_S:
                return Ended(JobState.FAILED, "its trial did not end", 500, {"reason": "updater"})
            await self._pause()

    async def _pause(self) -> None:
        """A moment; the first word of a cancellation ends it."""
        if self._running.cancelled.is_set():
            await self._node.clock.sleep(_LOOK_S)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self._running.cancelled.wait()

    async def _tell_trial(self, view: SlotsView, *, first: bool) -> None:
        """It is past the point of no return; how often it may still start, and which gates hold."""
        assert view.trial is not None
        if first:
            await self._running.commit(decided=True)
        updating = self._node.updating
        gates = dict(updating.view()["gates"]) if updating is not None else {}
        told: dict[str, Any] = {"slot": view.trial.slot, "tries_left": view.trial.tries_left, "gates": gates}
        await self._running.step("trial", **_going(self._running.kept), **told)

    async def _withdraw(self) -> Ended:
        """Take the request away. The updater looks at it again before its commit point, so the state decides."""
        clock = self._node.clock
        if await asyncio.to_thread(self.is_asked):
            await asyncio.to_thread(self._places.request.unlink, missing_ok=True)
        began = clock.mono()
        while clock.mono() - began < _LET_GO_S:
            view = await asyncio.to_thread(look, self._places)
            row = view.job(self._running.job.id)
            if row is not None:
                return self.ended(row)
            if view.trial is not None and view.trial.job == self._running.job.id:
                return await self.run()
            if clock.mono() - began > self._begins_s and not await asyncio.to_thread(self._is_at_work):
                break
            await clock.sleep(_LOOK_S)
        return Ended(JobState.CANCELLED, "cancelled before it was tried", detail=_going(self._running.kept))

    def _is_at_work(self) -> bool:
        """Whether an updater has taken an inbox up."""
        return any(self._places.base.glob(".inbox-*"))

    def _ask_again(self) -> None:
        """The service manager saw no change, or the power went before the updater was started."""
        with contextlib.suppress(OSError):
            replace_file(self._places.request, self._places.request.read_bytes())


_STATES = {"SUCCEEDED": JobState.SUCCEEDED, "CANCELLED": JobState.CANCELLED}


def _going(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {name: kept[name] for name in ("from", "to") if name in kept}
