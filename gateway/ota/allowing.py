"""Which drivers of others this machine takes: `ota.drivers.allow` of the operator's gateway.yaml.

Read where the operator wrote it, below `/etc/fieldpost`, and only while nobody but root can change that: what is active
in the gateway may have come from afar, and must not widen this.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from pathlib import Path

from gateway.ota.files import regular
from gateway.ota.package import Package
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused
from gateway.settings.positions import Problems
from gateway.settings.yaml_reader import MAX_BYTES, read_documents

_MAIN = "gateway.yaml"


class Allowed:
    """Says of a package whether it may be here. Reads the file when it is first asked; raises ReleaseRefused then."""

    def __init__(self, places: Places) -> None:
        self._file = places.config / _MAIN
        self._patterns: tuple[str, ...] | None = None

    def __call__(self, package: Package) -> bool:
        if self._patterns is None:
            self._patterns = _patterns(self._file)
        return any(fnmatch.fnmatchcase(_subject(pattern, package), pattern) for pattern in self._patterns)


def _subject(pattern: str, package: Package) -> str:
    """A pattern with a slash is of VENDOR/NAME, another one of the name, whoever the vendor is."""
    return package.title if "/" in pattern else package.name


def _patterns(file: Path) -> tuple[str, ...]:
    for path in (file.parent, file):
        _check_owner(path)
    with regular(file) as content:
        raw = content.read(MAX_BYTES + 1)
    problems = Problems()
    documents = read_documents(_MAIN, raw, problems)
    if not documents or problems:
        raise ReleaseRefused("allow", f"{file} cannot be read, so no driver is allowed")
    found: object = documents[0].data
    for key in ("ota", "drivers", "allow"):
        found = found.get(key) if isinstance(found, dict) else None
    return tuple(str(one) for one in found) if isinstance(found, list) else ()


def _check_owner(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise ReleaseRefused("allow", f"{path}: {error.strerror}, so no driver is allowed") from None
    if status.st_uid not in {0, os.geteuid()} or stat.S_IMODE(status.st_mode) & 0o022:
        text = f"others than root can change {path}, so it allows no driver: chown root {path}; chmod go-w {path}"
        raise ReleaseRefused("allow", text)
