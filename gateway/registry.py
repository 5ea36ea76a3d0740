"""Drivers by name, found by entry point and imported only when a channel wants one.

A driver that cannot be imported is its own channels' problem: `load` says why, nothing else fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import metadata
from typing import Protocol

from gateway.driver import CONTRACT, DriverSpec
from gateway.errors import PermanentError

GROUP = "fieldpost.drivers"


class DriverNotUsable(PermanentError):
    """A driver that is unknown, cannot be imported, or was written for another contract. `driver` is its name."""

    def __init__(self, driver: str, reason: str) -> None:
        super().__init__(f"driver {driver!r}: {reason}")
        self.driver = driver
        self.reason = reason


class EntryPoint(Protocol):
    """What is used of importlib.metadata.EntryPoint."""

    @property
    def name(self) -> str: ...

    def load(self) -> object: ...


def installed() -> Iterable[EntryPoint]:
    """The entry points of all installed distributions."""
    return metadata.entry_points(group=GROUP)


class Registry:
    """Names of drivers and their specs. `find` is asked once, at the first use."""

    def __init__(self, find: Callable[[], Iterable[EntryPoint]] = installed) -> None:
        self._find = find
        self._points: dict[str, EntryPoint] | None = None
        self._loaded: dict[str, DriverSpec] = {}

    def names(self) -> tuple[str, ...]:
        """All names, without importing anything."""
        return tuple(sorted({*self._entry_points(), *self._loaded}))

    def add(self, spec: DriverSpec) -> None:
        """Make a spec known that no entry point names (a driver under test)."""
        self._loaded[spec.name] = _checked(spec.name, spec)

    def load(self, name: str) -> DriverSpec:
        """The spec of a driver. Raises DriverNotUsable with the reason; a failed import is tried again next time."""
        known = self._loaded.get(name)
        if known is not None:
            return known
        point = self._entry_points().get(name)
        if point is None:
            raise DriverNotUsable(name, f"there is no such driver; installed: {', '.join(self.names()) or 'none'}")
        try:
            found = point.load()
        except (Exception, SystemExit) as error:  # a module may do anything while it is imported
            raise DriverNotUsable(name, f"import failed: {type(error).__name__}: {error}") from error
        spec = _checked(name, found)
        self._loaded[name] = spec
        return spec

    def _entry_points(self) -> dict[str, EntryPoint]:
        if self._points is None:
            self._points = {point.name: point for point in self._find()}
        return self._points


def _checked(name: str, found: object) -> DriverSpec:
    if not isinstance(found, DriverSpec):
        raise DriverNotUsable(name, f"its entry point is a {type(found).__name__}, not a DriverSpec")
    if found.contract != CONTRACT:
        raise DriverNotUsable(name, f"written for driver contract {found.contract}; this gateway has {CONTRACT}")
    if found.name != name:
        raise DriverNotUsable(name, f"its spec calls itself {found.name!r}")
    return found
