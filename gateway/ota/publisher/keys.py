"""Keys of a publisher or a vendor as files: `ROLE-N.pem`, Ed25519, mode 0600, encrypted where a password is given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.signer import CryptoSigner, SSlibKey

from gateway.atomic import create_file
from gateway.ota.publisher.repository import ROLES, RepositoryError

_FILE = re.compile(r"(root|targets|snapshot|timestamp|configs|drivers-[a-z0-9-]{1,32})-([0-9]+)\.pem")


def make_key(folder: Path, role: str, password: bytes | None = None) -> CryptoSigner:
    """A fresh key in the next free file of a role. An existing file is never written over."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{role}-{_highest(folder, role) + 1}.pem"
    key = Ed25519PrivateKey.generate()
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    create_file(path, text)
    return _signer(key)


def public_path(folder: Path, role: str) -> Path:
    """Where the public half of a role's newest key belongs."""
    return folder / f"{role}-{_highest(folder, role)}.pub"


def _highest(folder: Path, role: str) -> int:
    matches = (_FILE.fullmatch(path.name) for path in folder.iterdir())
    return max((int(match[2]) for match in matches if match and match[1] == role), default=0)


def load_keys(folders: Sequence[Path], password: bytes | None = None) -> Mapping[str, list[CryptoSigner]]:
    """The keys in folders, by role. Raises RepositoryError with the file that cannot be used."""
    found: dict[str, list[CryptoSigner]] = {role: [] for role in ROLES}
    for folder in folders:
        if not folder.is_dir():
            raise RepositoryError(f"{folder} is no folder of keys")
        for path in sorted(folder.iterdir()):
            match = _FILE.fullmatch(path.name)
            if match:
                found.setdefault(match[1], []).append(_load(path, password))
    return found


def write_public(key: CryptoSigner, path: Path) -> None:
    """The public half as a file (PEM), for who takes its signatures. An existing file is never written over."""
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.public_key.keyval["public"]))
    text = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    create_file(path, text, 0o644)


def read_public(path: Path) -> SSlibKey:
    """A public key. Raises RepositoryError."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise RepositoryError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise RepositoryError(f"{path} is no public key (PEM)") from None
    if not isinstance(key, Ed25519PublicKey):
        raise RepositoryError(f"{path} is no Ed25519 key")
    return SSlibKey.from_crypto(key)


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
