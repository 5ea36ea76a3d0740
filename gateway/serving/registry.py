"""Kinds of servers by name, found by entry point and imported only when a configuration wants one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import metadata

from gateway.errors import PermanentError
from gateway.registry import EntryPoint
from gateway.serving.contract import CONTRACT, ServerSpec

GROUP = "fieldpost.servers"


class ServerNotUsable(PermanentError):
    """A kind that is unknown, cannot be imported, or was written for another contract. `installed`: it is known by
    name.
    """

    def __init__(self, kind: str, reason: str, *, installed: bool = True) -> None:
        super().__init__(f"server kind {kind!r}: {reason}")
        self.kind = kind
        self.reason = reason
        self.installed = installed


def installed() -> Iterable[EntryPoint]:
    """The entry points of all installed distributions."""
    return metadata.entry_points(group=GROUP)


class ServerRegistry:
    """Kinds and their specs. `find` is asked once, at the first use."""

    def __init__(self, find: Callable[[], Iterable[EntryPoint]] = installed) -> None:
        self._find = find
        self._points: dict[str, EntryPoint] | None = None
        self._loaded: dict[str, ServerSpec] = {}

    def names(self) -> tuple[str, ...]:
        """All kinds, without importing anything."""
        return tuple(sorted({*self._entry_points(), *self._loaded}))

    def add(self, spec: ServerSpec) -> None:
        """Make a spec known that no entry point names (a server under test)."""
        self._loaded[spec.name] = _checked(spec.name, spec)

    def load(self, kind: str) -> ServerSpec:
        """The spec of a kind. Raises ServerNotUsable with the reason; a failed import is tried again next time."""
        known = self._loaded.get(kind)
        if known is not None:
            return known
        point = self._entry_points().get(kind)
        if point is None:
            text = f"there is no such kind; installed: {', '.join(self.names()) or 'none'}"
            raise ServerNotUsable(kind, text, installed=False)
        try:
            found = point.load()
        except (Exception, SystemExit) as error:  # a module may do anything while it is imported
            raise ServerNotUsable(kind, f"import failed: {type(error).__name__}: {error}") from error
        spec = self._loaded[kind] = _checked(kind, found)
        return spec

    def _entry_points(self) -> dict[str, EntryPoint]:
        if self._points is None:
            self._points = {point.name: point for point in self._find()}
        return self._points


def _checked(kind: str, found: object) -> ServerSpec:
    if not isinstance(found, ServerSpec):
        raise ServerNotUsable(kind, f"its entry point is a {type(found).__name__}, not a ServerSpec")
    if found.contract != CONTRACT:
        raise ServerNotUsable(kind, f"written for server contract {found.contract}; this gateway has {CONTRACT}")
    if found.name != kind:
        raise ServerNotUsable(kind, f"its spec calls itself {found.name!r}")
    return found
