"""A vendor's side: driver packages in a folder, signed by the vendor's own key, to be handed to who publishes them.

The folder holds the metadata of the vendor's role, `drivers-VENDOR.json`, and what it names: descriptions and wheels
below `drivers/VENDOR/`. It grows with each package; what is not in it is not published any more.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from securesystemslib.signer import Signer
from tuf.api import exceptions
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.api.serialization.json import JSONSerializer

from gateway.atomic import replace_file
from gateway.ota.building import created
from gateway.ota.package import FOLDER, Package, parse_package, role_of, vendor_of
from gateway.ota.parts import Part, look, missing, row, unfit
from gateway.ota.release import MOST_WHEEL_BYTES, Compatible, ReleaseRefused

_DAYS = 365
_SPEC = JSONSerializer(compact=False)


class Described(Struct, frozen=True):
    """What a vendor says of a package. `platform` and `python`: of the machines that it is for, empty for all."""

    requires_api: int
    platform: str = ""
    python: str = ""
    glibc_min: str = ""
    min_from: str = ""
    notes_url: str = ""


def pack_driver(wheels: Sequence[Path], vendor: str, described: Described) -> tuple[Package, dict[str, Path]]:
    """A package of wheels, and their files by their place. Raises ReleaseRefused with what is wrong."""
    role_of(vendor)
    parts = [look(path) for path in wheels]
    main = [part for part in parts if part.drivers]
    if len(main) != 1:
        text = "two of the wheels bring drivers: one package for each" if main else "none of the wheels brings a driver"
        raise ReleaseRefused("driver", f"{text} (entry points `fieldpost.drivers`)")
    faults = [fault for part in parts for fault in _faults(part, described)]
    if faults:
        raise ReleaseRefused("incomplete", "; ".join(faults))
    compatible = Compatible(
        platforms=(described.platform,) if described.platform else (),
        python=(described.python,) if described.python else (),
        glibc_min=described.glibc_min,
        min_from=described.min_from,
    )
    package = Package(
        vendor=vendor,
        name=main[0].name,
        version=main[0].version,
        requires_api=described.requires_api,
        wheels=tuple(row(part, f"{FOLDER}{vendor}") for part in parts),
        created=created(),
        compatible=compatible,
        installed_size=2 * sum(part.installed for part in parts),
        notes_url=described.notes_url,
    )
    parse_package(msgspec.json.encode(package))
    return package, {f"{FOLDER}{vendor}/{part.path.name}": part.path for part in parts}


def _faults(part: Part, described: Described) -> list[str]:
    """A wheel for some machines needs to say which; what it needs of the gateway is only known there."""
    platform, python = described.platform, described.python
    faults = []
    if not platform and part.platforms != {"any"}:
        faults.append(f"{part.path.name} is for one kind of machine: --platform")
    if not python and not any(each.startswith(("py3-", "py2-")) or "-abi3" in each for each in part.pythons):
        faults.append(f"{part.path.name} is for one Python: --python")
    if platform and python:
        faults += unfit(part, platform, python)
    faults += [text for text in missing(part, {}, "linux_x86_64", "cp311") if text.endswith("no requirement")]
    return faults


def sign(folder: Path, vendor: str, contents: Sequence[tuple[Package, dict[str, Path]]], keys: Sequence[Signer]) -> int:
    """Add packages to a vendor's folder, or only sign it anew. Returns the version of what is signed now."""
    role = role_of(vendor)
    path = folder / f"{role}.json"
    known = path.exists()
    targets = _signed(path).signed if known else Targets(1)
    for package, files in contents:
        new = {name: file.read_bytes() for name, file in files.items()}
        new[package.target] = msgspec.json.format(msgspec.json.encode(package), indent=1)
        for name, content in new.items():
            info = TargetFile.from_data(name, content, ["sha256"])
            if targets.targets.get(name, info) != info:
                raise ReleaseRefused("twice", f"{name} is signed already, with another content: raise the version")
            targets.targets[name] = info
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            replace_file(folder / name, content, 0o644)
    targets.version += 1 if known else 0
    targets.expires = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=_DAYS)
    metadata = Metadata(targets)
    for key in keys:
        metadata.sign(key, append=True)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(path, metadata.to_bytes(_SPEC), 0o644)
    return targets.version


def is_signed(folder: Path, package: Package) -> bool:
    """Whether the folder holds this very package, whenever it was made. Raises ReleaseRefused."""
    path = folder / f"{role_of(package.vendor)}.json"
    info = _signed(path).signed.targets.get(package.target) if path.exists() else None
    if info is None:
        return False
    return replace(parse_package(_content(folder / package.target, info)), created=package.created) == package


def signed_at(folder: Path, vendor: str) -> dt.datetime | None:
    """When what the folder holds was signed, as its life time tells; None where nothing was. Raises ReleaseRefused."""
    path = folder / f"{role_of(vendor)}.json"
    return _signed(path).signed.expires - dt.timedelta(days=_DAYS) if path.exists() else None


def packages_of(folder: Path) -> tuple[str, bytes, dict[str, bytes], list[Package]]:
    """What a vendor's folder holds: vendor, metadata as signed, contents by name, packages. Raises ReleaseRefused."""
    found = sorted(folder.glob("drivers-*.json"))
    if len(found) != 1:
        raise ReleaseRefused("folder", f"{folder} is no folder of a vendor: `fieldpost bundle driver` makes one")
    vendor = found[0].name.removeprefix("drivers-").removesuffix(".json")
    role_of(vendor)
    raw, targets = found[0].read_bytes(), _signed(found[0]).signed
    contents = {}
    for name, info in targets.targets.items():
        if vendor_of(name) != vendor or ".." in name or "\0" in name:
            raise ReleaseRefused("folder", f"{vendor} cannot publish {name}")
        contents[name] = _content(folder / name, info)
    packages = [parse_package(content) for name, content in contents.items() if name.endswith(".json")]
    for package in packages:
        if contents.get(package.target) is None:
            raise ReleaseRefused("folder", f"the description of {package.target} has another name")
        for wheel in package.wheels:
            if wheel.file not in contents or hashlib.sha256(contents[wheel.file]).hexdigest() != wheel.sha256:
                raise ReleaseRefused("folder", f"{wheel.file} is not what {package.target} says")
    return vendor, raw, contents, packages


def _content(path: Path, info: TargetFile) -> bytes:
    try:
        content = path.read_bytes()
        if len(content) > MOST_WHEEL_BYTES:
            raise ReleaseRefused("length", f"{path} is too large")
        info.verify_length_and_hashes(content)
    except OSError as error:
        raise ReleaseRefused("missing", f"{path}: {error.strerror}") from None
    except exceptions.LengthOrHashMismatchError:
        raise ReleaseRefused("hash", f"{path} is not what was signed") from None
    return content


def _signed(path: Path) -> Metadata[Targets]:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
    except (exceptions.RepositoryError, ValueError, OSError) as error:
        raise ReleaseRefused("metadata", f"{path} cannot be read: {error}") from None
    if not isinstance(metadata.signed, Targets):
        raise ReleaseRefused("metadata", f"{path} is of another role")
    return metadata
