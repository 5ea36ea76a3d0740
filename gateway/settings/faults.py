"""Where the fields of a finished channel were written, so that a driver's faults point into the user's files."""

from __future__ import annotations

import re

from gateway.driver import DriverSpec
from gateway.model import ChannelSpec
from gateway.settings.positions import Key, Layers, Origin, Problems
from gateway.wired import wired_channel

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class FaultPlaces:
    """Remembers, for one channel, the layers that each device and tag was made of."""

    def __init__(self, channel: Layers, problems: Problems) -> None:
        self._channel = channel
        self._problems = problems
        self._devices: dict[str, tuple[Layers, dict[str, Layers]]] = {}

    def remember(self, device: str, layers: Layers, tags: dict[str, Layers]) -> None:
        self._devices[device] = (layers, tags)

    def find(self, path: str) -> tuple[Origin, bool]:
        """The place of a driver's field path, and whether the field itself was written there."""
        steps: list[Key] = [int(index) if index else name for name, index in _STEP.findall(path)]
        if len(steps) >= 2 and steps[0] == "devices" and steps[1] in self._devices:
            layers, tags = self._devices[str(steps[1])]
            rest = steps[2:]
            if len(rest) >= 2 and rest[0] == "tags" and rest[1] in tags:
                return _within(tags[str(rest[1])], rest[2:])
            return _within(layers, rest)
        return _within(self._channel, steps)

    def report(self, driver: DriverSpec, spec: ChannelSpec, *, partly: bool = False) -> None:
        """Ask the driver what it finds wrong and report it where it was written.

        `partly`: some of the channel's keys are wrong and left out of `spec`; that they are missing is no news.
        """
        try:
            for fault in driver.check(wired_channel(spec)):
                origin, written = self.find(fault.path)
                if partly and not written and not fault.path.startswith("devices."):
                    continue
                if written:
                    self._problems.at(origin, fault.message, fault.hint)
                else:
                    self._problems.at_key(origin, fault.message, fault.hint)
        except Exception as error:  # a driver of a third party must not take the loader down
            from gateway.whence import whence  # only who has such a driver needs it

            text = f"driver `{driver.name}` failed while it checked this channel: {whence(error)}"
            self._problems.at(self._channel.origin(), text, "report this to the driver's author")


def _within(layers: Layers, steps: list[Key]) -> tuple[Origin, bool]:
    if steps and steps[0] in layers.values:
        return layers.origin(*steps), True
    return layers.origin(), False
