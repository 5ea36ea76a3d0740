"""Where the state of a configuration folder is, without loading it: a broken folder must not hide a running gateway."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


def store_path(folder: Path) -> Path | None:
    """`store.path` of the folder's gateway.yaml as far as it can be made out, None when it cannot; whatever is wrong
    with the file is for `check` to say.
    """
    try:
        tree: Any = yaml.safe_load((folder / "gateway.yaml").read_bytes())
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    store = tree.get("store") if isinstance(tree, dict) else None
    path = store.get("path") if isinstance(store, dict) else None
    if not isinstance(path, str) or not path:
        return None
    return (folder / _ENV.sub(lambda match: os.environ.get(match[1], ""), path)).absolute()
