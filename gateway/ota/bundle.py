"""A bundle: one release and the metadata that prove it, as a plain tar for a file, a USB stick, a first install.

It has no signature of its own: each file in it is proven by the TUF metadata, or not used. Its layout is that of the
repository (`metadata/`, `targets/`), so what is unpacked is a repository with one release.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from gateway.atomic import sync_folder
from gateway.ota.release import MOST_BYTES, MOST_WHEEL_BYTES, MOST_WHEELS, ReleaseRefused

SUFFIX = ".fpb"
MOST_FILES = MOST_WHEELS + 400
MOST_METADATA = 5_000_000
_PART = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,220}"
_NAME = re.compile(rf"metadata/{_PART}\.json|targets/(?:{_PART}/){{1,3}}{_PART}")
_CHUNK = 1 << 16


def pack(repository: Path, names: Iterable[str], out: Path) -> None:
    """Write the named files of a repository as a bundle. The same files give the same bytes."""
    fresh = out.with_name(f".{out.name}.new")
    try:
        with tarfile.open(fresh, "w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(set(names)):
                path = repository / name
                member = tarfile.TarInfo(name)
                member.size = path.stat().st_size
                member.mode = 0o644
                with path.open("rb") as file:
                    tar.addfile(member, file)
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(out)
    finally:
        fresh.unlink(missing_ok=True)


def unpack(file: Path | IO[bytes], inbox: Path) -> list[str]:
    """Unpack a bundle into an empty folder and return the names. Raises ReleaseRefused; the folder is then of no use.

    Only regular files with names of a repository are written, none over another; sizes and number are bounded.
    """
    names: list[str] = []
    total = 0
    try:
        with tarfile.open(file, "r:") if isinstance(file, Path) else tarfile.open(fileobj=file, mode="r|") as tar:
            for member in tar:
                _check(member, names)
                total += member.size
                if total > MOST_BYTES + 100 * MOST_METADATA:
                    raise ReleaseRefused("bundle", "the bundle is too large")
                content = tar.extractfile(member)
                assert content is not None  # a regular file has a content
                _write(content, inbox / member.name, member.size)
                names.append(member.name)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ReleaseRefused("bundle", f"not a bundle, or cut short: {error}") from None
    if not any(name.startswith("metadata/") for name in names):
        raise ReleaseRefused("bundle", "not a bundle: there is no metadata in it")
    return names


def _check(member: tarfile.TarInfo, names: list[str]) -> None:
    shown = member.name[:80]
    if not member.isreg():
        raise ReleaseRefused("bundle", f"`{shown}` in the bundle is no regular file")
    if _NAME.fullmatch(member.name) is None or ".." in member.name:
        raise ReleaseRefused("bundle", f"`{shown}` is no name of a bundle")
    if member.name in names:
        raise ReleaseRefused("bundle", f"`{shown}` is in the bundle twice")
    if len(names) >= MOST_FILES:
        raise ReleaseRefused("bundle", f"more than {MOST_FILES} files in the bundle")
    if member.size > (MOST_METADATA if member.name.startswith("metadata/") else MOST_WHEEL_BYTES):
        raise ReleaseRefused("bundle", f"`{shown}` in the bundle is too large")


def _write(content: IO[bytes], path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    left = size
    with path.open("xb") as out:
        while left:
            chunk = content.read(min(left, _CHUNK))
            if not chunk:
                raise ReleaseRefused("bundle", "the bundle is cut short")
            out.write(chunk)
            left -= len(chunk)
        out.flush()
        os.fsync(out.fileno())
    sync_folder(path.parent)
