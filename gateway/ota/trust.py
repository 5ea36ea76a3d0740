"""Whether a release may be used: TUF over files that lie in an inbox, and what TUF alone lets pass.

The inbox may belong to somebody hostile, so every file is copied first and the copy is looked at. Added to TUF: floors
that survive a lost cache (version of each role, rollback index, time), and a clock that is not believed while it is not
synced. Rules of TUF: its specification 1.0, section 5; the recovery from a fast-forward attack is 5.3.11 there.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace
from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, TargetFile
from tuf.ngclient import FetcherInterface, Updater

from gateway.atomic import sync_folder
from gateway.ota.bundle import MOST_FILES, MOST_METADATA
from gateway.ota.files import copy, regular, sync_tree
from gateway.ota.package import FOLDER, Package, parse_package, vendor_of
from gateway.ota.release import MOST_DESCRIPTION, Release, ReleaseRefused, Wheel, parse_release, version_key

_FIVE_YEARS_S = 5 * 365 * 86400
_BASE = "inbox://release/"
_ROLES = ("timestamp", "snapshot", "targets")
TOO = ", too"
"""After what has expired beside a timestamp."""
_NEWER_SEEN = re.compile(r"New timestamp version ([0-9]+) must be >= ([0-9]+)")
"""As the library says it."""


class Floors(Struct, frozen=True):
    """The highest that was ever trusted: versions of roles, and UTC seconds. Whatever is below is refused."""

    root: int = 0
    timestamp: int = 0
    snapshot: int = 0
    targets: int = 0
    time: int = 0


class Now(Struct, frozen=True):
    """What the clock says, UTC seconds, whether it is synced, and when this program was built. `vouched`: the operator
    says that it is right without being synced, as one with a battery; nobody's word makes it right before what was
    trusted.
    """

    seconds: int
    synced: bool
    built: int = 0
    vouched: bool = False


class Verified(Struct, frozen=True):
    """A release or a driver package that is proven: its description, also as it was signed, and its wheels in the
    staging folder by their place. `stale`: the timestamp had expired, which an administrator accepted.
    """

    content: Release | Package
    raw: bytes
    files: dict[str, Path]
    floors: Floors
    stale: bool = False

    @property
    def release(self) -> Release:
        """Raises ReleaseRefused where it is a driver package."""
        if not isinstance(self.content, Release):
            raise ReleaseRefused("kind", f"{self.content.target} is a driver package, not a release")
        return self.content


class Trust(Struct, frozen=True):
    """Where a machine keeps what it trusts. `root`: the factory's root metadata. `cache`: a folder that only the
    updater may write. `stale_timestamp`: an administrator accepts a timestamp that has expired, and nothing else.
    `store`: a folder of wheels by their hash, from which those are taken that do not lie in the inbox.
    """

    root: bytes
    cache: Path
    floors: Floors
    now: Now
    stale_timestamp: bool = False
    store: Path | None = None


def verify(inbox: Path, trust: Trust, staging: Path, target: str = "") -> Verified:
    """The release or driver package `target` with its wheels copied into `staging`, an empty folder. Without a target:
    the newest release in the inbox, else the newest driver there.

    Raises ReleaseRefused; what is trusted changes only when all of it is proven. The caller keeps `floors`.
    """
    with tempfile.TemporaryDirectory(prefix=".trust-", dir=trust.cache.parent) as name:
        work = Path(name) / "cache"
        if trust.cache.is_dir():
            shutil.copytree(trust.cache, work, symlinks=True)
        work.mkdir(exist_ok=True)
        client = Client(inbox, trust, work, Inbox(inbox))
        floors = client.refresh()
        verified = client.take(target, staging, floors)
        replace_cache(trust.cache, work)
    return verified


class Inbox(FetcherInterface):
    """Serves a repository that lies in a folder. Nothing is believed of it: sizes are bounded by who asks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = unquote(urlsplit(url).path).lstrip("/")
        if ".." in name.split("/") or "\0" in name:
            raise exceptions.DownloadHTTPError("no such file", 404)
        return self._chunks(self._folder / "metadata" / name)

    def _chunks(self, path: Path) -> Iterator[bytes]:
        try:
            with regular(path) as file:
                while chunk := file.read(1 << 16):
                    yield chunk
        except ReleaseRefused as error:
            raise exceptions.DownloadHTTPError(str(error), 404) from None


class Client:
    """One look at a repository: metadata through `fetcher`, files in `inbox`. `work`: a cache of its own."""

    def __init__(self, inbox: Path, trust: Trust, work: Path, fetcher: FetcherInterface) -> None:
        self._inbox = inbox
        self._trust = trust
        self._work = work
        self._fetcher = fetcher
        now = trust.now
        self._floor = max(trust.floors.time, now.built)
        self._believed = now.synced or (now.vouched and now.seconds >= self._floor)
        self._time = self._reference()
        self._stale = False
        self._updater = self._open(self._time)

    def _reference(self) -> dt.datetime:
        """The time that expiry is judged by: a clock that is not synced is never before what was trusted."""
        now, floor = self._trust.now, self._floor
        if not self._believed and floor and now.seconds > floor + _FIVE_YEARS_S:
            raise ReleaseRefused("clock", "the clock is not synced and years ahead: wait until it is")
        seconds = now.seconds if now.synced else max(now.seconds, floor)
        return dt.datetime.fromtimestamp(seconds, dt.UTC)

    def _open(self, time: dt.datetime) -> Updater:
        try:
            updater = Updater(
                metadata_dir=str(self._work),
                metadata_base_url=_BASE,
                fetcher=self._fetcher,
                bootstrap=self._trust.root,
            )
        except (exceptions.RepositoryError, ValueError) as error:
            raise ReleaseRefused("root", f"the factory's root metadata cannot be used: {error}") from None
        updater._trusted_set.reference_time = time  # noqa: SLF001 - the library has no other way; a test guards it
        return updater

    def refresh(self) -> Floors:
        """Prove the metadata; the new floors. Raises ReleaseRefused."""
        try:
            self._updater.refresh()
        except exceptions.ExpiredMetadataError as error:
            self._expired(error)
        except (exceptions.RepositoryError, exceptions.DownloadError, OSError, ValueError) as error:
            raise ReleaseRefused(_reason(error), f"the metadata is refused: {_told(error)}") from None
        return self._above_floors()

    def _expired(self, error: exceptions.ExpiredMetadataError) -> None:
        """Expired: wait where the clock may be wrong; go on where an administrator accepts an old timestamp."""
        trusted = self._updater._trusted_set  # noqa: SLF001
        known = "timestamp" in trusted._trusted_set  # noqa: SLF001
        accepted = known and self._trust.stale_timestamp
        told = f"{error}{self._beside(trusted.timestamp.expires) if known and not accepted else ''}"
        if not accepted and not self._believed:
            raise ReleaseRefused("clock", f"{told}, by a clock that is not synced") from None
        if not accepted:
            raise ReleaseRefused("expired", f"the metadata has expired: {told}") from None
        self._stale = True
        self._updater = self._open(trusted.timestamp.expires - dt.timedelta(seconds=1))
        try:
            self._updater.refresh()
        except (exceptions.RepositoryError, exceptions.DownloadError, OSError, ValueError) as again:
            raise ReleaseRefused(_reason(again), f"the metadata is refused: {_told(again)}") from None
        trusted = self._updater._trusted_set  # noqa: SLF001
        for role in (trusted.root, trusted.snapshot, trusted.targets):
            if role.is_expired(self._time):
                raise ReleaseRefused("expired", f"the metadata has expired: {role.type}, not the timestamp alone")

    def _beside(self, timestamp: dt.datetime) -> str:
        """What has expired beside the timestamp: nobody can accept that. Nothing is fetched for these words."""
        if not isinstance(self._fetcher, Inbox):
            return ""
        updater = self._open(timestamp - dt.timedelta(seconds=1))
        try:
            updater.refresh()
        except exceptions.ExpiredMetadataError as error:
            return f"; {error}{TOO}"
        except (exceptions.RepositoryError, exceptions.DownloadError, OSError, ValueError):
            return ""
        trusted = updater._trusted_set  # noqa: SLF001
        old = [role.type for role in (trusted.root, trusted.snapshot, trusted.targets) if role.is_expired(self._time)]
        return f"; {' and '.join(f'{one}.json' for one in old)} expired{TOO}" if old else ""

    def _above_floors(self) -> Floors:
        floors = self._trust.floors
        trusted = self._updater._trusted_set  # noqa: SLF001
        found = {"timestamp": trusted.timestamp, "snapshot": trusted.snapshot, "targets": trusted.targets}
        if trusted.root.version < floors.root:
            raise ReleaseRefused("rollback", f"root {trusted.root.version} is older than {floors.root}, known before")
        kept = self._with_new_keys(floors, trusted.root)
        for role in _ROLES:
            version, least = found[role].version, getattr(kept, role)
            if version < least:
                raise ReleaseRefused("rollback", _older(role, version, least))
        now = self._trust.now
        versions = {role: found[role].version for role in _ROLES}
        return Floors(trusted.root.version, **versions, time=max(floors.time, now.seconds if self._believed else 0))

    def _with_new_keys(self, floors: Floors, root: Root) -> Floors:
        """A role whose keys were replaced starts anew: who held the old ones may have counted up."""
        if not floors.root or root.version == floors.root:
            return floors
        path = self._work / "root_history" / f"{floors.root}.root.json"
        try:
            before = Metadata[Root].from_bytes(path.read_bytes()).signed
        except (OSError, exceptions.RepositoryError, ValueError):
            return floors
        changed = [role for role in _ROLES if set(before.roles[role].keyids) != set(root.roles[role].keyids)]
        return replace(floors, **dict.fromkeys(changed, 0))

    def take(self, target: str, staging: Path, floors: Floors) -> Verified:
        """The release or driver package and its wheels, each proven. Raises ReleaseRefused."""
        name = target or self._newest()
        raw = self._description(name, staging)
        content = parse_package(raw) if name.startswith(FOLDER) else parse_release(raw)
        if content.target != name:
            raise ReleaseRefused("description", f"{name} describes {content.target}")
        files = {wheel.file: self._wheel(wheel, staging) for wheel in content.files}
        if isinstance(content, Release) and content.sbom is not None:
            info = self.info(content.sbom.file)
            if info.hashes.get("sha256") != content.sbom.sha256:
                raise ReleaseRefused("description", "its list of parts is another one than is signed")
            files[content.sbom.file] = self._copied(info, staging / "sbom.cdx.json")
        sync_folder(staging)
        return Verified(content, raw, files, floors, self._stale)

    def _newest(self) -> str:
        """The highest release that is signed and lies in the inbox; where there is none, the highest driver."""
        signed = self._updater._trusted_set.targets.targets  # noqa: SLF001
        found = [name for name, info in signed.items() if name.startswith("releases/") and self.place(info).is_file()]
        found = found or self._drivers()
        if not found:
            raise ReleaseRefused("missing", "no release that is signed is there")
        return max(found, key=lambda name: version_key(name.removesuffix(".json").rpartition("-")[2]))

    def _drivers(self) -> list[str]:
        """Descriptions of drivers in the inbox, by what their names would be; whose they are is proven later."""
        found = []
        for path in itertools.islice(self._inbox.glob("targets/drivers/*/*.json"), MOST_FILES):
            name = f"{FOLDER}{path.parent.name}/{path.name.partition('.')[2]}"
            if vendor_of(name) and path.is_file():
                found.append(name)
        return found

    def info(self, name: str) -> TargetFile:
        """What is signed of a file. Raises ReleaseRefused where nobody who may has signed it."""
        try:
            info = self._updater.get_targetinfo(name)
        except (exceptions.RepositoryError, exceptions.DownloadError, OSError, ValueError) as error:
            raise ReleaseRefused(_reason(error), f"{name}: {error}") from None
        if info is None:
            raise ReleaseRefused("unsigned", f"{name} is not signed by anybody who may")
        self._check_vendor(name)
        return info

    def _check_vendor(self, name: str) -> None:
        """A vendor's role is judged by the clock too, where the timestamp's age was accepted."""
        trusted, vendor = self._updater._trusted_set, vendor_of(name)  # noqa: SLF001
        role = trusted._trusted_set.get(f"drivers-{vendor}") if vendor else None  # noqa: SLF001
        if role is not None and role.is_expired(self._time):
            raise ReleaseRefused(
                "expired", f"the metadata has expired: {role.type} of {vendor}, not the timestamp alone"
            )

    def place(self, info: TargetFile) -> Path:
        """Where a file lies in the inbox, or is to lie."""
        folder, _, base = info.path.rpartition("/")
        return self._inbox / "targets" / folder / f"{next(iter(info.hashes.values()))}.{base}"

    def _copied(self, info: TargetFile, to: Path) -> Path:
        copy(self.place(info), to, info.length)
        prove(info, to)
        return to

    def _description(self, name: str, staging: Path) -> bytes:
        info = self.info(name)
        if info.length > MOST_DESCRIPTION:
            raise ReleaseRefused("description", f"{name} is too large")
        return self._copied(info, staging / "release.json").read_bytes()

    def _wheel(self, wheel: Wheel, staging: Path) -> Path:
        info = self.info(wheel.file)
        if info.length != wheel.size or info.hashes.get("sha256") != wheel.sha256:
            raise ReleaseRefused("description", f"{wheel.file} is described other than it is signed")
        kept = None if self._trust.store is None else self._trust.store / f"{wheel.sha256}.whl"
        if kept is not None and kept.is_file() and not self.place(info).exists():
            prove(info, kept)  # where only the updater writes; nobody can change it afterwards
            return kept
        return self._copied(info, staging / wheel.file.rpartition("/")[2])


def prove(info: TargetFile, path: Path) -> None:
    """Raises ReleaseRefused where a file is not what was signed."""
    with regular(path) as file:
        try:
            info.verify_length_and_hashes(file)
        except exceptions.LengthOrHashMismatchError as error:
            raise ReleaseRefused("hash", f"{info.path} is not what was signed: {error}") from None


def _older(role: str, version: int | str, least: int | str) -> str:
    """What to say, and what to do, of a set that is older than one that was seen."""
    again = "a bundle is brought up to date by `fieldpost bundle sign RELEASE ... -o again.fpb`"
    return f"this machine has seen a newer set ({role} {least}, here it is {version}): {again}"


def _told(error: Exception) -> str:
    """The library's word, or ours where an older set than one that was seen is offered."""
    if isinstance(error, exceptions.BadVersionNumberError):
        found = _NEWER_SEEN.search(str(error))
        if found is not None:
            return _older("timestamp", found[1], found[2])
    return str(error)


def _reason(error: Exception) -> str:
    """One word for what TUF refused."""
    if isinstance(error, exceptions.BadVersionNumberError):
        return "rollback"
    if isinstance(error, exceptions.UnsignedMetadataError):
        return "unsigned"
    if isinstance(error, exceptions.LengthOrHashMismatchError | exceptions.DownloadLengthMismatchError):
        return "length"
    if isinstance(error, exceptions.ExpiredMetadataError):
        return "expired"
    return "missing" if isinstance(error, exceptions.DownloadHTTPError) else "metadata"


def replace_cache(cache: Path, work: Path) -> None:
    """Put the new cache in the place of the old one, on disk. A kill in between costs the cache, never the floors. All
    may read it: the library writes files for their owner alone, and who fetches begins with what is trusted here.
    """
    for path in (work, *work.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    sync_tree(work)
    old = cache.with_name(f".{cache.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if cache.exists():
        cache.rename(old)
    work.rename(cache)
    sync_folder(cache.parent)
    shutil.rmtree(old, ignore_errors=True)


__all__ = [
    "MOST_METADATA",
    "TOO",
    "Client",
    "Floors",
    "Inbox",
    "Now",
    "Trust",
    "Verified",
    "prove",
    "replace_cache",
    "verify",
]
