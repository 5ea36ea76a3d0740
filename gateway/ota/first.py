"""The first release of a machine, and each one that somebody at it installs: `-m gateway.ota.first`, run by the
installer and by the system's package out of unpacked wheels, before any slot is there.

Staged and sealed as the updater does it, then taken without a trial: who is root at the machine wants it. A bundle is
verified against a root file; a folder of wheels is believed, since root gave it, and compared with its description.
With a root file alone nothing is installed: it is only looked at, by those who are about to put it in its place.
"""

from __future__ import annotations

import argparse
import calendar
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from gateway.clock import ntp_synced
from gateway.errors import GatewayError
from gateway.ota.allowing import Allowed
from gateway.ota.apply import alone, is_whole
from gateway.ota.assembling import check_space, stage
from gateway.ota.building import Wanted, build
from gateway.ota.bundle import unpack
from gateway.ota.composing import Plan, plan
from gateway.ota.files import copy
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused, check_fit, parse_release, this_machine, version_key
from gateway.ota.slots import ask, look
from gateway.ota.trust import TOO, Floors, Now, Trust, Verified, replace_cache, verify
from gateway.ota.wheels import WheelStore
from gateway.release import release_ms
from gateway.store.segments import FORMAT as STORE_SCHEMA


class Given(Struct, frozen=True):
    """What is to be installed: a bundle or a folder. `root`: whose signatures on a bundle count, else those that the
    machine trusts already. `newer`: what is not newer than the release that is there is left alone; without it a folder
    that is older is refused.
    """

    bundle: Path | None = None
    wheels: Path | None = None
    root: Path | None = None
    stale_timestamp: bool = False
    newer: bool = False
    dry_run: bool = False


class _Found(Struct, frozen=True):
    """What is there to install. `cache`: what is trusted from then on, where it was a bundle."""

    verified: Verified
    cache: Path | None = None


def install(places: Places, given: Given) -> tuple[bool, str]:
    """Whether something changed (with `dry_run`: would change), and the slot. Raises GatewayError, OSError."""
    trial = look(places).trial
    if trial is not None:
        raise ReleaseRefused("busy", f"{trial.slot} is being tried: wait, or end it with `fieldpost ota rollback`")
    base = None if given.dry_run else places.base
    with (
        contextlib.nullcontext() if given.dry_run else alone(places),
        tempfile.TemporaryDirectory(prefix=".inbox-", dir=base) as name,
    ):
        found, good = _find(places, given, Path(name)), _good(places)
        release = found.verified.release
        machine = this_machine(_version(places, good), STORE_SCHEMA, _floors(places).get("rollback_index", 0))
        planned = plan(found.verified, places.releases / good, places.wheels, machine, Allowed(places))
        if planned.slot == good and (given.dry_run or is_whole(places, good)):
            return False, good
        if given.newer and good and not version_key(machine.version) < version_key(release.version):
            return False, good
        if given.wheels is not None:
            _check_order(machine.version, release.version)
        check_fit(planned.release, machine)
        if not given.dry_run:
            _take(places, planned, found)
    return True, planned.slot


def _check_order(there: str, new: str) -> None:
    """Raises ReleaseRefused for wheels that are older than what is there: of a bundle its metadata says so."""
    if there and version_key(new) < version_key(there):
        text = f"{new} is older than {there}, which is installed"
        raise ReleaseRefused("rollback", f"{text}: to go back use `fieldpost ota rollback`, or uninstall it first")


def _take(places: Places, planned: Plan, found: _Found) -> None:
    if not is_whole(places, planned.slot):
        check_space(planned.release, places.base)
        store = WheelStore(places.wheels)
        wheels = {wheel.file: store.keep(wheel, planned.wheels[wheel.file]) for wheel in planned.release.files}
        staged = stage(places, planned, wheels)
        if places.root != Path("/"):
            _name_the_image(places, staged)
        ask(places, "seal", planned.slot)
    ask(places, "adopt", planned.slot)
    if found.cache is not None:
        replace_cache(places.cache, found.cache)
        floors = found.verified.floors
        ask(places, "floors", asked={field: getattr(floors, field) for field in Floors.__struct_fields__})


def _name_the_image(places: Places, staged: Path) -> None:
    """Scripts of an image name their interpreter as the booted image will see it."""
    for script in (staged / "venv/bin").iterdir():
        if script.is_file() and not script.is_symlink():
            content = script.read_bytes()
            script.write_bytes(content.replace(b"#!" + os.fsencode(places.root), b"#!", 1))


def _find(places: Places, given: Given, work: Path) -> _Found:
    """Verify, and copy into `work`."""
    if given.bundle is not None:
        return _of_bundle(places, given, given.bundle, work)
    assert given.wheels is not None
    if given.root is not None:
        check_root(given.root)
    folder = given.wheels
    if not (folder / "release.json").exists():
        with _dated(folder):
            machine = this_machine()
            build(folder, work / "release", Wanted(machine.platform, machine.python))
        folder = work / "release"
    raw = (folder / "release.json").read_bytes()
    release = parse_release(raw)
    copies = work / "copies"
    copies.mkdir()
    files = {}
    for wheel in release.files:
        base = wheel.file.rpartition("/")[2]
        copy(folder / base, copies / base, wheel.size)
        files[wheel.file] = copies / base
    return _Found(Verified(release, raw, files, Floors()))


def _of_bundle(places: Places, given: Given, bundle: Path, work: Path) -> _Found:
    inbox, copies = work / "inbox", work / "copies"
    inbox.mkdir()
    copies.mkdir()
    unpack(bundle, inbox)
    path = given.root or places.factory_root
    if given.root is not None:
        check_root(given.root)
    try:
        root = path.read_bytes()
    except OSError as error:
        text = f"whose signatures count is not known: {path}: {error.strerror}; name the publisher's 1.root.json"
        raise ReleaseRefused("root", text) from None
    floors, cache = _floors(places), work / "tuf"
    if places.cache.is_dir():
        shutil.copytree(places.cache, cache, symlinks=True)
    trust = Trust(
        root=root,
        cache=cache,
        floors=Floors(**{name: floors.get(name, 0) for name in Floors.__struct_fields__}),
        now=Now(int(time.time()), synced=ntp_synced(), built=release_ms() // 1000),
        stale_timestamp=given.stale_timestamp,
    )
    return _Found(verify(inbox, trust, copies), cache)


def check_root(path: Path) -> None:
    """Raises ReleaseRefused where a file is no root metadata that is signed by its own keys; OSError."""
    raw = path.read_bytes()
    try:
        metadata = Metadata[Root].from_bytes(raw)
        root = metadata.signed
        if not isinstance(root, Root):
            raise ReleaseRefused("root", f"{path} is {root.type} metadata, not a root file")
        root.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError, RecursionError) as error:
        raise ReleaseRefused("root", f"{path} is no root file of a publisher (1.root.json): {error}") from None


@contextlib.contextmanager
def _dated(folder: Path) -> Iterator[None]:
    """The same wheels make the same release whenever they are installed: it is as old as the newest file in ours."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        yield
        return
    dates = [(1980, 1, 1, 0, 0, 0)]
    for path in folder.glob("fieldpost-*.whl"):
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            dates += [member.date_time for member in archive.infolist()]
    os.environ["SOURCE_DATE_EPOCH"] = str(calendar.timegm((*max(dates), 0, 0, 0)))
    try:
        yield
    finally:
        del os.environ["SOURCE_DATE_EPOCH"]


def _good(places: Places) -> str:
    """The slot that runs, empty on a new machine."""
    good = look(places).good
    return good if good and (places.releases / good).is_dir() else ""


def _version(places: Places, slot: str) -> str:
    with contextlib.suppress(OSError, ReleaseRefused):
        return parse_release((places.releases / slot / "release.json").read_bytes()).version
    return ""


def _floors(places: Places) -> dict[str, int]:
    """The highest of what the state and its copy know: the copy outlives an uninstallation."""
    known: list[Mapping[str, int]] = [look(places).floors]
    with contextlib.suppress(OSError, ValueError):
        copied = json.loads((places.root / "var/lib/fieldpost-floor/floors.json").read_bytes())
        if isinstance(copied, dict):
            known.append({str(name): value for name, value in copied.items() if isinstance(value, int)})
    return {name: max(floors.get(name, 0) for floors in known) for floors in known for name in floors}


def _hint(error: GatewayError) -> str:
    """What to do where the age of a timestamp is in the way, alone or with more."""
    if not isinstance(error, ReleaseRefused) or "timestamp.json is expired" not in str(error):
        return ""
    clock = "set the clock if it is wrong; else " if error.reason == "clock" else ""
    again = f"; {clock}sign the bundle again"
    return again if TOO in str(error) else f"{again}, or take it at its age with --accept-stale-timestamp"


def main(words: list[str]) -> int:
    """`changed SLOT`, `unchanged SLOT` or `root` on standard output and 0; 1 and the reason."""
    parser = argparse.ArgumentParser(prog="first-install", allow_abbrev=False)
    source = parser.add_mutually_exclusive_group(required="--trust" not in words)
    source.add_argument("--bundle", type=Path)
    source.add_argument("--wheels", type=Path)
    parser.add_argument("--place", type=Path, default=Path("/"))
    parser.add_argument("--trust", type=Path)
    for name in ("--accept-stale-timestamp", "--newer-only", "--dry-run"):
        parser.add_argument(name, action="store_true")
    args = parser.parse_args(words)
    os.umask(0o022)
    given = Given(
        args.bundle, args.wheels, args.trust, args.accept_stale_timestamp, newer=args.newer_only, dry_run=args.dry_run
    )
    try:
        if args.bundle is None and args.wheels is None:
            check_root(args.trust)
            print("root")
            return 0
        changed, slot = install(Places(args.place), given)
    except GatewayError as error:
        print(f"first-install: {error}{_hint(error)}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"first-install: {error.filename or 'staging'}: {error.strerror or error}", file=sys.stderr)
        return 1
    print("changed" if changed else "unchanged", slot)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
