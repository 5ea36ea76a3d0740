"""What a release is: the signed description of a runtime's wheels, and whether this machine can run it.

The description is a TUF target `releases/NAME-VERSION.json`. Nothing in it is believed before TUF has verified it; what
is read here afterwards is still bounded, since who signs can err.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from gateway.errors import GatewayError

MOST_WHEELS = 400
MOST_WHEEL_BYTES = 200 * 2**20
MOST_BYTES = 400 * 2**20
MOST_DESCRIPTION = 512 * 2**10

_VERSION = r"^[0-9]+(\.[0-9]+){1,3}((a|b|rc|\.dev|\.post)[0-9]+)?$"
_WHEEL = r"^(wheels|drivers/[A-Za-z0-9][A-Za-z0-9_-]{0,63})/[A-Za-z0-9][A-Za-z0-9._+-]{0,190}\.whl$"
_HEX = r"^[0-9a-f]{64}$"
Version = Annotated[str, Meta(pattern=_VERSION, max_length=40)]
Sha256 = Annotated[str, Meta(pattern=_HEX)]
Size = Annotated[int, Meta(ge=1, le=MOST_WHEEL_BYTES)]
Natural = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
_Signed = TypeVar("_Signed", bound=Struct)


class ReleaseRefused(GatewayError):
    """A release that is not used. `reason` is one word for programs (`platform`, `rollback`, `expired`...)."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Wheel(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a release: its place in the repository, its size in bytes and its hash."""

    name: Name
    version: Annotated[str, Meta(min_length=1, max_length=60)]
    file: Annotated[str, Meta(pattern=_WHEEL)]
    size: Size
    sha256: Sha256


class Compatible(Struct, frozen=True, forbid_unknown_fields=True):
    """Which machines and states a release is for. Empty lists and texts ask nothing.

    `min_from`: the oldest version that may be replaced by it. `state_schema`: the schemas of the store that it reads,
    from and to; `state_writes`: the schema that it writes.
    """

    platforms: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    glibc_min: Annotated[str, Meta(pattern=r"^([0-9]+\.[0-9]+)?$")] = ""
    min_from: Annotated[str, Meta(max_length=40)] = ""
    state_schema: tuple[Natural, Natural] | None = None
    state_writes: Natural | None = None


class HealthLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """How long a trial may take (`confirm_s`), how long all must be well in it (`soak_s`), how many starts it has."""

    confirm_s: Annotated[int, Meta(ge=1, le=86400)] = 600
    soak_s: Annotated[int, Meta(ge=0, le=86400)] = 120
    tries: Annotated[int, Meta(ge=1, le=10)] = 3


class Sbom(Struct, frozen=True, forbid_unknown_fields=True):
    """The list of what is inside (CycloneDX): its place and hash."""

    file: Annotated[str, Meta(pattern=r"^sbom/[A-Za-z0-9][A-Za-z0-9._+-]{0,190}\.json$")]
    sha256: Sha256


class Release(Struct, frozen=True, forbid_unknown_fields=True):
    """A release as it is signed. `rollback_index`: rises with a release that must not be gone back behind."""

    name: Name
    version: Version
    wheels: Annotated[tuple[Wheel, ...], Meta(min_length=1, max_length=MOST_WHEELS)]
    schema: Literal[1] = 1
    kind: Literal["runtime"] = "runtime"
    rollback_index: Natural = 0
    created: Annotated[str, Meta(max_length=40)] = ""
    urgency: Literal["normal", "security"] = "normal"
    compatible: Compatible = Compatible()
    drivers: Annotated[tuple[Wheel, ...], Meta(max_length=MOST_WHEELS)] = ()
    installed_size: Annotated[int, Meta(ge=0, le=2**40)] = 0
    health: HealthLimits = HealthLimits()
    sbom: Sbom | None = None
    notes_url: Annotated[str, Meta(max_length=2000)] = ""

    @property
    def files(self) -> tuple[Wheel, ...]:
        """All wheels, drivers last."""
        return self.wheels + self.drivers

    @property
    def target(self) -> str:
        """Its place in the repository."""
        return f"releases/{self.name}-{self.version}.json"


class Machine(Struct, frozen=True):
    """What decides whether a release runs here. `version`, `schema` and `reads`: of the running gateway, where one is:
    the schema of the store that it writes, and those that it reads, from and to.
    """

    platform: str
    python: str
    glibc: str
    version: str = ""
    schema: int | None = None
    rollback_index: int = 0
    reads: tuple[int, int] | None = None


def parse_release(raw: bytes) -> Release:
    """A description as it was signed. Raises ReleaseRefused with the field that is wrong."""
    release = read_signed(raw, Release, "a release")
    check_once(release.files)
    return release


def read_signed(raw: bytes, kind: type[_Signed], what: str, most: int = MOST_DESCRIPTION) -> _Signed:
    """The JSON of a target, at most `most` bytes. Raises ReleaseRefused for its size, or the field that is wrong."""
    if len(raw) > most:
        raise ReleaseRefused("description", f"{len(raw)} bytes are too many for the description of {what}")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ReleaseRefused("description", f"not {what}: {error}") from None


def check_once(wheels: Sequence[Wheel]) -> None:
    """Raises ReleaseRefused where two wheels are of one library or have one place, and where they are too large."""
    if len({wheel.file for wheel in wheels}) != len(wheels) or len({plain_name(one.name) for one in wheels}) != len(
        wheels
    ):
        raise ReleaseRefused("description", "a wheel is named twice")
    if sum(wheel.size for wheel in wheels) > MOST_BYTES:
        raise ReleaseRefused("description", f"its wheels have more than {MOST_BYTES // 2**20} MiB")


def plain_name(name: str) -> str:
    """Spellings of one library's name: `A_b` and `a-b` are the same."""
    return re.sub(r"[-_.]+", "-", name).lower()


def slot_name(release: Release, raw: bytes) -> str:
    """The name of its slot: equal content, equal name. `raw` is the description as signed."""
    digest = hashlib.sha256()
    for each in sorted([*(wheel.sha256 for wheel in release.files), hashlib.sha256(raw).hexdigest()]):
        digest.update(each.encode())
    return f"{release.version}-{digest.hexdigest()[:12]}"


def this_machine(
    version: str = "", schema: int | None = None, rollback_index: int = 0, reads: tuple[int, int] | None = None
) -> Machine:
    """The machine that this runs on."""
    libc, libc_version = platform.libc_ver()
    return Machine(
        platform=f"linux_{platform.machine()}",
        python=f"cp{sys.version_info[0]}{sys.version_info[1]}",
        glibc=libc_version if libc == "glibc" else "",
        version=version,
        schema=schema,
        rollback_index=rollback_index,
        reads=reads,
    )


def check_fit(release: Release, machine: Machine) -> None:
    """Whether a release may replace what runs on a machine. Raises ReleaseRefused with the first reason."""
    check_compatible(release.compatible, machine)
    if release.rollback_index < machine.rollback_index:
        text = f"its rollback index {release.rollback_index} is below {machine.rollback_index}"
        raise ReleaseRefused("rollback", f"{text}: what is older was withdrawn")


def check_compatible(wanted: Compatible, machine: Machine) -> None:
    """Whether something is for a machine and for what runs there. Raises ReleaseRefused with the first reason."""
    if wanted.platforms and machine.platform not in wanted.platforms:
        raise ReleaseRefused("platform", f"it is for {_either(wanted.platforms)}, this is {machine.platform}")
    if wanted.python and machine.python not in wanted.python:
        raise ReleaseRefused("python", f"it is for {_either(wanted.python)}, this machine has {machine.python}")
    if wanted.glibc_min and _numbers(machine.glibc) < _numbers(wanted.glibc_min):
        raise ReleaseRefused("glibc", f"it needs glibc {wanted.glibc_min}, this machine has {machine.glibc or 'none'}")
    if wanted.min_from and machine.version and version_key(machine.version) < version_key(wanted.min_from):
        raise ReleaseRefused("min_from", f"it replaces {wanted.min_from} and later, {machine.version} runs")
    if wanted.state_schema and machine.schema is not None:
        low, high = wanted.state_schema
        if not low <= machine.schema <= high:
            raise ReleaseRefused("schema", f"it reads stores of schema {low} to {high}, this one is {machine.schema}")
    if wanted.state_writes is not None and machine.reads is not None:
        low, high = machine.reads
        if not low <= wanted.state_writes <= high:
            text = f"it writes stores of schema {wanted.state_writes}, which what runs could not read after a way back"
            raise ReleaseRefused("schema", f"{text}: install a release in between")


def version_key(version: str) -> tuple[tuple[int, ...], int, int]:
    """Versions in their order; what is before a release (a, b, rc, dev) comes first."""
    match = re.match(r"([0-9]+(?:\.[0-9]+)*)(?:(a|b|rc|\.dev|\.post)([0-9]+))?", version)
    if match is None:
        return (), 0, 0
    numbers = _numbers(match[1])
    while numbers and numbers[-1] == 0:
        numbers = numbers[:-1]
    rank = {".dev": -4, "a": -3, "b": -2, "rc": -1, None: 0, ".post": 1}[match[2]]
    return numbers, rank, int(match[3] or 0)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(".") if each.isdigit())


def _either(words: Sequence[str]) -> str:
    return " or ".join(words)
