"""What a slot is made of: a release, and the driver packages of this machine.

Both live in one slot, so that versions cannot be mixed. A driver is installed as the release that runs with one package
more; a release is installed with the packages that are there. A slot with packages says what it was made of in
`drivers.json`; its `release.json` names all wheels, as for a release alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.driver import CONTRACT
from gateway.ota.package import Package
from gateway.ota.parts import Part, look, missing
from gateway.ota.release import (
    Machine,
    Release,
    ReleaseRefused,
    Wheel,
    check_compatible,
    check_once,
    parse_release,
    plain_name,
    slot_name,
)
from gateway.ota.trust import Verified

DRIVERS = "drivers.json"
_MOST = 4 << 20
Admits = Callable[[Package], bool]


class Contents(Struct, frozen=True, forbid_unknown_fields=True):
    """A release as it was signed, and packages beside it."""

    release: Release
    packages: tuple[Package, ...] = ()
    schema: Literal[1] = 1


class Plan(Struct, frozen=True):
    """A slot to be staged. `release`: with the wheels of all packages. `files`: what lies in it beside the environment.
    `wheels`: proven files by their place. `drivers`: names of drivers that have to load in it. `stale`: an expired
    timestamp was accepted.
    """

    slot: str
    release: Release
    files: Mapping[str, bytes]
    wheels: Mapping[str, Path]
    drivers: tuple[str, ...]
    stale: bool = False


def contents_of(slot: Path) -> Contents:
    """What a slot was made of. Raises ReleaseRefused for one that was installed without a bundle."""
    try:
        if (slot / DRIVERS).exists():
            with (slot / DRIVERS).open("rb") as file:
                return msgspec.json.decode(file.read(_MOST), type=Contents)
        return Contents(parse_release((slot / "release.json").read_bytes()))
    except (OSError, ValueError, ReleaseRefused):
        text = "what runs was not installed from a bundle, so its wheels are not here: install a release first"
        raise ReleaseRefused("base", text) from None


def plan(verified: Verified, good: Path, store: Path, machine: Machine, admits: Admits) -> Plan:
    """The slot that something verified makes of the one that runs, `good`. Raises ReleaseRefused."""
    content = verified.content
    if isinstance(content, Release):
        contents, raw = Contents(content, tuple(_carried(content, good, admits))), verified.raw
    else:
        contents, raw = _with(content, contents_of(good), machine, admits), b""
    if not contents.packages:
        raw = raw or msgspec.json.format(msgspec.json.encode(contents.release), indent=1)
        files = {"release.json": raw}
    else:
        whole = replace(contents.release, drivers=contents.release.drivers + tuple(_added(contents)))
        check_once(whole.files)
        files = {"release.json": msgspec.json.encode(whole), DRIVERS: msgspec.json.encode(contents)}
    release = parse_release(files["release.json"])
    wheels = {wheel.file: _source(wheel, verified, store) for wheel in release.files}
    drivers = _drivers(contents, release, wheels, machine)
    return Plan(slot_name(release, b"".join(files.values())), release, files, wheels, drivers, verified.stale)


def _carried(release: Release, good: Path, admits: Admits) -> Iterator[Package]:
    """Packages that go along to another release: all that are there, but what it brings itself and what is not allowed
    here any more.
    """
    if not (good / DRIVERS).exists():
        return
    brought = {plain_name(wheel.name) for wheel in release.files}
    for package in contents_of(good).packages:
        if plain_name(package.name) not in brought and admits(package):
            yield package


def _with(package: Package, base: Contents, machine: Machine, admits: Admits) -> Contents:
    """What runs, with a package more, or another version of it."""
    if not admits(package):
        text = f"{package.title} is not allowed here: `ota: {{drivers: {{allow: [{package.title}]}}}}` in gateway.yaml"
        raise ReleaseRefused("allow", text)
    if package.requires_api != CONTRACT:
        text = f"it was written for driver contract {package.requires_api}, this gateway has {CONTRACT}"
        raise ReleaseRefused("api", text)
    check_compatible(package.compatible, machine)
    others = (one for one in base.packages if one.title != package.title and admits(one))
    return Contents(base.release, tuple(sorted((*others, package), key=lambda one: one.title)))


def _added(contents: Contents) -> Iterator[Wheel]:
    """Wheels of packages that nobody else brings. Raises ReleaseRefused for two versions of one library."""
    known = {plain_name(wheel.name): ("the release", wheel) for wheel in contents.release.files}
    for package in contents.packages:
        for wheel in package.wheels:
            owner, there = known.setdefault(plain_name(wheel.name), (package.title, wheel))
            if there is wheel:
                yield wheel
            elif there.sha256 != wheel.sha256:
                text = f"{package.title} brings {wheel.name} {wheel.version}, {owner} has {there.version}"
                raise ReleaseRefused("conflict", f"{text}: there is room for one of them")


def _source(wheel: Wheel, verified: Verified, store: Path) -> Path:
    found = verified.files.get(wheel.file, store / f"{wheel.sha256}.whl")
    if not found.is_file():
        text = f"{wheel.file} of what runs is not kept here any more: install that release once more"
        raise ReleaseRefused("missing", text)
    return found


def _drivers(contents: Contents, release: Release, wheels: Mapping[str, Path], machine: Machine) -> tuple[str, ...]:
    """Names of the drivers that vendors' wheels bring. Raises ReleaseRefused for what they need and nobody has."""
    versions = {plain_name(wheel.name): wheel.version for wheel in release.files}
    parts: dict[str, Part] = {}
    for wheel in release.drivers:
        parts[plain_name(wheel.name)] = look(wheels[wheel.file], wheel.file.rpartition("/")[2])
    for package in contents.packages:
        own = [parts[name] for wheel in package.wheels if (name := plain_name(wheel.name)) in parts]
        lost = [text for part in own for text in missing(part, versions, machine.platform, machine.python)]
        if lost:
            raise ReleaseRefused("incomplete", f"{package.title} {package.version}: {'; '.join(lost)}")
        if not any(part.drivers for part in own):
            raise ReleaseRefused("driver", f"{package.title} {package.version} brings no driver")
    return tuple(sorted({name for part in parts.values() for name in part.drivers}))
