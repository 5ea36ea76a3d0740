"""The publisher's side: a TUF repository of releases in a folder that any web server can serve.

Roles and life times are those of the update design: root for years and offline, targets by who releases, snapshot and
timestamp by who publishes daily. A laboratory may use one key for all of them: the code is the same.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from securesystemslib.signer import CryptoSigner, Key, Signer
from tuf.api import exceptions
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from gateway.atomic import replace_file
from gateway.errors import GatewayError
from gateway.ota import configs
from gateway.ota.package import FOLDER, MOST_VENDORS, Package, role_of, vendor_of
from gateway.ota.publisher.vendor import packages_of
from gateway.ota.release import MOST_DESCRIPTION, Release, Wheel, parse_release

ROLES = ("root", "targets", "snapshot", "timestamp")
DAYS = {"root": 3650, "targets": 365, "snapshot": 90, "timestamp": 30}
_SPEC = JSONSerializer(compact=False)
_Signed = TypeVar("_Signed", Root, Snapshot, Targets, Timestamp)


class RepositoryError(GatewayError):
    """The repository cannot do what was asked; nothing of it was published."""


Signers = Mapping[str, Sequence[Signer]]
"""The keys at hand, by role."""


def new_key() -> CryptoSigner:
    """A fresh Ed25519 key."""
    return CryptoSigner.generate_ed25519()


class Repository:
    """A repository in `folder`: `metadata/` and `targets/`. `now` is for tests of expiry."""

    def __init__(self, folder: Path, now: dt.datetime | None = None) -> None:
        self.folder = folder
        self._metadata = folder / "metadata"
        self._now = (now or dt.datetime.now(dt.UTC)).replace(microsecond=0)

    @classmethod
    def create(
        cls,
        folder: Path,
        keys: Mapping[str, Sequence[Key]],
        thresholds: Mapping[str, int],
        signers: Signers,
        days: Mapping[str, int] = DAYS,
        now: dt.datetime | None = None,
    ) -> Repository:
        """A new repository without releases. Raises RepositoryError when the keys do not reach their thresholds."""
        made = cls(folder, now)
        if made._metadata.exists():
            raise RepositoryError(f"{folder} holds a repository already")
        root = Root(version=1, expires=made._in(days["root"]), consistent_snapshot=True)
        for role in ROLES:
            for key in keys[role]:
                root.add_key(key, role)
            root.roles[role].threshold = thresholds.get(role, 1)
            if thresholds.get(role, 1) > len(root.roles[role].keyids):
                raise RepositoryError(f"{role} needs {thresholds[role]} keys and has {len(root.roles[role].keyids)}")
        made._metadata.mkdir(parents=True)
        (folder / "targets").mkdir(exist_ok=True)
        try:
            first = Targets(1, expires=made._in(days["targets"]))
            for name, content in (made._signed_root(root, signers, root), *made._whole_set(first, signers, days, root)):
                made._write(name, content)
        except BaseException:
            shutil.rmtree(made._metadata, ignore_errors=True)
            raise
        return made

    @property
    def root(self) -> Root:
        """The newest root."""
        versions = sorted(int(path.name.partition(".")[0]) for path in self._metadata.glob("*.root.json"))
        if not versions:
            raise RepositoryError(f"{self.folder} holds no repository")
        return self._read(f"{versions[-1]}.root.json", Root)

    @property
    def targets(self) -> Targets:
        """What is published."""
        version = self.snapshot.meta["targets.json"].version
        return self._read(f"{version}.targets.json", Targets)

    @property
    def snapshot(self) -> Snapshot:
        return self._read(f"{self.timestamp.snapshot_meta.version}.snapshot.json", Snapshot)

    @property
    def timestamp(self) -> Timestamp:
        return self._read("timestamp.json", Timestamp)

    def add(self, release_folder: Path, signers: Signers, days: Mapping[str, int] = DAYS) -> Release:
        """Publish the release in a folder as `fieldpost bundle build` leaves it. Raises RepositoryError."""
        raw = (release_folder / "release.json").read_bytes()
        if len(raw) > MOST_DESCRIPTION:
            raise RepositoryError("the description is too large")
        release = parse_release(raw)
        for wheel in release.drivers:
            self._check_driver(wheel)
        wanted = [(wheel.file, wheel.sha256) for wheel in release.wheels]
        if release.sbom is not None:
            wanted.append((release.sbom.file, release.sbom.sha256))
        contents = {release.target: raw}
        for name, digest in wanted:
            content = (release_folder / name.rpartition("/")[2]).read_bytes()
            if hashlib.sha256(content).hexdigest() != digest:
                raise RepositoryError(f"{name} is not what the description says")
            contents[name] = content
        targets = self.targets
        for name, content in contents.items():
            there = targets.targets.get(name)
            info = TargetFile.from_data(name, content, ["sha256"])
            if there is not None and there != info:
                raise RepositoryError(f"{name} is published already, with another content: raise the version")
            targets.targets[name] = info
            self._store(info, content)
        self._next_targets(targets, signers, days)
        return release

    def withdraw(self, target: str, signers: Signers, days: Mapping[str, int] = DAYS) -> None:
        """Take a release out: no machine that hears of it installs it any more. Files that others share stay."""
        targets = self.targets
        if target not in targets.targets or not target.startswith("releases/"):
            raise RepositoryError(f"there is no release {target}")
        del targets.targets[target]
        self._next_targets(targets, signers, days)

    def refresh(self, signers: Signers, days: Mapping[str, int] = DAYS) -> None:
        """New snapshot and timestamp with new life times; content stays. Raises RepositoryError."""
        self._publish_snapshot(self.targets, signers, days, self.root)

    def rotate(self, role: str, keys: Sequence[Key], threshold: int, signers: Signers, old: Signers) -> None:
        """Give a role other keys. The new root is signed by who signed the last one and by who signs from now on, and
        what the role signs is signed anew. `signers` hold the new keys. Raises RepositoryError: nothing is written.
        """
        before = self.root
        root = self.root
        for keyid in list(root.roles[role].keyids):
            root.revoke_key(keyid, role)
        for key in keys:
            root.add_key(key, role)
        root.roles[role].threshold = threshold
        root.version += 1
        root.expires = self._in(DAYS["root"])
        both = {"root": [*old.get("root", ()), *signers.get("root", ())]}
        signed, targets, everybody = self._signed_root(root, both, before), self.targets, {**old, **signers}
        files = []
        if role == "targets":
            files = self._whole_set(self._renewed(targets, DAYS), everybody, DAYS, root)
        elif role != "root":
            files = self._set_around(targets, self._raw(targets), everybody, DAYS, root)
        for name, content in (signed, *files):
            self._write(name, content)

    def delegate(self, vendor: str, keys: Sequence[Key], signers: Signers, days: Mapping[str, int] = DAYS) -> None:
        """From now on each of these keys, and no other, signs drivers of a vendor. Raises RepositoryError."""
        self._delegate(role_of(vendor), keys, f"{FOLDER}{vendor}/*", signers, days)

    def delegate_configs(self, keys: Sequence[Key], signers: Signers, days: Mapping[str, int] = DAYS) -> None:
        """From now on each of these keys, and no other, signs configurations. Raises RepositoryError."""
        self._delegate(configs.ROLE, keys, configs.PATHS, signers, days)

    def _delegate(self, role: str, keys: Sequence[Key], path: str, signers: Signers, days: Mapping[str, int]) -> None:
        targets = self.targets
        delegations = targets.delegations or Delegations({}, {})
        roles, known = dict(delegations.roles or {}), {**delegations.keys, **{key.keyid: key for key in keys}}
        if role not in {*roles, configs.ROLE} and len(roles.keys() - {configs.ROLE}) >= MOST_VENDORS:
            raise RepositoryError(f"there are {MOST_VENDORS} vendors already, and a gateway looks for no more")
        ids = sorted({key.keyid for key in keys})
        roles[role] = DelegatedRole(role, ids, 1, terminating=True, paths=[path])
        used = {keyid for one in roles.values() for keyid in one.keyids}
        targets.delegations = Delegations({keyid: known[keyid] for keyid in used}, roles)
        self._next_targets(targets, signers, days)

    def dismiss(self, vendor: str, signers: Signers, days: Mapping[str, int] = DAYS) -> None:
        """A vendor's key signs nothing more, and what it signed is not installed any more. Raises RepositoryError."""
        role, targets = role_of(vendor), self.targets
        roles = dict(targets.delegations.roles or {}) if targets.delegations else {}
        if targets.delegations is None or roles.pop(role, None) is None:
            raise RepositoryError(f"there is no vendor {vendor}")
        used = {keyid for one in roles.values() for keyid in one.keyids}
        keys = {keyid: key for keyid, key in targets.delegations.keys.items() if keyid in used}
        targets.delegations = Delegations(keys, roles) if roles else None
        self._next_targets(targets, signers, days)

    @property
    def vendors(self) -> dict[str, Targets | None]:
        """What each vendor publishes; None for one that has published nothing yet."""
        delegations = self.targets.delegations
        roles = sorted(delegations.roles or ()) if delegations else []
        return {role.removeprefix("drivers-"): self.published(role) for role in roles if role != configs.ROLE}

    def publish(self, folder: Path, signers: Signers, days: Mapping[str, int] = DAYS) -> list[Package]:
        """Publish what a vendor signed in a folder (`fieldpost bundle driver`). Returns the packages that are new.

        Only snapshot and timestamp are signed here. Raises RepositoryError for what the vendor may not or did not sign.
        """
        vendor, raw, contents, packages = packages_of(folder)
        role, targets = role_of(vendor), self.targets
        if targets.delegations is None or role not in (targets.delegations.roles or {}):
            raise RepositoryError(f"{vendor} is no vendor here: `fieldpost bundle vendor add {vendor}`")
        signed = Metadata[Targets].from_bytes(raw)  # `packages_of` has read it
        try:
            targets.verify_delegate(role, signed.signed_bytes, signed.signatures)
        except exceptions.UnsignedMetadataError:
            raise RepositoryError(f"{folder} is not signed by a key that {vendor} has here") from None
        known = self.snapshot.meta.get(f"{role}.json")
        if known is not None and signed.signed.version <= known.version:
            raise RepositoryError(f"{vendor} has published set {known.version}; this is set {signed.signed.version}")
        if signed.signed.is_expired(self._now):
            raise RepositoryError(f"what {vendor} signed has expired")
        before = self.published(role)
        for name, content in contents.items():
            info = signed.signed.targets[name]
            if before is not None and before.targets.get(name, info) != info:
                raise RepositoryError(f"{name} is published already, with another content: raise the version")
            self._store(info, content)
        self._write(f"{signed.signed.version}.{role}.json", raw)
        self._publish_snapshot(targets, signers, days, self.root, {f"{role}.json": _meta(signed.signed.version, raw)})
        return [one for one in packages if before is None or one.target not in before.targets]

    def bundle_names(self, content: Release | Package) -> list[str]:
        """The files that a bundle of one release, or of one driver package, needs."""
        targets, snapshot = self.targets, self.snapshot
        names = [f"metadata/{path.name}" for path in sorted(self._metadata.glob("*.root.json"))]
        names += [f"metadata/{snapshot.version}.snapshot.json", f"metadata/{targets.version}.targets.json"]
        names += ["metadata/timestamp.json"]
        wanted = [content.target, *(wheel.file for wheel in content.files)]
        if isinstance(content, Release) and content.sbom is not None:
            wanted.append(content.sbom.file)
        roles = {role_of(vendor_of(name)) for name in wanted if name not in targets.targets}
        names += [f"metadata/{snapshot.meta[f'{role}.json'].version}.{role}.json" for role in sorted(roles)]
        return names + [self._place(self._info(name)) for name in wanted]

    def _info(self, name: str) -> TargetFile:
        """What is published under a name, by whoever may. Raises RepositoryError."""
        vendor = vendor_of(name)
        published = self.published(role_of(vendor)) if vendor else None
        info = self.targets.targets.get(name) or (published.targets.get(name) if published else None)
        if info is None:
            raise RepositoryError(f"{name} is not published")
        return info

    def publish_role(
        self,
        role: str,
        metadata: Metadata[Targets],
        contents: Sequence[tuple[TargetFile, bytes]],
        signers: Signers,
        days: Mapping[str, int],
    ) -> None:
        """Publish what a delegated role has signed. Only snapshot and timestamp are signed here."""
        for info, content in contents:
            self._store(info, content)
        raw, version = metadata.to_bytes(_SPEC), metadata.signed.version
        self._write(f"{version}.{role}.json", raw)
        self._publish_snapshot(self.targets, signers, days, self.root, {f"{role}.json": _meta(version, raw)})

    def published(self, role: str) -> Targets | None:
        """What a delegated role has signed; None before the first time."""
        meta = self.snapshot.meta.get(f"{role}.json")
        return self._read(f"{meta.version}.{role}.json", Targets) if meta else None

    def _check_driver(self, wheel: Wheel) -> None:
        if self._info(wheel.file).hashes.get("sha256") != wheel.sha256:
            raise RepositoryError(f"{wheel.file} is not what its vendor has published")

    def _next_targets(self, targets: Targets, signers: Signers, days: Mapping[str, int]) -> None:
        for name, content in self._whole_set(self._renewed(targets, days), signers, days, self.root):
            self._write(name, content)

    def _renewed(self, targets: Targets, days: Mapping[str, int]) -> Targets:
        targets.version, targets.expires = targets.version + 1, self._in(days["targets"])
        return targets

    def _publish_snapshot(
        self,
        targets: Targets,
        signers: Signers,
        days: Mapping[str, int],
        root: Root,
        roles: Mapping[str, MetaFile] = {},
    ) -> None:
        for name, content in self._set_around(targets, self._raw(targets), signers, days, root, roles):
            self._write(name, content)

    def _raw(self, targets: Targets) -> bytes:
        return (self._metadata / f"{targets.version}.targets.json").read_bytes()

    def _whole_set(
        self, targets: Targets, signers: Signers, days: Mapping[str, int], root: Root
    ) -> list[tuple[str, bytes]]:
        """Targets first, the timestamp last: a client sees the old set or the new one."""
        signed = self._signed(Metadata(targets), "targets", signers, root)
        return [(f"{targets.version}.targets.json", signed), *self._set_around(targets, signed, signers, days, root)]

    def _set_around(
        self,
        targets: Targets,
        raw: bytes,
        signers: Signers,
        days: Mapping[str, int],
        root: Root,
        roles: Mapping[str, MetaFile] = {},
    ) -> list[tuple[str, bytes]]:
        """The snapshot and timestamp that name these targets, signed. A role that was named once is named for ever:
        a client takes a snapshot without it for an older one. `roles`: of vendors, as they are from now on.
        """
        first = not (self._metadata / "timestamp.json").exists()
        snapshot = Snapshot(1 if first else self.snapshot.version + 1, expires=self._in(days["snapshot"]))
        snapshot.meta = {**({} if first else self.snapshot.meta), **roles}
        snapshot.meta["targets.json"] = _meta(targets.version, raw)
        signed = self._signed(Metadata(snapshot), "snapshot", signers, root)
        timestamp = Timestamp(1 if first else self.timestamp.version + 1, expires=self._in(days["timestamp"]))
        timestamp.snapshot_meta = _meta(snapshot.version, signed)
        last = self._signed(Metadata(timestamp), "timestamp", signers, root)
        return [(f"{snapshot.version}.snapshot.json", signed), ("timestamp.json", last)]

    def _signed(self, metadata: Metadata[Any], role: str, signers: Signers, root: Root) -> bytes:
        """Signed by all keys at hand that the role has. Raises RepositoryError below its threshold."""
        for signer in signers.get(role, ()):
            if signer.public_key.keyid in root.roles[role].keyids:
                metadata.sign(signer, append=True)
        try:
            root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except exceptions.UnsignedMetadataError:
            needed = root.roles[role].threshold
            raise RepositoryError(f"{role} needs {needed} of its keys, {len(metadata.signatures)} given") from None
        return metadata.to_bytes(_SPEC)

    def _signed_root(self, after: Root, signers: Signers, before: Root) -> tuple[str, bytes]:
        """Signed by enough of those who signed the last one, and of those who sign from now on."""
        metadata = Metadata(after)
        for signer in signers.get("root", ()):
            if signer.public_key.keyid in {*before.roles["root"].keyids, *after.roles["root"].keyids}:
                metadata.sign(signer, append=True)
        try:
            for each in (before, after):
                each.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
        except exceptions.UnsignedMetadataError as error:
            raise RepositoryError(f"root needs more of its keys: {error}") from None
        return f"{after.version}.root.json", metadata.to_bytes(_SPEC)

    def _store(self, info: TargetFile, content: bytes) -> None:
        path = self.folder / self._place(info)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content, 0o644)

    def _place(self, info: TargetFile) -> str:
        folder, _, base = info.path.rpartition("/")
        return f"targets/{folder}/{info.hashes['sha256']}.{base}"

    def _write(self, name: str, content: bytes) -> None:
        replace_file(self._metadata / name, content, 0o644)

    def _read(self, name: str, kind: type[_Signed]) -> _Signed:
        try:
            signed = Metadata.from_bytes((self._metadata / name).read_bytes()).signed
        except (OSError, exceptions.RepositoryError, ValueError) as error:
            raise RepositoryError(f"{self._metadata / name} cannot be read: {error}") from None
        if not isinstance(signed, kind):
            raise RepositoryError(f"{self._metadata / name} is of another role")
        return signed

    def _in(self, days: int) -> dt.datetime:
        return self._now + dt.timedelta(days=days)


def _meta(version: int, raw: bytes) -> MetaFile:
    return MetaFile(version, len(raw), {"sha256": hashlib.sha256(raw).hexdigest()})
