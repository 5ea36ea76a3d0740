"""Changing the configuration of a running gateway: validate, make a generation, switch what differs, gate, confirm.

One change at a time. A change is pending until its gates hold (a touched uplink or channel that was up before is up
again) and, with a confirm window, until somebody confirms; else the previous generation comes back by itself. A
process that dies in between comes back with the previous generation (gateway/settings/generations.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from gateway.clock import Clock
from gateway.errors import ConfigError, GatewayError
from gateway.health import Health
from gateway.settings.generations import Generation, Generations
from gateway.settings.loader import read_tree
from gateway.settings.plan import Plan, diff
from gateway.settings.provisioned import Provisioned, joined, provisioned_of
from gateway.settings.types import GatewaySettings

GATE_UPLINK_S = 300.0
GATE_CHANNEL_S = 120.0
_LOOK_S = 0.25

_log = logging.getLogger("fieldpost.config")


class Busy(GatewayError):
    """Another change is pending: confirm it or roll it back first."""


class Switchable(Protocol):
    """The running gateway as the applier sees it."""

    @property
    def settings(self) -> GatewaySettings: ...

    async def switch(self, new: GatewaySettings, plan: Plan) -> None:
        """Make `new` run: restart the units that the plan names, leave the others alone."""
        ...

    def up(self) -> frozenset[str]:
        """Names of what is up now: `uplink:NAME`, `channel:NAME`."""
        ...


class _Pending(Struct):
    """A switched, unconfirmed change. `deadline` on the boot clock."""

    generation: Generation
    previous: Generation
    gates: frozenset[str]
    deadline: float
    needs_person: bool
    confirmed: bool = False


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
        self._lock = asyncio.Lock()
        self._pending: _Pending | None = None
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Supervised unit: watches a pending change to its end."""
        while True:
            pending = self._pending
            if pending is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._watch(pending)

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
            previous = self._active()
            left = brought.only(_by_channel(new.accepted))
            if new.hash == previous.hash:
                if left != brought:  # devices that the folder has by now: the same meaning, written elsewhere
                    previous = self._generations.create(joined(files, left), note=f"apply by {who}", hash=new.hash)
                    self._generations.activate(previous)
                self._emit_step("unchanged", previous, who)
                return {"ok": True, "generation": previous.number, "hash": new.hash, "unchanged": True, "lines": []}
            return await self._switch(new, joined(files, left), previous, confirm_within_s, who)

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
            return await self._switch(new, whole, previous, None, who, note)

    def _refuse_while_pending(self) -> None:
        if self._pending is not None:
            raise Busy(
                f"generation {self._pending.generation.number} is not confirmed yet; "
                "run fieldpost confirm or fieldpost rollback first"
            )

    async def _switch(
        self,
        new: GatewaySettings,
        files: Mapping[str, bytes],
        previous: Generation,
        confirm_within_s: float | None,
        who: str,
        note: str = "",
    ) -> dict[str, Any]:
        plan = diff(self._gateway.settings, new)
        gates = frozenset(plan.touched()) & self._gateway.up() if not note else frozenset[str]()
        generation = self._generations.create(files, note=note or f"apply by {who}", hash=new.hash)
        needs_person = confirm_within_s is not None
        window = confirm_within_s if confirm_within_s is not None else _gate_window(gates)
        wait = needs_person or bool(gates)
        self._generations.activate(generation, confirm_within_s=window if wait else None)
        try:
            await self._gateway.switch(new, plan)
        except Exception:
            target = self._generations.rollback(previous.number)
            self._emit_step("failed", generation, who)
            if self._gateway.settings.hash != target.hash:
                await self._back_to(target)
            raise
        self._emit_step("applied", generation, who)
        if wait:
            deadline = self._clock.mono() + window
            self._pending = _Pending(generation, previous, gates, deadline, needs_person)
            self._wake.set()
        return {
            "ok": True,
            "generation": generation.number,
            "hash": new.hash,
            "lines": plan.lines(),
            "restart_required": plan.process,
            "confirm_by": self._clock.wall_ms() + round(window * 1000) if needs_person else None,
            "gates": sorted(gates),
            "window_s": window if wait else None,
        }

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
            self._pending = None
            target = self._generations.rollback(to)
            await self._back_to(target)
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
            "waiting_for": sorted(self._pending.gates - self._gateway.up()),
        }

    async def _watch(self, pending: _Pending) -> None:
        while self._pending is pending:
            met = pending.gates <= self._gateway.up()
            if met and not pending.needs_person:
                async with self._lock:
                    if self._pending is pending:
                        self._settle(pending, "gates")
                return
            if self._clock.mono() >= pending.deadline:
                await self._revert(pending, met=met)
                return
            await self._clock.sleep(_LOOK_S)

    async def _revert(self, pending: _Pending, *, met: bool) -> None:
        async with self._lock:
            if self._pending is not pending:
                return
            down = ", ".join(sorted(pending.gates - self._gateway.up()))
            reason = "nobody confirmed it in time" if met else f"not up again in time: {down}"
            target = self._generations.rollback(None)
            await self._back_to(target)
            self._pending = None
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


def _gate_window(gates: frozenset[str]) -> float:
    return GATE_UPLINK_S if any(gate.startswith("uplink:") for gate in gates) else GATE_CHANNEL_S


__all__ = ["Applier", "Busy", "ConfigError", "Switchable"]
