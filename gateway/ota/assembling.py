"""A slot out of wheels: a virtual environment that needs neither pip nor a network, compiled, checked, tried out.

It is made in `.tmp-SLOT` beside its place. Whatever names a path in it (scripts, bytecode) names the final one. Nothing
of a wheel is run before the self-test, and that runs as the slot's own Python.
"""

from __future__ import annotations

import base64
import compileall
import contextlib
import csv
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

import installer
from installer.destinations import SchemeDictionaryDestination
from installer.exceptions import InstallerError
from installer.sources import WheelFile

from gateway.ota.composing import Plan
from gateway.ota.members import MOST_UNPACKED, check_members, check_scripts
from gateway.ota.package import FOLDER
from gateway.ota.parts import ZIP_ERRORS
from gateway.ota.places import Places, kill_point
from gateway.ota.release import Release, ReleaseRefused, Wheel
from gateway.settings.whereabouts import store_path

_SELFTEST_S = 180
_SPACE = 1.2
_SPARE = 64 << 20
_ITS_FAULT = {None, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL}
"""Numbers of errors that a wheel's own names and offsets cause; there is none where two wheels bring one file."""


def check_space(release: Release, folder: Path) -> None:
    """Refuse a release for which there is not room enough. A size that is not said counts four times its wheels."""
    needed = release.installed_size or 4 * sum(wheel.size for wheel in release.files)
    wanted = int(_SPACE * needed) + _SPARE
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise ReleaseRefused("disk", f"{folder} has {free >> 20} MiB free, {wanted >> 20} MiB are needed")


def stage(places: Places, planned: Plan, wheels: Mapping[str, Path]) -> Path:
    """Make the folder `.tmp-SLOT`; `wheels` are proven files that stay. Raises ReleaseRefused, OSError."""
    staged, final = places.releases / f".tmp-{planned.slot}", places.releases / planned.slot
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    kill_point("apply.folder")
    library, room = _environment(staged / "venv"), MOST_UNPACKED
    for wheel in planned.release.files:
        room -= install(wheel, wheels[wheel.file], staged / "venv", final / "venv", library, room)
        kill_point("apply.unpacked")
    kill_point("apply.installed")
    _compile(library, staged, final)
    check_records(library)
    for name, content in planned.files.items():
        (staged / name).write_bytes(content)
    kill_point("apply.compiled")
    _self_test(places, staged, planned.drivers)
    kill_point("apply.tested")
    return staged


def check_records(library: Path) -> None:
    """Compare the installed files with what their wheels said of them. Raises ReleaseRefused with the first."""
    for record in sorted(library.glob("*.dist-info/RECORD")):
        with record.open(encoding="utf-8", newline="") as lines:
            for name, digest, _ in csv.reader(lines):
                if digest and _record_hash(library / name, digest.partition("=")[0]) != digest:
                    raise ReleaseRefused("record", f"{name} is not what {record.parent.name} says")


def _record_hash(path: Path, algorithm: str) -> str:
    try:
        with path.open("rb") as file:
            raw = hashlib.file_digest(file, algorithm).digest()
    except (OSError, ValueError) as error:
        raise ReleaseRefused("record", f"{path.name}: {error}") from None
    return f"{algorithm}=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _environment(venv: Path) -> Path:
    """An empty virtual environment on the Python that runs this one; returns its folder of packages."""
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = venv / "lib" / version / "site-packages"
    library.mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "bin/python3").symlink_to(base)
    (venv / "bin/python").symlink_to("python3")
    (venv / "bin" / version).symlink_to("python3")
    settings = {"home": base.parent, "include-system-site-packages": "false", "version": sys.version.split()[0]}
    (venv / "pyvenv.cfg").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
    return library


def install(wheel: Wheel, path: Path, staged: Path, final: Path, library: Path, room: int) -> int:
    """Unpack a wheel into an environment; returns its size, at most `room` bytes. Raises ReleaseRefused, OSError."""
    destination = SchemeDictionaryDestination(
        {
            "purelib": str(library),
            "platlib": str(library),
            "scripts": str(staged / "bin"),
            "headers": str(staged / "include" / wheel.name),
            "data": str(staged),
        },
        interpreter=str(final / "bin/python3"),
        script_kind="posix",
    )
    try:
        with zipfile.ZipFile(path) as archive:
            archive.filename = wheel.file.rpartition("/")[2]  # in the store it has the name of its hash
            total = check_members(archive, room, vendor=wheel.file.startswith(FOLDER))
            source = WheelFile(archive)
            source.validate_record()
            check_scripts(source, archive)
            installer.install(source, destination, additional_metadata={"INSTALLER": b"fieldpost"})
    except OSError as error:
        if error.errno in _ITS_FAULT:
            raise ReleaseRefused("wheel", f"{wheel.file}: {error}") from None
        raise
    except (InstallerError, KeyError, *ZIP_ERRORS) as error:
        raise ReleaseRefused("wheel", f"{wheel.file} cannot be installed: {error}") from None
    return total


def _compile(library: Path, staged: Path, final: Path) -> None:
    """Bytecode, since a slot cannot be written at run time. By hash, unchecked: a slot is whole or not used at all."""
    compileall.compile_dir(
        str(library), quiet=2, stripdir=str(staged), prependdir=str(final), force=True,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip


def _self_test(places: Places, staged: Path, drivers: Sequence[str]) -> None:
    """Run the staged release on this machine's configuration, before anything depends on it. `drivers` must load."""
    lost = _unusable(places, staged / "venv/bin/python3", drivers)
    if lost:
        with contextlib.suppress(ReleaseRefused):  # what does not run today either is no reason
            lost -= _unusable(places, Path(sys.executable))
    if lost:
        raise ReleaseRefused("selftest", f"the driver of {', '.join(sorted(lost))} does not load in it")


def _as_gateway(places: Places) -> dict[str, Any]:
    """Run it as the user to whom the gateway's state belongs, who reads the configuration and cannot write a slot: what
    was staged is signed, and still nothing that root should run.
    """
    owner = places.home.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return {}
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": ()}


def _unusable(places: Places, python: Path, drivers: Sequence[str] = ()) -> set[str]:
    """Channels whose driver does not load in the release of a Python. Raises ReleaseRefused where nothing works."""
    state = store_path(places.config) or places.home
    argv = [str(python), "-I", "-B", "-m", "gateway.ota.selftest", str(places.config), str(state), *drivers]
    env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    try:
        done = subprocess.run(  # noqa: S603 - a slot's own Python
            argv, env=env, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=_SELFTEST_S, check=False,
            umask=0o077, **_as_gateway(places),
        )  # fmt: skip
        if done.returncode == 0:
            return {str(name) for name in json.loads(done.stdout)["unusable"]}
    except (ValueError, KeyError, TypeError):
        text = "the self-test ended without an answer, with exit status 0: something that it imports ends Python"
        raise ReleaseRefused("selftest", f"it does not run here: {text}") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise ReleaseRefused("selftest", f"it does not run here: {error}") from None
    said = (done.stdout + done.stderr).decode(errors="replace").strip()[-2000:]
    if "Traceback" in said:
        said = said.splitlines()[-1]
    raise ReleaseRefused("selftest", f"it does not run here: {said or f'ended with {done.returncode}'}")
