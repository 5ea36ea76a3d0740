"""What the operator of this machine wrote in `/etc/fieldpost/gateway.yaml`, for those who decide about releases.

Read there, and only while nobody but root can change it: what is active in the gateway may have come from afar, and
must not widen what is believed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gateway.errors import GatewayError
from gateway.ota.files import regular
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused
from gateway.settings.positions import Problems
from gateway.settings.yaml_reader import MAX_BYTES, read_documents

_MAIN = "gateway.yaml"


class NotBelieved(GatewayError):
    """There is no such file, it cannot be read, or others than root can change it."""


def written(places: Places, *keys: str) -> object:
    """What stands under these keys, as plain data; None where nothing does. Raises NotBelieved."""
    file = places.config / _MAIN
    for path in (file.parent, file):
        _check_owner(path)
    problems = Problems()
    try:
        with regular(file) as content:
            raw = content.read(MAX_BYTES + 1)
    except (ReleaseRefused, OSError) as error:
        raise NotBelieved(str(error)) from None
    documents = read_documents(_MAIN, raw, problems)
    if not documents or problems:
        raise NotBelieved(f"{file} cannot be read")
    found: object = documents[0].data
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _check_owner(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise NotBelieved(f"{path}: {error.strerror}") from None
    if status.st_uid not in {0, os.geteuid()} or stat.S_IMODE(status.st_mode) & 0o022:
        raise NotBelieved(f"others than root can change {path}: chown root {path}; chmod go-w {path}")
