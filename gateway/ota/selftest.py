"""Run by the Python of a staged release: `-m gateway.ota.selftest CONFIG STATE [DRIVER...]`. Does it import, do these
drivers load, does it take the configuration that runs? Neither network nor state is touched. Every release has this
module.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

from gateway.errors import ConfigError, GatewayError
from gateway.registry import Registry
from gateway.settings.credentials import CredentialError, CredentialSource, credentials_of
from gateway.settings.generations import Generations
from gateway.settings.loader import load_files, read_tree
from rules.expression import RuleExpressions

_MODULES = ("gateway.app", "gateway.cli.main", "gateway.local.server", "gateway.store", "gateway.uplink.uplink")
_SERVICE = Path("/run/credentials/fieldpost.service")


def main(words: list[str]) -> int:
    """0 and the channels without a driver as JSON, else 1 and the reason."""
    config, state, *drivers = words
    try:
        for name in _MODULES:
            importlib.import_module(name)
        registry = Registry()
        for driver in drivers:
            registry.load(driver)
        unusable = _check(Path(config), Path(state), registry)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 1
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"unusable": unusable}))
    return 0


def _check(config: Path, state: Path, registry: Registry) -> list[str]:
    """Read the active generation, else the folder; a machine that was never configured has neither. Gives the channels
    whose driver cannot be loaded.
    """
    try:
        active = Generations(state).active()
        files = active.files() if active else None
    except GatewayError as error:
        raise RuntimeError(f"the active configuration cannot be read: {error}") from None
    if files is None:
        if not (config / "gateway.yaml").is_file():
            return []
        files = read_tree(config)
    settings = load_files(
        files,
        registry.load,
        env=os.environ,
        credentials=_Credentials(credentials_of(config)),
        base=config,
        state_dir=state,
        keep_unusable=True,
        expressions=RuleExpressions(),
    )
    return [channel.id for channel in settings.channels if channel.settings is None]


class _Credentials:
    """Secrets that systemd hands to the gateway alone cannot be seen from here: their names stand for them."""

    def __init__(self, own: CredentialSource) -> None:
        self._own = own

    def path(self, name: str) -> Path:
        try:
            return self._own.path(name)
        except CredentialError:
            return _SERVICE / name

    def read(self, name: str) -> str:
        try:
            return self._own.read(name)
        except CredentialError:
            return name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
