"""Changing the configuration of a running gateway: validate, make a generation, switch what differs, gate, confirm.

One change at a time. A change is pending until its gates hold (a touched uplink or channel that was up before is up
again) and, with a confirm window, until somebody confirms; else the previous generation comes back by itself. A
process that dies in between comes back with the previous generation, or tries once more where no person was to confirm
(gateway/settings/generations.py). What a job brought is judged more strictly, and its end kept for whoever asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from gateway.clock import Clock
from gateway.errors import ConfigError, GatewayError
from gateway.health import Health
from gateway.runtime.configgates import RULES, ConfigGates, Judged
from gateway.settings.generations import Generation, GenerationError, Generations, Outcome, Trial
from gateway.settings.loader import read_tree
from gateway.settings.plan import Plan, diff
from gateway.settings.provisioned import Provisioned, joined, provisioned_of
from gateway.settings.types import GatewaySettings

_LOOK_S = 0.25
_LATE_S = 120.0

_log = logging.getLogger("fieldpost.config")


class Busy(GatewayError):
    """Another change is pending: confirm it or roll it back first."""


class Switchable(Judged, Protocol):
    """The running gateway as the applier sees it."""

    async def switch(self, new: GatewaySettings, plan: Plan) -> None:
        """Make `new` run: restart the units that the plan names, leave the others alone."""
        ...


class _Pending(Struct):
    """A switched, unconfirmed change. `deadline` and `well_since` on the boot clock."""

    generation: Generation
    deadline: float
    needs_person: bool
    trial: Trial
    ended: asyncio.Event
    well_since: float | None = None
    again: bool = False


class _Order(Struct, frozen=True):
    """Who wants a change. `note`: it is kept at once, without gates. `trial` names the job that brought it, and
    `commit` is asked when all is ready: from then on the job cannot be cancelled.
    """

    who: str
    confirm_within_s: float | None = None
    note: str = ""
    trial: Trial | None = None
    commit: Callable[[], Awaitable[None]] | None = None


class Applier:
    """Owns the generations of a running gateway."""

    def __init__(
        self,
        gateway: Switchable,
        generations: Generations,
        load: Callable[[Mapping[str, bytes]], GatewaySettings],
        clock: Clock,
        health: Health,
        emit: Callable[[dict[str, Any]], None],
    ) -> None:
        self._gateway = gateway
        self._generations = generations
        self._load = load
        self._clock = clock
        self._health = health
        self._emit = emit
        self._gates = ConfigGates(gateway, health)
        self._lock = asyncio.Lock()
        self._pending: _Pending | None = None
        self._wake = asyncio.Event()
        self._try_again()

    async def run(self) -> None:
        """Supervised unit: watches a pending change to its end."""
        while True:
            pending = self._pending
            if pending is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            if pending.again:
                pending.again = False
                self._emit_step("tried_again", pending.generation, "gateway")
            await self._watch(pending)

    def _try_again(self) -> None:
        """A change that was on trial when the process before ended goes on with it, with its whole window."""
        waiting = self._generations.pending()
        if waiting is None or waiting.trial is None:
            return
        deadline = self._clock.mono() + waiting.trial.window_s
        generation = self._generations.get(waiting.number)
        self._pending = _Pending(generation, deadline, False, waiting.trial, asyncio.Event(), again=True)

    def plan(self, folder: Path) -> Plan:
        """What applying `folder` would do. Raises ConfigError with all problems."""
        return diff(self._gateway.settings, self._load(joined(read_tree(folder), self.provisioned())))

    def provisioned(self) -> Provisioned:
        """The devices that discovery brought in, of the active generation."""
        active = self._generations.active()
        return provisioned_of(active.files()) if active is not None else Provisioned()

    async def apply(self, folder: Path, *, confirm_within_s: float | None, who: str) -> dict[str, Any]:
        """Make `folder` the running configuration. Raises ConfigError (nothing changed) or Busy."""
        files = await asyncio.to_thread(read_tree, folder)
        async with self._lock:
            self._refuse_while_pending()
            brought = self.provisioned()
            new = await asyncio.to_thread(self._load, joined(files, brought))
            return await self._change(new, files, brought, _Order(who, confirm_within_s))

    async def apply_from_afar(
        self,
        files: Mapping[str, bytes],
        trial: Trial,
        *,
        who: str,
        check: Callable[[GatewaySettings], Awaitable[None]],
        commit: Callable[[], Awaitable[None]],
    ) -> dict[str, Any]:
        """Make `files` the running configuration for a job; `ended` says how it went. `trial` names the job. `check`
        looks at the settings and refuses by raising. Raises ConfigError or whatever these raise (nothing changed), or
        Busy.
        """
        async with self._lock:
            self._refuse_while_pending()
            brought = self.provisioned()
            new = await asyncio.to_thread(self._load, joined(files, brought))
            await check(new)
            return await self._change(new, files, brought, _Order(who, trial=trial, commit=commit))

    async def ended(self, job: str) -> Outcome | None:
        """How the change that this job brought ended, when it has; None when there was none. Raises TimeoutError."""
        pending = self._pending
        if pending is not None and pending.trial.job == job:
            async with asyncio.timeout(pending.trial.window_s + pending.trial.hold_s + _LATE_S):
                await pending.ended.wait()
        return self._generations.outcome(job)

    async def _change(
        self, new: GatewaySettings, files: Mapping[str, bytes], brought: Provisioned, order: _Order
    ) -> dict[str, Any]:
        previous = active = self._active()
        left = brought.only(_by_channel(new.accepted))
        if new.hash != previous.hash:
            return await self._switch(new, joined(files, left), previous, order)
        whole = joined(files, left)
        if order.commit is not None:
            await order.commit()
        # the same meaning, written elsewhere: devices that the folder has by now, other comments in a tree from afar
        if (left != brought) if order.trial is None else (whole != previous.files()):
            previous = self._stored(whole, f"apply by {order.who}", new.hash)
        if previous != active or order.trial is not None:
            with _on_disk():
                self._generations.activate(previous, trial=order.trial)
        self._emit_step("unchanged", previous, order.who)
        return {"ok": True, "generation": previous.number, "hash": new.hash, "unchanged": True, "lines": []}

    async def provision(self, change: Callable[[Provisioned], Provisioned], *, note: str, who: str) -> dict[str, Any]:
        """Bring devices in, or take them out, with no other change: `change` gives what is to be there. The folder's
        files stay those of the active generation, applied or not. It is kept at once: what somebody was told is done is
        not undone by a kill. Raises ConfigError (nothing changed) or Busy.
        """
        async with self._lock:
            self._refuse_while_pending()
            previous = self._active()
            files = previous.files()
            wanted = change(provisioned_of(files))
            new = await asyncio.to_thread(self._load, joined(files, wanted))
            whole = joined(files, wanted.only(_by_channel(new.accepted)))
            if new.hash == previous.hash:
                return {"ok": True, "generation": previous.number, "hash": new.hash, "lines": []}
            return await self._switch(new, whole, previous, _Order(who, note=note))

    def _refuse_while_pending(self) -> None:
        if self._pending is not None:
            raise Busy(
                f"generation {self._pending.generation.number} is not confirmed yet; "
                "run fieldpost confirm or fieldpost rollback first"
            )

    async def _switch(
        self, new: GatewaySettings, files: Mapping[str, bytes], previous: Generation, order: _Order
    ) -> dict[str, Any]:
        plan = diff(self._gateway.settings, new)
        needs_person = order.confirm_within_s is not None
        trial = self._trial(plan, order)
        wait = needs_person or bool(trial.gates) or bool(trial.job)
        generation = self._stored(files, order.note or f"apply by {order.who}", new.hash)
        _at("stored")
        if order.commit is not None:
            await order.commit()
        with _on_disk():
            self._generations.activate(generation, trial.window_s if wait else None, None if needs_person else trial)
        _at("pending")
        try:
            await self._gateway.switch(new, plan)
        except Exception as error:
            target = self._generations.rollback(previous.number, reason=f"it could not be switched in: {error}")
            self._emit_step("failed", generation, order.who)
            if self._gateway.settings.hash != target.hash:
                await self._back_to(target)
            raise
        self._emit_step("applied", generation, order.who)
        _at("applied")
        if wait:
            deadline = self._clock.mono() + trial.window_s
            self._pending = _Pending(generation, deadline, needs_person, trial, asyncio.Event())
            self._wake.set()
        return {
            "ok": True,
            "generation": generation.number,
            "hash": new.hash,
            "lines": plan.lines(),
            "restart_required": plan.process,
            "confirm_by": self._clock.wall_ms() + round(trial.window_s * 1000) if needs_person else None,
            "gates": list(trial.gates),
            "window_s": trial.window_s if wait else None,
        }

    def _trial(self, plan: Plan, order: _Order) -> Trial:
        """What the change waits for, by what is up now and by the settings that run now."""
        if order.trial is not None:
            return self._gates.from_afar(plan, order.trial)
        trial = Trial() if order.note else self._gates.local(plan)
        return trial if order.confirm_within_s is None else replace(trial, window_s=order.confirm_within_s)

    def _stored(self, files: Mapping[str, bytes], note: str, name: str) -> Generation:
        with _on_disk():
            return self._generations.create(files, note=note, hash=name)

    async def confirm(self, who: str) -> dict[str, Any]:
        """A person says that the pending change is good."""
        async with self._lock:
            pending = self._pending
            if pending is None:
                return {"ok": True, "generation": self._active().number, "text": "nothing was waiting for a confirm"}
            self._settle(pending, who)
            return {"ok": True, "generation": pending.generation.number}

    async def rollback(self, who: str, to: int | None = None) -> dict[str, Any]:
        """Back to the generation before the pending one, or to generation `to`, or to the one before the active."""
        async with self._lock:
            pending = self._pending
            target = self._generations.rollback(to, reason=f"taken back by {who}")
            self._pending = None
            try:
                await self._back_to(target)
            finally:
                if pending is not None:
                    pending.ended.set()
            self._emit_step("rolled_back", target, who)
            return {"ok": True, "generation": target.number, "hash": target.hash}

    def pending(self) -> dict[str, Any] | None:
        """For `status`: what waits and how long."""
        if self._pending is None:
            return None
        left = max(0.0, self._pending.deadline - self._clock.mono())
        return {
            "generation": self._pending.generation.number,
            "left": round(left * 1000),
            "needs_confirm": self._pending.needs_person,
            "waiting_for": self._gates.missing(self._pending.trial),
        }

    async def _watch(self, pending: _Pending) -> None:
        while self._pending is pending:
            missing, now = self._gates.missing(pending.trial), self._clock.mono()
            if missing:
                pending.well_since = None
            elif pending.well_since is None:
                pending.well_since = now
            held = pending.well_since is not None and now - pending.well_since >= pending.trial.hold_s
            held = held and (now >= pending.deadline or not self._gates.undecided(pending.trial))
            if held and not pending.needs_person:
                async with self._lock:
                    if self._pending is pending and self._kept(pending):
                        return
            elif RULES in missing or (now >= pending.deadline and (missing or pending.needs_person)):
                await self._revert(pending, missing)
                return
            await self._clock.sleep(_LOOK_S)

    def _kept(self, pending: _Pending) -> bool:
        """False when it cannot be written now: it is tried again at the next look."""
        _at("healthy")
        try:
            self._settle(pending, "gates")
        except OSError as error:
            _log.error("the change is good, and that cannot be kept: %s", error)
            return False
        _at("confirmed")
        return True

    async def _revert(self, pending: _Pending, missing: Sequence[str]) -> None:
        async with self._lock:
            if self._pending is not pending:
                return
            reason = self._gates.reason(missing)
            target = self._generations.rollback(None, reason=reason, bad=bool(missing))
            self._pending = None
            try:
                await self._back_to(target)
            except GatewayError as error:  # the next start has it: that is on disk
                reason = f"{reason}; generation {target.number} comes back with the next start: {error}"
            finally:
                pending.ended.set()
            self._emit_step("reverted", target, "gateway", reason=reason)
            self._health.set(
                "config_reverted",
                "config",
                f"generation {pending.generation.number} was reverted to {target.number}: {reason}",
                "correct the configuration and apply it again",
            )

    async def _back_to(self, target: Generation) -> None:
        settings = self._load(target.files())
        await self._gateway.switch(settings, diff(self._gateway.settings, settings))

    def _settle(self, pending: _Pending, who: str) -> None:
        self._generations.confirm()
        self._pending = None
        pending.ended.set()
        self._health.clear("config_reverted", "config")
        self._emit_step("confirmed", pending.generation, who)

    def _active(self) -> Generation:
        active = self._generations.active()
        if active is None:
            raise GatewayError("there is no active generation")
        return active

    def _emit_step(self, step: str, generation: Generation, who: str, **details: Any) -> None:
        reason = f": {details['reason']}" if "reason" in details else ""
        _log.info("configuration %s: generation %d, by %s%s", step, generation.number, who, reason)
        self._emit(
            {
                "ts": self._clock.wall_ms(),
                "kind": "config",
                "step": step,
                "generation": generation.number,
                "hash": generation.hash,
                "who": who,
                **details,
            }
        )


def _by_channel(accepted: Sequence[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for channel, device in accepted:
        found.setdefault(channel, set()).add(device)
    return found


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GenerationError(f"the configuration cannot be kept: {error.strerror}") from error


def _at(point: str) -> None:
    """Where tests of power cuts end this process."""
    if "OTA_KILL_AT" in os.environ:
        from gateway.ota.places import kill_point

        kill_point(f"config-{point}")


__all__ = ["Applier", "Busy", "ConfigError", "Switchable"]
