"""Wheels looked into before anything of them is used: what they are, where they run, what they need and bring."""

from __future__ import annotations

import configparser
import email.parser
import hashlib
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from email.message import Message
from pathlib import Path

from msgspec import Struct
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from gateway.ota.release import ReleaseRefused, Wheel
from gateway.registry import GROUP

_MOST_METADATA = 1_000_000
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    RuntimeError,
    OverflowError,
)
"""What reading a damaged archive may raise, beside OSError."""
_STORE = "gateway/store/segments.py"
_READS = re.compile(r"^READS = \(([0-9]+), ([0-9]+)\)$", re.MULTILINE)
_WRITES = re.compile(r"^FORMAT = ([0-9]+)$", re.MULTILINE)


class Part(Struct, frozen=True):
    """A wheel that was looked into. `drivers`: names of the drivers that it brings. `installed`: bytes unpacked."""

    path: Path
    name: str
    version: str
    platforms: frozenset[str]
    pythons: frozenset[str]
    metadata: Message
    drivers: tuple[str, ...]
    installed: int
    sha256: str


def look(path: Path, file_name: str = "") -> Part:
    """Look into a wheel; `file_name` where the file is called otherwise. Raises ReleaseRefused for what is none."""
    called = file_name or path.name
    try:
        name, version, _, tags = parse_wheel_filename(called)
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            metadata = _text(archive, "METADATA")
            points = _text(archive, "entry_points.txt")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (InvalidWheelFilename, OSError, *ZIP_ERRORS) as error:
        raise ReleaseRefused("wheel", f"{called} is no wheel: {error}") from None
    if metadata is None:
        raise ReleaseRefused("wheel", f"{called} is no wheel: it has no METADATA")
    return Part(
        path=path,
        name=name,
        version=str(version),
        platforms=frozenset(tag.platform for tag in tags),
        pythons=frozenset(f"{tag.interpreter}-{tag.abi}" for tag in tags),
        metadata=email.parser.Parser().parsestr(metadata),
        drivers=_drivers(points or "", called),
        installed=sum(info.file_size for info in infos),
        sha256=digest,
    )


def row(part: Part, folder: str) -> Wheel:
    """The row of a description; `folder` is its place in the repository."""
    return Wheel(part.name, part.version, f"{folder}/{part.path.name}", part.path.stat().st_size, part.sha256)


def unfit(part: Part, platform: str, python: str) -> Iterator[str]:
    """Why a wheel is not for a machine (`linux_aarch64`, `cp311`)."""
    machine = platform.removeprefix("linux_")
    fits = any(each == "any" or (each.endswith(f"_{machine}") and "linux" in each) for each in part.platforms)
    if not fits:
        yield f"{part.path.name} is not for {platform}"
    number = int(python.removeprefix("cp3"))
    for each in part.pythons:
        interpreter, _, abi = each.partition("-")
        stable = abi == "abi3" and interpreter.startswith("cp3") and int(interpreter[3:]) <= number
        if interpreter in {"py3", "py2", python} or stable:
            return
    yield f"{part.path.name} is not for Python {python}"


def missing(part: Part, versions: Mapping[str, str], platform: str, python: str) -> Iterator[str]:
    """What a part needs, without any of its extras, that is not among `versions` (canonical name -> version)."""
    number = f"3.{python.removeprefix('cp3')}"
    around = {"platform_machine": platform.removeprefix("linux_"), "sys_platform": "linux", "python_version": number}
    around |= {"platform_system": "Linux", "os_name": "posix", "python_full_version": f"{number}.0", "extra": ""}
    around |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    for text in part.metadata.get_all("Requires-Dist") or ():
        try:
            need = Requirement(text)
        except InvalidRequirement:
            yield f"{part.name} needs `{text}`, which is no requirement"
            continue
        if need.marker is not None and not need.marker.evaluate(around):
            continue
        there = versions.get(canonicalize_name(need.name))
        if there is None:
            yield f"{part.name} needs {need.name}, which is not there"
        elif not need.specifier.contains(there, prereleases=True):
            yield f"{part.name} needs {need.name} {need.specifier}, {there} is there"


def schemas_of(runtime: Path) -> tuple[tuple[int, int] | None, int | None]:
    """The schemas of the store that a gateway's wheel reads, from and to, and the one it writes; None for unknown."""
    with zipfile.ZipFile(runtime) as archive:  # `look` has read it before
        if _STORE not in archive.namelist() or archive.getinfo(_STORE).file_size > _MOST_METADATA:
            return None, None
        text = archive.read(_STORE).decode("utf-8", "replace")
    reads, writes = _READS.search(text), _WRITES.search(text)
    return (int(reads[1]), int(reads[2])) if reads else None, int(writes[1]) if writes else None


def _text(archive: zipfile.ZipFile, name: str) -> str | None:
    """A file of the wheel's own folder; None where there is none."""
    member = next((one for one in archive.infolist() if one.filename.endswith(f".dist-info/{name}")), None)
    if member is None:
        return None
    if member.file_size > _MOST_METADATA:
        raise ValueError(f"its {name} is too large")
    return archive.read(member).decode("utf-8", "replace")


def _drivers(points: str, called: str) -> tuple[str, ...]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
    try:
        parser.read_string(points)
    except configparser.Error:
        raise ReleaseRefused("wheel", f"{called} is no wheel: its entry points cannot be read") from None
    return tuple(sorted(parser[GROUP])) if GROUP in parser else ()
