"""Where configuration, state and socket are, without loading the configuration: a broken one must not hide a
gateway that runs.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from gateway.local.wire import SOCKET_NAME

DEFAULT_STATE = Path("/var/lib/fieldpost")
_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


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
    path = _store_path(folder / "gateway.yaml") if folder else None
    if folder is None or path is None:
        return DEFAULT_STATE
    return (folder / path).absolute()


def socket_path(state: str | None, config: str | None) -> Path:
    return state_dir(state, config) / SOCKET_NAME


def _store_path(file: Path) -> str | None:
    """`store.path` as far as it can be made out; whatever is wrong with the file is for `check` to say."""
    try:
        tree: Any = yaml.safe_load(file.read_bytes())
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    store = tree.get("store") if isinstance(tree, dict) else None
    path = store.get("path") if isinstance(store, dict) else None
    if not isinstance(path, str) or not path:
        return None
    return _ENV.sub(lambda match: os.environ.get(match[1], ""), path)
