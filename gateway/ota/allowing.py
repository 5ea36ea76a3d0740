"""Which drivers of others this machine takes: `ota.drivers.allow` of the operator's gateway.yaml."""

from __future__ import annotations

import fnmatch

from gateway.ota.operators import NotBelieved, written
from gateway.ota.package import Package
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused


class Allowed:
    """Says of a package whether it may be here. Reads the file when it is first asked; raises ReleaseRefused then."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._patterns: tuple[str, ...] | None = None

    def __call__(self, package: Package) -> bool:
        if self._patterns is None:
            self._patterns = _patterns(self._places)
        return any(fnmatch.fnmatchcase(_subject(pattern, package), pattern) for pattern in self._patterns)


def _subject(pattern: str, package: Package) -> str:
    """A pattern with a slash is of VENDOR/NAME, another one of the name, whoever the vendor is."""
    return package.title if "/" in pattern else package.name


def _patterns(places: Places) -> tuple[str, ...]:
    try:
        found = written(places, "ota", "drivers", "allow")
    except NotBelieved as error:
        raise ReleaseRefused("allow", f"no driver is allowed: {error}") from None
    return tuple(str(one) for one in found) if isinstance(found, list) else ()
