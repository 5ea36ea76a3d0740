"""The file of a backup: a tar, encrypted as a whole where a password is given.

What secrets there are is in it, since a box without its identity is another box; so without a password it is made only
when somebody says that it may lie open, and it is always readable for its owner alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gateway.atomic import create_file
from gateway.errors import GatewayError

SUFFIX = ".fpbackup"
MOST_BYTES = 512 * 2**20
MOST_FILES = 20_000
_HEAD = b"fieldpost backup 1\n"
_SEALED = b"fieldpost sealed backup 1\n"
_SUM = 65
_SALT, _NONCE = 16, 12
_N, _R, _P = 1 << 15, 8, 1  # some 50 ms and 32 MB: RFC 7914's interactive use
_MANIFEST = "backup.json"


class BackupError(GatewayError):
    """A backup that cannot be made, read or put in place; nothing was changed."""


def write(to: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes], password: bytes | None) -> int:
    """Write a backup over nothing that exists. Returns its size. Raises BackupError, OSError."""
    body = _packed({_MANIFEST: json.dumps(manifest).encode(), **files})
    content = _open(body) if password is None else _sealed(body, password)
    try:
        create_file(to, content)
    except FileExistsError:
        raise BackupError(f"{to} exists already") from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(to)) from error
    return len(content)


def read(path: Path, password: bytes | None) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the files of a backup. Raises BackupError."""
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise BackupError(f"{path} is larger than {MOST_BYTES // 2**20} MiB")
    if content.startswith(_SEALED):
        if password is None:
            raise BackupError(f"{path} is encrypted: --password-file")
        body = _opened(content, password, path)
    elif content.startswith(_HEAD):
        body = content[len(_HEAD) + _SUM :]
        if content != _open(body):
            raise BackupError(f"{path} is damaged: its check sum does not fit")
    else:
        raise BackupError(f"{path} is no backup")
    files = _unpacked(body, path)
    try:
        manifest = json.loads(files.pop(_MANIFEST))
        if not isinstance(manifest, dict) or manifest.get("format") != 1:
            raise BackupError(f"{path} is a backup of another format")
    except (KeyError, ValueError, RecursionError):
        raise BackupError(f"{path} is no backup, or damaged") from None
    return manifest, files


def _packed(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o600
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _unpacked(body: bytes, path: Path) -> dict[str, bytes]:
    """Names and contents; nothing is written, so no name can lead anywhere."""
    files: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
            for member in tar:
                parts = PurePosixPath(member.name).parts
                total += member.size
                if not member.isreg() or ".." in parts or member.name.startswith("/") or member.name in files:
                    raise BackupError(f"{path} is damaged: `{member.name[:80]}` cannot be in a backup")
                if total > MOST_BYTES or len(files) >= MOST_FILES:
                    raise BackupError(f"{path} holds more than a backup can")
                content = tar.extractfile(member)
                assert content is not None  # a regular file has a content
                files[member.name] = content.read()
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BackupError(f"{path} is damaged: {error}") from None
    return files


def _open(body: bytes) -> bytes:
    return _HEAD + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _key(password: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_N, r=_R, p=_P).derive(password)


def _sealed(body: bytes, password: bytes) -> bytes:
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    return _SEALED + salt + nonce + AESGCM(_key(password, salt)).encrypt(nonce, body, _SEALED)


def _opened(content: bytes, password: bytes, path: Path) -> bytes:
    at = len(_SEALED)
    salt, nonce = content[at : at + _SALT], content[at + _SALT : at + _SALT + _NONCE]
    try:
        return AESGCM(_key(password, salt)).decrypt(nonce, content[at + _SALT + _NONCE :], _SEALED)
    except (InvalidTag, ValueError):
        raise BackupError(f"{path}: the password is wrong, or the file is damaged") from None
