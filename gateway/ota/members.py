"""What may be in a wheel: names that stay where they belong, each once, plain files of a bounded size.

Checked before anything is unpacked. What a vendor's driver brings is bounded further: it adds packages of its own, and
neither changes ours nor runs where nobody asked for it.
"""

from __future__ import annotations

import re
import stat
import zipfile

from installer.sources import WheelSource
from installer.utils import parse_entrypoints

MOST_UNPACKED = 1 << 30
_MOST_TEXT = 16 << 20
"""Of one file of the wheel's own folder: those are read as a whole."""
_MOST_MEMBERS = 50_000
_OURS = {"gateway", "drivers", "rules"}
_AT_START = re.compile(r"[^/]*\.pth|(site|user)customize(\.py|/.*)", re.IGNORECASE)
_SCRIPT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_members(archive: zipfile.ZipFile, room: int, *, vendor: bool) -> int:
    """Bytes that a wheel unpacks to, at most `room`. Raises ValueError with the first name that may not be there."""
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise ValueError(f"it has more than {_MOST_MEMBERS} files")
    total = 0
    seen: set[str] = set()
    folders: set[str] = set()
    for member in members:
        name = member.filename
        _check_name(name)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise ValueError(f"`{name[:80]}` in it is no regular file")
        plain = name.rstrip("/").casefold()
        if plain in seen:
            raise ValueError(f"`{name[:80]}` is in it twice")
        if member.is_dir():
            folders.add(plain)
            continue
        seen.add(plain)
        folders |= {plain[:place] for place, letter in enumerate(plain) if letter == "/"}
        if vendor:
            _check_vendor(name)
        if member.file_size > _MOST_TEXT and ".dist-info/" in name:
            raise ValueError(f"`{name[:80]}` in it has more than {_MOST_TEXT >> 20} MiB")
        total += member.file_size
    if total > room:
        raise ValueError(f"the wheels unpack to more than {MOST_UNPACKED >> 20} MiB")
    both = seen & folders
    if both:
        raise ValueError(f"`{min(both)[:80]}` in it is a file and a folder")
    return total


def check_scripts(source: WheelSource, archive: zipfile.ZipFile) -> None:
    """No script takes the place of a Python. Raises ValueError."""
    names = [name.rpartition("/")[2] for name in archive.namelist() if ".data/scripts/" in name]
    if "entry_points.txt" in source.dist_info_filenames:
        names += [name for name, *_ in parse_entrypoints(source.read_dist_info("entry_points.txt"))]
    for name in names:
        if _SCRIPT.fullmatch(name) is None or name.startswith("python"):
            raise ValueError(f"`{name[:80]}` is no name of a script")


def _check_name(name: str) -> None:
    parts = name.removesuffix("/").split("/")
    if name.startswith("/") or "\\" in name or any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"`{name[:80]}` in it leaves its folder")
    if not name.isprintable():
        raise ValueError(f"{name[:80]!r} in it is no name")


def _check_vendor(name: str) -> None:
    top, _, rest = name.partition("/")
    if top.endswith(".data"):
        scheme, _, name = rest.partition("/")
        if scheme not in {"purelib", "platlib"}:
            raise ValueError(f"`{top}/{scheme}` is not for drivers")
        top = name.partition("/")[0]
    if top.casefold() in _OURS:
        raise ValueError(f"`{top}` in it is the gateway's own")
    if _AT_START.fullmatch(name):
        raise ValueError(f"`{name[:80]}` in it would run at every start")
