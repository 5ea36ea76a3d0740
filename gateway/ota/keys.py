"""Keys of a publisher as files: `ROLE-N.pem`, Ed25519, mode 0600, encrypted where a password is given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, SSlibKey

from gateway.atomic import create_file
from gateway.ota.repository import ROLES, RepositoryError

_FILE = re.compile(r"(root|targets|snapshot|timestamp)-([0-9]+)\.pem")


def make_key(folder: Path, role: str, password: bytes | None = None) -> CryptoSigner:
    """A fresh key in the next free file of a role. An existing file is never written over."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    numbers = [int(match[2]) for path in folder.iterdir() if (match := _FILE.fullmatch(path.name)) and match[1] == role]
    path = folder / f"{role}-{max(numbers, default=0) + 1}.pem"
    key = Ed25519PrivateKey.generate()
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    create_file(path, text)
    return _signer(key)


def load_keys(folders: Sequence[Path], password: bytes | None = None) -> Mapping[str, list[CryptoSigner]]:
    """The keys in folders, by role. Raises RepositoryError with the file that cannot be used."""
    found: dict[str, list[CryptoSigner]] = {role: [] for role in ROLES}
    for folder in folders:
        if not folder.is_dir():
            raise RepositoryError(f"{folder} is no folder of keys")
        for path in sorted(folder.iterdir()):
            match = _FILE.fullmatch(path.name)
            if match:
                found[match[1]].append(_load(path, password))
    return found


def _load(path: Path, password: bytes | None) -> CryptoSigner:
    if path.stat().st_mode & 0o077:
        raise RepositoryError(f"{path} can be read by others: chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password)
    except TypeError:
        text = "is encrypted: --password-file" if password is None else "is not encrypted: leave --password-file out"
        raise RepositoryError(f"{path} {text}") from None
    except ValueError:
        raise RepositoryError(f"{path} is no key, or the password is wrong") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise RepositoryError(f"{path} is no Ed25519 key")
    return _signer(key)


def _signer(key: Ed25519PrivateKey) -> CryptoSigner:
    return CryptoSigner(key, SSlibKey.from_crypto(key.public_key()))
