"""Makes devices follow: each desired leaf and each local edit is written through, one at a time per device.

What counts is on disk before it is done: `writing` before the driver is asked, so that after a crash the leaf is read
first and written only if it differs. A leaf of a device that is away waits; one that has ended is never written again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, structs

from gateway.clock import Clock
from gateway.errors import GatewayError, WriteRejected
from gateway.model import DeviceState, Quality, Tag, Value, WriteResult, WriteState
from gateway.shadows import edits
from gateway.shadows.convert import is_state, to_tag
from gateway.shadows.keeper import Keeper
from gateway.shadows.paths import tag_path
from gateway.shadows.reporting import Reporter
from gateway.shadows.values import Edit, Origin, Phase, Progress, Shadow, ShadowError
from gateway.shadows.wishes import Wishes
from gateway.tags import TagTable
from gateway.writes import matches, read_back_tag

MAX_TRIES = 3
RETRY_S = (1.0, 5.0, 15.0)
"""Pauses before a write, or a look at a value that has not settled, is tried again."""
LOOK_S = 1.0
"""How often devices with something to write are looked at, besides being told."""
WRITE_S = 30.0
AT_ONCE = 32
"""Devices written to side by side."""

_VIA = {Origin.CLOUD: "shadow", Origin.LOCAL: "local", Origin.RULE: "rule"}
"""What `write.allow` and maintenance judge a write by."""
_HERE = frozenset((DeviceState.ONLINE, DeviceState.DEGRADED))

_log = logging.getLogger("fieldpost.shadows")


class Wires(Protocol):
    """What is needed of the running channels and of the one way of writes."""

    def state(self, device: str) -> DeviceState | None:
        """None while the device's channel is not running."""
        ...

    async def read(self, tags: Sequence[Tag]) -> list[tuple[Tag, Value, int, int | None]]:
        """Read tags of one device now. Raises DeviceUnavailable or TimeoutError."""
        ...

    async def write(
        self, values: Mapping[str, Value], *, origin: str, via: str, deadline_s: float
    ) -> list[WriteResult]:
        """Write over `gateway.commands`."""
        ...


class Target(Struct, frozen=True):
    """One version of one leaf that is to be written. `n`: number of the local edit, 0 for a desired leaf."""

    path: str
    value: Any
    ver: int
    n: int
    who: str
    via: str
    progress: Progress


def targets(shadow: Shadow) -> list[Target]:
    """What waits to be written, oldest first: edits in place of the desired leaves they stand over."""
    if shadow.read_only:
        return []
    found = [
        Target(path, edit.value, edit.base_ver, edit.n, edit.who, _via_of(edit), edit.progress)
        for path, edit in shadow.edits.items()
        if not edit.progress.phase.is_end
    ]
    for path, leaf in shadow.live().items():
        known = shadow.progress.get(path)
        if known is not None and not known.phase.is_end and not _stands(shadow.edits.get(path)):
            found.append(Target(path, leaf.value, leaf.ver, 0, leaf.origin.value, _VIA[leaf.origin], known))
    return sorted(found, key=lambda target: (target.progress.ts, target.ver, target.n, target.path))


def _via_of(edit: Edit) -> str:
    """A rule signs as `rule:NAME`; whoever else calls himself so is judged like one."""
    return _VIA[Origin.RULE if edit.who.startswith("rule:") else Origin.LOCAL]


def _stands(edit: Edit | None) -> bool:
    """Whether an edit keeps the desired leaf from being written."""
    return edit is not None


class WriteThrough:
    """A supervised unit: `run` serves all devices for ever. `wake` may be called at any time."""

    def __init__(
        self, keeper: Keeper, reporter: Reporter, tags: TagTable, wires: Wires, clock: Clock, wishes: Wishes
    ) -> None:
        self._wishes = wishes
        self._keeper = keeper
        self._reporter = reporter
        self._tags = tags
        self._wires = wires
        self._clock = clock
        self._news = asyncio.Event()
        self._busy: set[str] = set()
        self._not_before: dict[tuple[str, str], float] = {}
        self._away: set[str] = set()
        self._ended: list[Callable[[str], None]] = []
        self._touched: set[str] = set()
        """Devices to be looked at before the next look at all."""
        self._look_at = float("-inf")
        keeper.listen(lambda device, _before, _after: self._touch(device))

    def on_end(self, listener: Callable[[str], None]) -> None:
        """Call `listener(device)` when a write of the device has ended and its reported side was looked at."""
        self._ended.append(listener)

    def wake(self) -> None:
        """A device may have changed its state: look at all."""
        self._look_at = float("-inf")
        self._news.set()

    def _touch(self, device: str) -> None:
        self._touched.add(device)
        self._news.set()

    async def run(self) -> None:
        """Serve for ever. A device that fails in an unforeseen way is told in the log and tried again later."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._news.clear()
                await self._wishes.look()
                for device in self._waiting():
                    if device in self._busy or len(self._busy) >= AT_ONCE:
                        self._touched.add(device)
                    elif self._returned(device) or self._due(device):
                        self._busy.add(device)
                        group.create_task(self._serve(device), name=f"shadow:{device}")
                timer = self._clock.call_later(LOOK_S, self._news.set)
                try:
                    await self._news.wait()
                finally:
                    timer.cancel()

    # --- which device, and when

    def _waiting(self) -> list[str]:
        """Devices to be looked at now: those that were touched, and now and then all."""
        now = self._clock.mono()
        devices = list(self._touched)
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            devices = self._keeper.devices()
        self._touched.clear()
        return devices

    def _returned(self, device: str) -> bool:
        """Whether a device with leaves to reapply has come back just now."""
        state = self._wires.state(device)
        if state not in _HERE:
            if state is not None and state is not DeviceState.UNKNOWN:
                self._away.add(device)
            return False
        return device in self._away and bool(self._to_reapply(device))

    def _due(self, device: str) -> bool:
        if self._wires.state(device) in _HERE:
            self._away.discard(device)
        return self._next(device) is not None

    def _next(self, device: str) -> Target | None:
        """What to do now: the next target whose time has come, or one whose waiting is still to be told."""
        state = self._wires.state(device)
        if state is DeviceState.UNKNOWN:
            return None  # not heard of yet: nothing to tell, nothing to write
        here, now = state in _HERE, self._clock.mono()
        for target in targets(self._keeper.get(device)):
            if now < self._not_before.get((device, target.path), 0.0):
                continue
            if here or (target.progress.code != 504 and target.progress.phase is Phase.PENDING):
                return target
        return None

    async def _serve(self, device: str) -> None:
        try:
            if device in self._away and self._wires.state(device) in _HERE:
                self._away.discard(device)
                await self._reapply(device)
            while (target := self._next(device)) is not None:
                await self._one(device, target)
        except GatewayError as error:  # the store has no room: nothing was done, it is tried again
            _log.warning("desired values of %s wait: %s", device, error)
            self._put_off(device, "", RETRY_S[-1])
        finally:
            self._busy.discard(device)
            self._news.set()  # one that waited for its turn has it now

    def _put_off(self, device: str, path: str, seconds: float) -> None:
        places = [path] if path else [target.path for target in targets(self._keeper.get(device))]
        for place in places:
            self._not_before[device, place] = self._clock.mono() + seconds

    # --- one leaf

    async def _one(self, device: str, target: Target) -> None:
        tag = self._tags.get(device, tag_path(target.path))
        if tag is None or not is_state(tag):
            await self._end(
                device, target, Phase.REJECTED, 404, "the tag is not configured, or cannot be written any more"
            )
            return
        if self._wires.state(device) not in _HERE:
            await self._wait_for_device(device, target)
            return
        try:
            value = to_tag(tag, target.value)
        except (WriteRejected, ShadowError) as error:
            await self._end(device, target, Phase.REJECTED, error.code, str(error))
            return
        doubtful = target.progress.phase is not Phase.PENDING
        if doubtful or self._seems_so(tag, value):
            got = await self._read(tag)
            if got is None and doubtful:
                await self._unsure(device, target, "what the device has could not be read")
                return
            if got is not None and matches(tag.spec, value, got[0]):
                self._reporter.read_back(device, got[1].path, got[0])
                await self._end(device, target, Phase.OK, 200, "")
                return
            if doubtful and target.progress.phase is Phase.VERIFYING:
                await self._not_settled(device, target, tag, got)
                return
        await self._write(device, target, tag, value)

    def _seems_so(self, tag: Tag, value: Value) -> bool:
        """Whether the latest value says that nothing has to be written; it is asked before it is believed."""
        latest = self._reporter.latest(tag)
        return latest is not None and matches(tag.spec, value, latest)

    async def _read(self, tag: Tag) -> tuple[Value, Tag] | None:
        """What the tag, or its feedback tag, reads now; None when nothing good came."""
        device = self._tags.device(tag.device)
        shown = read_back_tag(tag, device.tags) if device is not None else None
        if shown is None:
            return None
        try:
            rows = await self._wires.read([shown])
        except (GatewayError, OSError):  # TimeoutError is an OSError
            return None
        for _, value, quality, _ in rows:
            if quality < Quality.UNCERTAIN and value is not None:
                return value, shown
        return None

    async def _write(self, device: str, target: Target, tag: Tag, value: Value) -> None:
        if not await self._note(device, target, Phase.WRITING):
            return  # replaced meanwhile
        results = await self._wires.write({tag.name: value}, origin=target.who, via=target.via, deadline_s=WRITE_S)
        result = results[0]
        if result.value is not None:
            shown = tag.spec.verify.tag or tag.path
            self._reporter.read_back(device, shown, result.value)
        if result.state is WriteState.OK:
            await self._end(device, target, Phase.OK, 200, "")
        elif result.state is WriteState.SUPERSEDED:
            await self._end(device, target, Phase.SUPERSEDED, 409, result.text)
        elif result.code == 429:
            self._put_off(device, target.path, RETRY_S[0])
            await self._note(device, target, Phase.PENDING, 429, result.text)
        elif result.state is WriteState.REJECTED:
            await self._end(device, target, Phase.REJECTED, result.code, result.text)
        elif result.state is WriteState.EXPIRED:
            self._put_off(device, target.path, RETRY_S[0])
            await self._note(device, target, Phase.PENDING, 0, "")
        elif result.value is not None:
            await self._not_settled(device, target, tag, (result.value, tag), result.text)
        else:
            await self._unsure(device, target, result.text, result.code)

    async def _unsure(self, device: str, target: Target, text: str, code: int = 504) -> None:
        """Nobody knows whether it was written: read first, then go on; given up only while the device is there."""
        tries = target.progress.tries + 1
        if self._wires.state(device) in _HERE and tries >= MAX_TRIES:
            await self._end(device, target, Phase.FAILED, code, text)
            return
        here = self._wires.state(device) in _HERE
        self._put_off(device, target.path, RETRY_S[min(tries, len(RETRY_S)) - 1])
        phase = Phase.VERIFYING if target.progress.phase is Phase.VERIFYING else Phase.WRITING
        await self._note(device, target, phase, code, text, tries if here else target.progress.tries)

    async def _not_settled(
        self, device: str, target: Target, tag: Tag, got: tuple[Value, Tag] | None, text: str = ""
    ) -> None:
        """The device shows another value: it may need time, or it clamps. It is not written again."""
        tries = target.progress.tries + 1
        shown = got[0] if got is not None else None
        text = text or f"written {target.value!r}, but {tag.path} reads {shown!r}"
        if got is not None:
            self._reporter.read_back(device, got[1].path, got[0])
        if tries >= MAX_TRIES:
            await self._end(device, target, Phase.FAILED, 500, text)
            return
        self._put_off(device, target.path, RETRY_S[tries - 1])
        await self._note(device, target, Phase.VERIFYING, 500, text, tries)

    async def _wait_for_device(self, device: str, target: Target) -> None:
        """Told once: the leaf waits for its device."""
        text = f"the device is {self._wires.state(device) or 'not running'}: written when it is back"
        await self._note(device, target, target.progress.phase, 504, text)

    # --- notes

    async def _note(
        self, device: str, target: Target, phase: Phase, code: int = 0, text: str = "", tries: int | None = None
    ) -> bool:
        """Write down how far it is. False when the version is not the one to be written any more."""
        known = target.progress
        made = structs.replace(
            known,
            phase=phase,
            code=code,
            text=text,
            tries=known.tries if tries is None else tries,
            told=known.told and known.code == code,
        )
        return await self._go_on(device, target, made)

    async def _end(self, device: str, target: Target, phase: Phase, code: int, text: str) -> None:
        made = Progress(phase, target.ver, code, text, target.progress.tries, self._clock.wall_ms())
        await self._reporter.look(device)
        await self._go_on(device, target, made)
        self._not_before.pop((device, target.path), None)
        for listener in self._ended:
            listener(device)

    async def _go_on(self, device: str, target: Target, progress: Progress) -> bool:
        counted = False

        def change(shadow: Shadow) -> Shadow:
            nonlocal counted
            after = edits.go_on(shadow, target.path, target.ver, target.n, progress)
            counted = after is not None
            return shadow if after is None else after

        await self._keeper.change(device, change)
        return counted

    # --- on_reconnect: reapply

    def _to_reapply(self, device: str) -> list[tuple[Tag, Any, str]]:
        """Leaves that ended ok within the tag's age limit, edits in place of what they stand over."""
        shadow, now = self._keeper.get(device), self._clock.wall_ms()
        found = []
        for path, value in shadow.wanted().items():
            tag = self._tags.get(device, tag_path(path))
            edit = shadow.edits.get(path)
            done = edit.progress if edit is not None else shadow.progress.get(path)
            if tag is None or tag.spec.reapply_s is None or done is None or done.phase is not Phase.OK:
                continue
            if 0 <= now - done.ts <= tag.spec.reapply_s * 1000:
                found.append((tag, value, path))
        return found

    async def _reapply(self, device: str) -> None:
        """Write again what the device had before it went away, where the tag asks for it and it differs."""
        for tag, wanted, path in self._to_reapply(device):
            try:
                value = to_tag(tag, wanted)
            except (WriteRejected, ShadowError):
                continue
            got = await self._read(tag)
            if got is None or matches(tag.spec, value, got[0]):
                continue
            _log.info("%s: %s was %r after the device came back, written again: %r", device, path, got[0], wanted)
            results = await self._wires.write({tag.name: value}, origin="reapply", via="shadow", deadline_s=WRITE_S)
            if results[0].value is not None:
                self._reporter.read_back(device, tag.spec.verify.tag or tag.path, results[0].value)
            await self._reporter.look(device)
            for listener in self._ended:
                listener(device)
