"""A release out of a folder of wheels: complete, for one kind of machine, with a list of what is inside.

The same wheels and words give the same bytes: nothing is taken from the clock but `created`, and that from
SOURCE_DATE_EPOCH where it is set.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from gateway.ota.parts import Part, look, missing, row, schemas_of, unfit
from gateway.ota.release import Compatible, Release, ReleaseRefused, Sbom, Wheel, parse_release
from gateway.ota.wheelcheck import check_wheels

_RUNTIME = "fieldpost"


class Wanted(Struct, frozen=True):
    """What a publisher says of a release. `platform` and `python`: of the machines that it is for. `drivers`: wheels
    that vendors have published, which come along.
    """

    platform: str
    python: str
    rollback_index: int = 0
    min_from: str = ""
    glibc_min: str = ""
    urgency: str = "normal"
    notes_url: str = ""
    health: Mapping[str, int] = {}
    drivers: tuple[Wheel, ...] = ()


def build(wheels: Path, out: Path, wanted: Wanted) -> Release:
    """Write a release into the folder `out`, which must not exist. Raises ReleaseRefused with what is missing."""
    parts = [look(path) for path in sorted(wheels.glob("*.whl"))]
    _check(parts, wanted)
    runtime = next(part for part in parts if part.name == _RUNTIME)
    rows = tuple(row(part, "wheels") for part in parts)
    check_wheels({f"wheels/{part.path.name}": part.path for part in parts})
    fresh = out.with_name(f".{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        for part in parts:
            shutil.copyfile(part.path, fresh / part.path.name)
        bill = json.dumps(bill_of(runtime, parts), indent=1, sort_keys=True).encode() + b"\n"
        name = f"{_RUNTIME}-{runtime.version}-{wanted.platform}-{wanted.python}.cdx.json"
        (fresh / name).write_bytes(bill)
        release = _describe(runtime, rows, wanted, Sbom(f"sbom/{name}", hashlib.sha256(bill).hexdigest()), parts)
        raw = msgspec.json.format(msgspec.json.encode(release), indent=1)
        parse_release(raw)
        (fresh / "release.json").write_bytes(raw)
        fresh.rename(out)
    except OSError as error:
        raise ReleaseRefused("file", f"{error.filename}: {error.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return release


def _describe(runtime: Part, rows: tuple[Wheel, ...], wanted: Wanted, sbom: Sbom, parts: Sequence[Part]) -> Release:
    reads, writes = schemas_of(runtime.path)
    compatible = Compatible(
        platforms=(wanted.platform,),
        python=(wanted.python,),
        glibc_min=wanted.glibc_min,
        min_from=wanted.min_from,
        state_schema=reads,
        state_writes=writes,
    )
    raw = {
        "name": _RUNTIME,
        "version": runtime.version,
        "wheels": msgspec.to_builtins(rows),
        "drivers": msgspec.to_builtins(wanted.drivers),
        "rollback_index": wanted.rollback_index,
        "created": created(),
        "urgency": wanted.urgency,
        "compatible": msgspec.to_builtins(compatible),
        "installed_size": sum(part.installed for part in parts) * 2,  # bytecode is as large again
        "health": dict(wanted.health),
        "sbom": msgspec.to_builtins(sbom),
        "notes_url": wanted.notes_url,
    }
    return parse_release(msgspec.json.encode(raw))


def created() -> str:
    """Now, or what SOURCE_DATE_EPOCH says, as descriptions have it."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    seconds = int(epoch) if epoch.isdigit() else int(time.time())
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check(parts: Sequence[Part], wanted: Wanted) -> None:
    """All that is wrong at once: other machines, two versions of one thing, what is needed and not there."""
    faults = [fault for part in parts for fault in unfit(part, wanted.platform, wanted.python)]
    names = [part.name for part in parts]
    faults += [_twice(name, parts) for name in sorted({name for name in names if names.count(name) > 1})]
    if _RUNTIME not in names:
        faults.append(f"there is no wheel of {_RUNTIME}")
    versions = {part.name: part.version for part in parts}
    faults += [fault for part in parts for fault in missing(part, versions, wanted.platform, wanted.python)]
    if faults:
        raise ReleaseRefused("incomplete", "; ".join(faults))


def _twice(name: str, parts: Sequence[Part]) -> str:
    """With its files: one of them is mostly what an earlier run left in the folder."""
    files = " and ".join(part.path.name for part in parts if part.name == name)
    return f"{name} is there twice ({files}): take out those that are not meant, or begin with an empty folder"


def bill_of(runtime: Part, parts: Sequence[Part]) -> dict[str, Any]:
    """What is inside, as CycloneDX 1.6."""
    digest = hashlib.sha256("".join(sorted(part.sha256 for part in parts)).encode()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {"component": _component(runtime, "application")},
        "components": [_component(part, "library") for part in parts if part is not runtime],
    }


def _component(part: Part, kind: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{part.name}@{part.version}"
    found: dict[str, Any] = {
        "type": kind,
        "bom-ref": purl,
        "name": part.name,
        "version": part.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": part.sha256}],
    }
    licence = part.metadata.get("License-Expression")
    text = part.metadata.get("License")
    if licence:
        found["licenses"] = [{"expression": licence}]
    elif text and len(text) < 100 and "\n" not in text:
        found["licenses"] = [{"license": {"name": text}}]
    return found
