"""One write from its submission to its result: deadline, queue, wire, read-back. Results as in protocol.md 1.5.

A write ends exactly once. What did not reach the wire before its deadline never does; what was sent without an answer
is `failed` with an unknown outcome and is never sent again by the kernel.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from gateway.clock import Clock, Timer
from gateway.errors import DeviceUnavailable, RequestRefused, WriteRejected
from gateway.model import Access, Tag, TagSpec, Value, ValueType, Write, WriteResult, WriteState
from gateway.objects import holds

SILENT_LIMIT_S = 2.0
"""A write to a device that does not surely answer is refused when it could not start within this time."""

_FLOAT32_STEP = 2.0**-23
_FLOAT64_STEP = 2.0**-52
_FILLING = " \0"
"""What a device's texts end with and no reader shows."""


class PendingWrite:
    """A write that waits or is on the wire. `done` resolves once."""

    def __init__(self, write: Write) -> None:
        self.write = write
        self.started = False
        self.done: asyncio.Future[WriteResult] = asyncio.get_running_loop().create_future()
        self._timer: Timer | None = None

    @property
    def device(self) -> str:
        return self.write.tag.device

    @property
    def tag(self) -> str:
        return self.write.tag.path

    def end(self, state: WriteState, code: int, text: str = "", value: Value = None, *, verified: bool = False) -> None:
        """Give the result; only the first counts."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.done.done():
            self.done.set_result(WriteResult(self.device, self.tag, state, code, value, verified, text))

    def fail(self, text: str) -> None:
        """The device cannot be reached."""
        self.end(WriteState.FAILED, 504, text)

    def end_with(self, error: Exception) -> None:
        """The result that an error of the driver means."""
        if isinstance(error, WriteRejected):
            self.end(WriteState.REJECTED, error.code, str(error))
        elif isinstance(error, RequestRefused):
            self.end(WriteState.REJECTED, 422, str(error))
        elif isinstance(error, DeviceUnavailable | OSError):
            self.end(WriteState.FAILED, 504, f"no answer, the outcome is not known: {error}")
        else:
            self.end(WriteState.FAILED, 500, f"{type(error).__name__}: {error}")

    def expire_in(self, clock: Clock, *, sure: bool, drop: Callable[[PendingWrite], object]) -> None:
        """Arm the timer that ends the write unless it has started. `drop(self)` takes it out of its queue."""
        left = self.write.deadline - clock.mono()
        limit = left if sure else min(left, SILENT_LIMIT_S)

        def expire() -> None:
            self._timer = None
            if self.started:
                return
            drop(self)
            if limit < left:
                self.fail(f"the device did not answer within {SILENT_LIMIT_S:g} s; nothing was written")
            else:
                self.end(WriteState.EXPIRED, 408, "expired before it could be written")

        if limit <= 0:
            expire()
        else:
            self._timer = clock.call_later(limit, expire)

    def start(self) -> None:
        """The write goes on the wire now; from here on only its outcome ends it."""
        self.started = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def read_back_tag(tag: Tag, device_tags: tuple[Tag, ...]) -> Tag | None:
    """The tag whose value shows that the write worked: the feedback tag, itself, or none."""
    if tag.spec.verify.tag is not None:
        return next((other for other in device_tags if other.path == tag.spec.verify.tag), None)
    if tag.spec.momentary or tag.spec.access is Access.WRITE:
        return None
    return tag


def matches(spec: TagSpec, wanted: Value, got: Value) -> bool:
    """Whether `got`, read back, is what was wanted: within the tolerance, else less than one raw
    step away, or one float step; a text but for its filling.
    """
    if got is None:
        return False
    if spec.type is ValueType.OBJECT:
        return holds(got, wanted)
    if isinstance(wanted, bool) or isinstance(got, bool):
        return bool(wanted) == bool(got)
    if isinstance(wanted, str) and isinstance(got, str):
        return wanted.rstrip(_FILLING) == got.rstrip(_FILLING)
    if not isinstance(wanted, int | float) or not isinstance(got, int | float):
        return wanted == got
    return abs(float(wanted) - float(got)) <= _tolerance(spec, float(wanted)) if wanted != got else True


def _tolerance(spec: TagSpec, wanted: float) -> float:
    if spec.verify.tolerance is not None:
        return spec.verify.tolerance
    scale = abs(spec.transform.scale) if spec.transform.scale is not None else 1.0
    offset = abs(spec.transform.offset or 0.0)
    if spec.transform.base is not None:  # the nearest power is at most half a step of the exponent away
        step: float = max(spec.transform.base, 1 / spec.transform.base)
        return (abs(wanted) + offset) * (math.sqrt(step) - 1 + 1e-9)
    if spec.transform.shift < 0:
        scale *= 1 << -spec.transform.shift
    if spec.type is ValueType.FLOAT32:
        return max((abs(wanted) + offset) * _FLOAT32_STEP, 1e-45)
    if spec.type is ValueType.FLOAT64:
        return (abs(wanted) + offset) * _FLOAT64_STEP
    if spec.transform.edgex is not None:
        # cutting a fraction off costs up to a step, and Float32 is coarser than what was wanted
        return scale + (abs(wanted) + offset) * _FLOAT32_STEP
    return scale * (1.0 - 1e-6)  # rounding costs less than a step; a whole step away is another value
