"""The gateway's part in updates: it makes room for a release that is to be tried, judges itself when it is the one,
and tells how jobs ended. It changes nothing of the slots: it reads their state and writes a confirmation.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import Mapping
from typing import Any

from gateway.atomic import replace_file
from gateway.errors import GatewayError
from gateway.journal import Level
from gateway.ota import gates, scripts
from gateway.ota.gates import Picture, Vital
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused
from gateway.ota.request import read_request
from gateway.ota.slots import SlotsView, TrialView, look
from gateway.runtime.node import Node
from gateway.store.state import State

LOOK_S = 1.0
_PROBE_S = 10.0
_AGAIN_S = 10.0
_STORE_S = 10.0
_MEMORY = "gateway.updating"
"""Rows of this part; no channel can be called so."""
_MOST_WHY = 16
"""Jobs of which it is kept which gates their releases did not pass."""
_TOLD = {"SUCCEEDED": "succeeded", "FAILED": "failed", "ROLLED_BACK": "failed"}

_log = logging.getLogger("fieldpost.update")


class Updating:
    """Runs where the gateway was started from a slot."""

    def __init__(self, node: Node, places: Places, slot: str) -> None:
        self._node, self._places, self._slot = node, places, slot
        self._memory = node.store.memory(_MEMORY)
        self._baseline = node.settings.store.path / "ota" / "baseline.json"
        self._before = gates.restore(self._baseline)
        self._view = look(places)
        self._passed_over = _identity(self._view.trial)
        self._gates: dict[str, str] = {}
        self._well_since: float | None = None
        self._confirmed_at = self._probed_at = float("-inf")
        self._store, self._said = "", gates.OK
        self._scripts: list[str] = []
        self._leaving = False

    async def run(self) -> None:
        """The supervised unit."""
        trial = self._view.trial
        if trial is not None and trial.slot != self._slot:
            _log.warning("%s should be tried, but its start could not be counted: %s runs", trial.slot, self._slot)
        await asyncio.to_thread(self._ask_again)
        while True:
            self._view, self._scripts = await asyncio.to_thread(self._look)
            self._tell(self._view)
            self._tell_refused(self._view)
            await self._follow(self._view)
            await self._node.clock.sleep(LOOK_S)

    def _look(self) -> tuple[SlotsView, list[str]]:
        return look(self._places), scripts.names(self._places.checks)

    def _ask_again(self) -> None:
        """A request whose job never ended: the power went while the updater was at it, and nobody would start it."""
        try:
            request = read_request(self._places.request)
        except ReleaseRefused:
            return
        trial = self._view.trial
        if self._view.job(request.job) is None and (trial is None or trial.job != request.job):
            _log.info("update job %s was not ended: the updater is asked again", request.job)
            with contextlib.suppress(OSError):
                replace_file(self._places.request, self._places.request.read_bytes())

    def view(self) -> dict[str, Any]:
        """What `fieldpost ota status` adds to the state of the slots."""
        held = 0.0 if self._well_since is None else self._node.clock.mono() - self._well_since
        live = {"slot": self._slot, "gates": self._gates, "held_s": round(held, 1), "scripts": self._scripts}
        return {**live, "why": self._memory.get("why") or {}}

    def _keep_why(self, job: str, bad: str) -> None:
        """Which gates the release of a job did not pass: of the latest jobs, for `fieldpost ota history`."""
        known = self._memory.get("why") or {}
        if bad and known.get(job) != bad:
            kept = [*((name, text) for name, text in known.items() if name != job), (job, bad)]
            self._memory.put("why", dict(kept[-_MOST_WHY:]))

    async def _follow(self, view: SlotsView) -> None:
        trial = view.trial
        if trial is None:
            self._gates, self._well_since = {}, None
        elif trial.slot == self._slot:
            await self._judge(trial)
        elif _identity(trial) != self._passed_over and not self._leaving:
            self._leave(trial)

    def _leave(self, trial: TrialView) -> None:
        """Note what is up, then end in order: the service manager starts what is to be tried."""
        self._leaving = True
        try:
            gates.save(self._baseline, self._picture())
        except OSError as error:
            _log.warning("what is up now cannot be kept, so the new release is not measured by it: %s", error)
        _log.info("%s is tried next: ending", trial.slot)
        os.kill(os.getpid(), signal.SIGTERM)

    async def _judge(self, trial: TrialView) -> None:
        node, now = self._node, self._node.clock.mono()
        if now - self._probed_at >= _PROBE_S:
            self._store = await self._probe()
            self._said = await scripts.run_all(self._places.checks, self._slot)
            self._probed_at = now = node.clock.mono()
        vital = Vital(node.lags().get("p99", 0.0), gates.own_memory(), gates.most_memory(), self._store, self._said)
        before = self._gates
        self._gates = gates.judge(self._before, self._picture(), self._known(), vital)
        if self._gates != before:
            _log.info("on trial: %s", gates.told(self._gates) or "all is well")
        bad = gates.failed(self._gates)
        if bad.keys() != gates.failed(before).keys():
            self._memory.put("gates", [self._slot, trial.job, bad])  # for the release that runs if this one is given up
        if not node.ready or bad:
            self._well_since = None
        elif self._well_since is None:
            self._well_since = now
        if self._well_since is not None and now - self._well_since >= trial.soak_s:
            await self._confirm(now)

    async def _confirm(self, now: float) -> None:
        """Say that all is well, again until it is heard."""
        if now - self._confirmed_at < _AGAIN_S:
            return
        self._confirmed_at = now
        said: dict[str, Any] = dict(self._gates)
        if gates.was_offline(self._before):
            said["confirmed_offline"] = True
        body = json.dumps({"slot": self._slot, "pid": os.getpid(), "gates": said}).encode()
        try:
            await asyncio.to_thread(replace_file, self._places.confirm, body)
        except OSError as error:
            _log.error("the confirmation cannot be written: %s", error)
        else:
            _log.info("all gates held: %s is confirmed", self._slot)

    async def _probe(self) -> str:
        """Write to the store and see it kept."""
        stamp = self._node.clock.wall_ms()
        try:
            self._memory.put("probe", stamp)
            async with asyncio.timeout(_STORE_S):
                await self._node.store.commit()
        except TimeoutError:
            return f"no commit within {_STORE_S:.0f} s"
        except GatewayError as error:
            return str(error)
        return (
            "" if self._node.store.table("memory").get(f"{_MEMORY}/probe") == stamp else "does not keep what is written"
        )

    def _picture(self) -> Picture:
        stats = self._node.store.stats()
        issues = {f"{one.id}:{one.entity}" for one in self._node.health.open() if one.entity in {"config", "store"}}
        last = {stream: int(row["last"]) for stream, row in stats["streams"].items()}
        done = _acknowledged(self._node.store.state)
        return Picture(self._node.up(), int(stats["epoch"]), last, done, frozenset(issues))

    def _known(self) -> frozenset[str]:
        settings = self._node.settings
        return frozenset(
            [f"channel:{one.id}" for one in settings.channels]
            + [f"uplink:{one.name}" for one in settings.uplinks]
            + [f"server:{one.name}" for one in settings.servers]
        )

    def _tell(self, view: SlotsView) -> None:
        """How a job ended: once in the journal, and as an issue while nothing better followed."""
        outcome = _TOLD.get(str(view.result.get("outcome")))
        if outcome is None:
            return
        detail = self.detail(view.result)
        if outcome == "failed" and view.result.get("reason") != "operator":
            slot, bad = str(view.result.get("slot", "")), gates.told(detail.get("gates", {}))
            self._keep_why(str(view.result.get("job", "")), bad)
            text = gates.sentence(str(view.result.get("text", "")), bad)
            repair = "`fieldpost ota history` says more; correct the release or this machine, then send it again"
            self._node.health.set("update_failed", "update", f"{slot or 'an update'}: {text}", repair)
        else:
            self._node.health.clear("update_failed", "update")
        key = [view.result.get("job"), view.result.get("outcome"), view.result.get("at")]
        if self._memory.get("told") == key:
            return
        end = self._node.jobs.end_of(str(view.result.get("job", "")))
        if end == "":
            return  # its job is at work: that tells it
        if end == outcome:
            self._memory.put("told", key)
            return
        entry = {"ts": self._node.clock.wall_ms(), "kind": "job", "op": "ota", "job": str(view.result.get("job", ""))}
        self._node.store.append_entry("event", {**entry, "state": outcome, "detail": detail}, Level.NOW)
        self._memory.put("told", key)

    def detail(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """How a job ended, for people and the cloud: what slotctl kept of it, whether the release before runs again,
        and of one that was taken back the gates that it did not pass.
        """
        detail = {name: value for name, value in result.items() if name not in {"job", "outcome", "at"}}
        detail["rolled_back"] = result.get("outcome") == "ROLLED_BACK"
        slot, job, verdicts = self._memory.get("gates") or ("", "", {})
        if detail["rolled_back"] and [slot, job] == [result.get("slot"), result.get("job")]:
            detail["gates"] = verdicts
        return detail

    def _tell_refused(self, view: SlotsView) -> None:
        """Confirmations that slotctl did not take: whoever wrote them had the rights of the gateway."""
        told = self._memory.get("refused") or 0
        numbers = [int(row.get("n", 0)) for row in view.refused]
        if not numbers or numbers[-1] == told:
            return
        for number, row in zip(numbers, view.refused, strict=True):
            if number > told or numbers[-1] < told:  # lower: the state of the slots began anew
                self._node.audit.record("gateway", "local", "ota_confirm_refused", text=str(row.get("text", "")))
        self._memory.put("refused", numbers[-1])


def _identity(trial: TrialView | None) -> tuple[str, str] | None:
    """What makes a trial another one: not how often it was started."""
    return None if trial is None else (trial.slot, trial.job)


def _acknowledged(state: State) -> dict[str, int]:
    """Up to which number of this epoch each consumer is done with each stream, without a hole."""
    done = {(name, stream): ranges for (name, stream, epoch), ranges in state.cursors.items() if epoch == state.epoch}
    return {f"{name}/{stream}": ranges[0][1] for (name, stream), ranges in done.items() if ranges and ranges[0][0] == 1}
