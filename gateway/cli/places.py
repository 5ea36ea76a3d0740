"""Where configuration, state and socket are, without loading the configuration: a broken one must not hide a
gateway that runs.
"""

from __future__ import annotations

import os
from pathlib import Path

from gateway.local.wire import SOCKET_NAME
from gateway.settings.whereabouts import store_path

DEFAULT_STATE = Path("/var/lib/fieldpost")


def config_dir(given: str | None) -> Path | None:
    """`given`, else the first that exists of $FIELDPOST_CONFIG, /etc/fieldpost, ./config; None when there is none.

    A named folder is taken as it is: that it is missing is told with its name.
    """
    named = given or os.environ.get("FIELDPOST_CONFIG")
    if named:
        return Path(named).absolute()
    for folder in (Path("/etc/fieldpost"), Path("config")):
        if (folder / "gateway.yaml").is_file():
            return folder.absolute()
    return None


def state_dir(given: str | None, config: str | None) -> Path:
    """The state directory: `given`, else `store.path` of gateway.yaml, else /var/lib/fieldpost."""
    if given:
        return Path(given).absolute()
    folder = config_dir(config)
    path = store_path(folder) if folder else None
    return path if path is not None else DEFAULT_STATE


def socket_path(state: str | None, config: str | None) -> Path:
    return state_dir(state, config) / SOCKET_NAME
