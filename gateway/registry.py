"""Specs by name, found by entry point and imported only when a configuration wants one: drivers here, kinds of
servers in gateway/serving/registry.py.

One that cannot be imported is its own channels' problem: `load` says why, nothing else fails. A name that two
distributions bring is nobody's: which one would run must not depend on the order in which they were installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from importlib.util import find_spec
from typing import ClassVar, Generic, Protocol, TypeVar

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


def origin(point: EntryPoint) -> str:
    """The distribution that brings an entry point, with its version; empty where that is not known."""
    distribution = getattr(point, "dist", None)
    return f"{distribution.name} {distribution.version}" if distribution is not None else ""


class Spec(Protocol):
    """What all specs have."""

    @property
    def name(self) -> str: ...

    @property
    def contract(self) -> int: ...


S = TypeVar("S", bound=Spec)
Find = Callable[[], Iterable[EntryPoint]]


class SpecRegistry(Generic[S]):
    """Names and their specs. `find` is asked once, at the first use. A subclass says what kind of spec it holds."""

    spec: type[S]
    contract: ClassVar[int]
    side: ClassVar[str]
    """Whose contract it is, in messages."""
    noun: ClassVar[str]

    def __init__(self, find: Find) -> None:
        self._find = find
        self._points: dict[str, EntryPoint] | None = None
        self._twice: dict[str, list[EntryPoint]] = {}
        self._loaded: dict[str, S] = {}

    def unusable(self, name: str, reason: str, *, installed: bool) -> PermanentError:
        """The error of a spec that cannot be used; `installed`: it is known by name."""
        raise NotImplementedError

    def names(self) -> tuple[str, ...]:
        """All names, without importing anything."""
        return tuple(sorted({*self._entry_points(), *self._loaded}))

    def add(self, spec: S) -> None:
        """Make a spec known that no entry point names (one under test)."""
        self._loaded[spec.name] = self._checked(spec.name, spec)

    def load(self, name: str) -> S:
        """The spec of a name. Raises what `unusable` gives; a failed import is tried again next time."""
        known = self._loaded.get(name)
        if known is not None:
            return known
        point = self._entry_points().get(name)
        if point is None:
            text = f"there is no such {self.noun}; installed: {', '.join(self.names()) or 'none'}"
            raise self.unusable(name, text, installed=False)
        if name in self._twice:
            several = " and ".join(sorted({origin(each) or "unknown" for each in self._twice[name]}))
            raise self.unusable(name, f"several distributions bring it: {several}; uninstall one", installed=True)
        try:
            found = point.load()
        except (Exception, SystemExit) as error:  # a module may do anything while it is imported
            text = f"import failed: {type(error).__name__}: {error}"
            raise self.unusable(name, text, installed=True) from error
        spec = self._loaded[name] = self._checked(name, found)
        return spec

    def _entry_points(self) -> dict[str, EntryPoint]:
        if self._points is None:
            self._points = {}
            for point in self._find():
                known = self._points.setdefault(point.name, point)
                if known is not point:
                    self._twice.setdefault(point.name, [known]).append(point)
        return self._points

    def _checked(self, name: str, found: object) -> S:
        if not isinstance(found, self.spec):
            text = f"its entry point is a {type(found).__name__}, not a {self.spec.__name__}"
            raise self.unusable(name, text, installed=True)
        if found.contract != self.contract:
            text = f"written for {self.side} contract {found.contract}; this gateway has {self.contract}"
            raise self.unusable(name, text, installed=True)
        if found.name != name:
            raise self.unusable(name, f"its spec calls itself {found.name!r}", installed=True)
        return found


def missing_libraries(spec: DriverSpec) -> list[str]:
    """What a driver needs and is not installed here, with the command that installs it. Imports nothing."""
    return [f"driver {spec.name} needs {module}: {how}" for module, how in spec.needs if not _is_there(module)]


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # the package around it is missing, or it is being imported
        return module in sys.modules


def installed() -> Iterable[EntryPoint]:
    """The entry points of all installed distributions."""
    return metadata.entry_points(group=GROUP)


class Registry(SpecRegistry[DriverSpec]):
    """Drivers. `load` raises DriverNotUsable."""

    spec = DriverSpec
    contract = CONTRACT
    side = noun = "driver"

    def __init__(self, find: Find = installed) -> None:
        super().__init__(find)

    def unusable(self, name: str, reason: str, *, installed: bool) -> DriverNotUsable:  # noqa: ARG002 - of the base
        return DriverNotUsable(name, reason)
