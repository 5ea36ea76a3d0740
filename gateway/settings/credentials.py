"""Secrets by name: files that systemd put into $CREDENTIALS_DIRECTORY, or files beside the configuration.

A secret never stands in YAML, in the environment, in a generation or in a hash.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from gateway.errors import GatewayError

MAX_BYTES = 1_000_000


class CredentialError(GatewayError):
    """A credential is missing or not safe to use. `hint` says what to do."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class CredentialSource(Protocol):
    """Where `${credential:NAME}` comes from."""

    def path(self, name: str) -> Path:
        """The file of the credential, for libraries that read keys by themselves. Raises CredentialError."""
        ...

    def read(self, name: str) -> str:
        """The secret, without a final line break. Raises CredentialError."""
        ...


class CredentialFolders:
    """Credentials in folders: the service manager's first (it checks access itself), then the configuration's own."""

    def __init__(self, managed: Path | None, own: Path | None) -> None:
        self._managed = managed
        self._own = own

    def path(self, name: str) -> Path:
        if self._managed is not None and (self._managed / name).is_file():
            return self._managed / name
        if self._own is None:
            raise CredentialError(f"there is no credential `{name}`", f"LoadCredential={name}:... in the systemd unit")
        file = self._own / name
        if not file.is_file():
            hint = f"put it into {self._own.name}/{name} with mode 0600, or LoadCredential={name}:... in the unit"
            raise CredentialError(f"there is no credential `{name}`", hint)
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            hint = f"chmod 600 {self._own.name}/{name}"
            raise CredentialError(f"others may read the credential `{name}` (mode {mode:04o})", hint)
        return file

    def read(self, name: str) -> str:
        file = self.path(name)
        try:
            if file.stat().st_size > MAX_BYTES:
                raise CredentialError(f"the credential `{name}` is larger than {MAX_BYTES} bytes")
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialError(f"the credential `{name}` cannot be read: {error}") from error
        return text.removesuffix("\n").removesuffix("\r")


def credentials_of(folder: Path, env: Mapping[str, str] | None = None) -> CredentialFolders:
    """The credentials of a configuration folder, after those of the service manager ($CREDENTIALS_DIRECTORY)."""
    managed = (os.environ if env is None else env).get("CREDENTIALS_DIRECTORY")
    return CredentialFolders(Path(managed) if managed else None, folder / "credentials")
