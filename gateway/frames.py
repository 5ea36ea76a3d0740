"""Who watches the frames of a channel: listeners outlive the drivers, each new driver is told whether anybody looks."""

from __future__ import annotations

from collections.abc import Callable

from gateway.driver import Frame, Tracing
from gateway.errors import RequestRefused
from gateway.model import Device


class FrameTap:
    """The listeners of one channel. `name`: the driver's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._driver: object = None
        self._listeners: list[tuple[Callable[[Frame], None], Device | None]] = []

    def use(self, driver: object) -> None:
        """A new attempt has begun."""
        self._driver = driver
        if self._listeners:
            self._arm()

    def listen(self, listener: Callable[[Frame], None], device: Device | None) -> Callable[[], None]:
        """Call `listener` for every frame, of one device or of all. Returns what ends it. Raises RequestRefused."""
        if self._driver is not None and not isinstance(self._driver, Tracing):
            raise RequestRefused(f"driver {self._name} has no frames to show", code=501)
        entry = (listener, device)
        self._listeners.append(entry)
        self._arm()

        def stop() -> None:
            self._listeners.remove(entry)
            self._arm()

        return stop

    def _arm(self) -> None:
        if isinstance(self._driver, Tracing):
            self._driver.trace(self._frame if self._listeners else None)

    def _frame(self, frame: Frame) -> None:
        driver = self._driver
        for listener, device in list(self._listeners):
            if device is None or (isinstance(driver, Tracing) and driver.owns_frame(device, frame)):
                listener(frame)
