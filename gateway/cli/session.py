"""What a command is given: its arguments, where to print, and the way to the running gateway."""

from __future__ import annotations

import argparse
import enum
from pathlib import Path
from typing import Any

from gateway.cli import places
from gateway.cli.output import Output
from gateway.errors import GatewayError
from gateway.local.client import Client


class Exit(enum.IntEnum):
    """Exit statuses, kept for scripts. Numbers above 2 are those of sysexits.h."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 69
    NOT_YET = 75
    BAD_CONFIG = 78


class CommandFailed(GatewayError):
    """A command could not do its work; the text is for the person, `exit_with` for the script."""

    def __init__(self, text: str, exit_with: Exit = Exit.FAILED) -> None:
        super().__init__(text)
        self.exit_with = exit_with


class Session:
    """One call of the command line."""

    def __init__(self, args: argparse.Namespace, out: Output) -> None:
        self.args = args
        self.out = out

    def option(self, name: str, default: Any = None) -> Any:
        """An option that may not have been given."""
        return getattr(self.args, name, default)

    @property
    def config_dir(self) -> Path:
        """The configuration folder: --config, else the first of the usual places. Raises CommandFailed (78)."""
        folder = places.config_dir(self.option("config"))
        if folder is None:
            raise CommandFailed(
                "no configuration found: give --config DIR, or make one with `fieldpost init`", Exit.BAD_CONFIG
            )
        return folder

    @property
    def socket(self) -> Path:
        """Where the running gateway listens: --socket, else in the state directory."""
        given = self.option("socket")
        return Path(given) if given else places.socket_path(self.option("state"), self.option("config"))

    def client(self, timeout_s: float = 30.0) -> Client:
        """A connection to the running gateway. Raises NotRunning."""
        return Client(self.socket, timeout_s)

    def call(self, op: str, args: dict[str, Any] | None = None, timeout_s: float = 30.0) -> dict[str, Any]:
        """One question to the running gateway. Raises NotRunning or OpError."""
        with self.client() as client:
            return client.call(op, args, timeout_s)
