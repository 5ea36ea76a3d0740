"""The world of the shadow model: a cloud, a bag of messages, the real gateway side over its store, one device.

Steps in any order; `check` after each. Times pass only when a step says so.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

from gateway.model import DeviceState
from gateway.shadows import rows
from gateway.shadows.values import ShadowError
from tests.model.shadow_checks import Observer, check_all
from tests.model.shadow_cloud import Cloud, Reference
from tests.model.shadow_terms import BAD, DEV, Message, make_device
from tests.support.shadowed import ShadowGateway

T = TypeVar("T")

_FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""A kill is not a power cut: what was written is there, so the steps need not wait for a disk."""


class World:
    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="shadow-model-", dir=_FAST))
        self._loop = asyncio.new_event_loop()
        self.cloud = Cloud()
        self.copy: Cloud | None = None
        self.highest = 0
        """Greatest version that any cloud ever gave."""
        self.bag: list[Message] = []
        self.reports: list[dict[str, Any]] = []
        """Reported documents on their way."""
        self.reference = Reference()
        spec, self.device = make_device()
        self.gateway = ShadowGateway(self._directory / "state", {DEV: (spec, self.device)})
        self.answers: dict[str, Any] = {}
        self.kept: dict[str, Any] = {}
        """What the last checkpoint has."""
        self.observer = Observer(self)
        self._run(self._open())
        self.poll()

    def _run(self, work: Awaitable[T]) -> T:
        return self._loop.run_until_complete(_as_coroutine(work))

    async def _open(self) -> None:
        self.device.shown = dict(self.kept)
        self.gateway.open()
        self.observer.attach()
        self.gateway.start()
        await self.gateway.settle()

    def do(self, work: Awaitable[T]) -> T:
        return self._run(self.gateway.do(work))

    @property
    def shadow(self) -> Any:
        return self.gateway.keeper.get(DEV)

    # --- the cloud

    def set(self, values: dict[str, Any], *, rid: bool, twice: bool) -> None:
        message = self.cloud.set(values, ts=self.gateway.clock.wall_ms(), rid=f"r{self.highest}" if rid else None)
        self._sent(message, twice=twice)

    def document(self, *, meta: bool, twice: bool) -> None:
        if self.cloud.ver:
            self._sent(self.cloud.document(meta=meta), twice=twice)

    def _sent(self, message: Message, *, twice: bool) -> None:
        self.highest = max(self.highest, self.cloud.ver)
        self.bag += [message] * (2 if twice else 1)

    def restore_cloud(self) -> None:
        assert self.copy is not None
        self.cloud = self.copy.copied()
        self.cloud.counter_lost = True

    # --- the net

    def deliver(self, which: int, *, keep: bool) -> None:
        at = which % len(self.bag)
        self.take(self.bag[at] if keep else self.bag.pop(at))

    def take(self, message: Message) -> None:
        before = rows.encode(self.shadow)
        full = self.shadow.meta.full_ver
        if message.whole:
            refused, answer = self.do(self.gateway.desk.desired(DEV, message.payload)), None
        else:
            refused, answer = self.do(self.gateway.desk.patch(DEV, message.payload))
        if refused is not None:
            assert message.bad, f"H16: {refused.text}"
            assert refused.ver <= message.ver, "H11: of a version that nobody gave"
            assert repr(rows.encode(self.shadow)) == repr(before), "H16, H19: a refused message changed something"
        else:
            self.reference.take(message)
        if message.whole and message.ver < full:
            assert repr(rows.encode(self.shadow)) == repr(before), "H27: an older document changed something"
        if message.rid is not None:
            assert self.answers.setdefault(message.rid, answer) == answer, "H17: another answer to the same rid"

    def publish(self) -> None:
        made = self.do(self.gateway.desk.document(DEV))
        if made is not None:
            self.observer.published(made.body)
            self.reports.append(made.body)

    def hear(self, which: int, *, keep: bool) -> None:
        at = which % len(self.reports)
        self.cloud.hear(self.reports[at] if keep else self.reports.pop(at))

    def exchange(self) -> None:
        """A connect: the retained desired document comes down; the reported one, and what is to be told, go up."""
        if self.cloud.counter_lost:
            self.cloud.go_on_above(self.shadow.meta.desired_ver)
            self.highest = max(self.highest, self.cloud.ver)
        if self.cloud.ver:
            self.take(self.cloud.document(meta=True))
        self.do(self.gateway.desk.exchanged())
        for rejection in self.gateway.desk.untold(DEV):
            self.observer.told(rejection)
            self.do(self.gateway.desk.told(DEV, rejection))
        self.publish()
        if self.reports:
            self.cloud.hear(self.reports[-1])

    # --- the device

    def change_device(self, path: str, value: Any) -> None:
        self.device.put(path.replace(".", "/"), value)
        self.poll()

    def poll(self) -> None:
        self.advance(0.05)
        self.gateway.poll(DEV)

    def leave(self) -> None:
        self.device.state = DeviceState.OFFLINE
        self.advance(2.0)

    def come_back(self) -> None:
        self.device.state = DeviceState.ONLINE
        self.advance(2.0)

    def behave(self, how: str, path: str) -> None:
        """From now on the device refuses, clamps, is deaf, mute or late for one tag; or is good again."""
        tag = path.replace(".", "/")
        device = self.device
        for group in (device.deaf, device.mute, device.refuses, device.clamps, device.late):
            group.clear()
        if how == "refuse":
            device.refuses[tag] = 422
        elif how == "clamp":
            device.clamps[tag] = 12
        elif how == "late":
            device.late[tag] = 1
        elif how in ("deaf", "mute"):
            getattr(device, how).add(tag)

    def advance(self, seconds: float) -> None:
        self._run(self.gateway.advance(seconds))

    # --- at the gateway

    def edit(self, path: str, value: Any) -> None:
        before = rows.encode(self.shadow)
        try:
            self.do(self.gateway.desk.set(DEV, {path: value}, who="console"))
        except ShadowError:
            assert value is BAD[path], "H16: a good edit was refused"
            assert repr(rows.encode(self.shadow)) == repr(before), "H16: a refused edit changed something"

    def drop_edit(self, path: str) -> None:
        if path in self.shadow.edits:
            self.observer.taken_back.add(self.shadow.edits[path].n)
            self.do(self.gateway.desk.delete(DEV, path, who="console"))

    def checkpoint(self) -> None:
        self.kept = dict(self.device.shown)
        self._run(self.gateway.checkpoint())

    def crash(self, *, under_way: bool) -> None:
        """Kill and reopen. `under_way`: with a message half taken, which is lost or not, but never half."""
        if under_way and self.bag:
            before, message = self._wished(), self.bag[-1]
            work = self.gateway.desk.desired if message.whole else self.gateway.desk.patch
            self._run(self._half(work(DEV, message.payload)))
            self._run(self._open())
            assert self._wished() == before, "H16: a message that was never committed left a trace"
        else:
            self._run(self.gateway.kill())
            self._run(self._open())
        self.advance(0.05)

    def _wished(self) -> str:
        meta = self.shadow.meta
        return repr((meta.desired_ver, meta.full_ver, sorted(self.shadow.desired.items())))

    async def _half(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        await self.gateway.clock.settle()
        await self.gateway.kill()
        await asyncio.gather(task, return_exceptions=True)

    # --- judgement

    def check(self) -> None:
        if (fault := self.gateway.fault()) is not None:
            raise fault
        self.do(self.gateway.reporter.look(DEV))
        check_all(self)

    def end(self) -> None:
        self._run(self.gateway.kill())
        self._loop.close()
        shutil.rmtree(self._directory)


async def _as_coroutine(work: Awaitable[T]) -> T:
    return await work
