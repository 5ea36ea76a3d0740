"""Which devices an uplink carries (`select.devices`, with * and ?)."""

from __future__ import annotations

from fnmatch import fnmatchcase


class Chosen:
    """Asked with a device id; answers are remembered."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = patterns
        self._known: dict[str, bool] = {}

    def __call__(self, device: str) -> bool:
        if device not in self._known:
            self._known[device] = any(fnmatchcase(device, pattern) for pattern in self._patterns)
        return self._known[device]
