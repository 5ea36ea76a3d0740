"""A publisher with keys, and releases made of small files: real signatures, no wheels that could run."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from securesystemslib.signer import CryptoSigner, Signer

from gateway.ota.bundle import pack, unpack
from gateway.ota.package import Package
from gateway.ota.publisher.repository import DAYS, ROLES, Repository, new_key
from gateway.ota.publisher.vendor import Described, pack_driver, sign
from gateway.ota.release import Release
from gateway.ota.trust import Floors, Now, Trust, Verified, verify
from tests.support.runnable import driver

START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
DAY_S = 86400


def seconds(days: float = 0.0) -> int:
    return int(START.timestamp() + days * DAY_S)


def release_folder(folder: Path, version: str, wheels: dict[str, bytes] | None = None, **keys: Any) -> Path:
    """A release as `bundle build` leaves it. `wheels`: name -> content."""
    folder.mkdir(parents=True)
    wheels = wheels or {"fieldpost": b"runtime " + version.encode() * 50, "msgpack": b"library"}
    rows = []
    for name, content in wheels.items():
        file = f"{name}-{version if name == 'fieldpost' else '1.0'}-py3-none-any.whl"
        (folder / file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        rows.append({"name": name, "version": "1.0", "file": f"wheels/{file}", "size": len(content), "sha256": digest})
    description = {"schema": 1, "name": "fieldpost", "version": version, "wheels": rows, **keys}
    (folder / "release.json").write_bytes(msgspec.json.encode(description))
    return folder


class Publisher:
    """A repository and its keys. `now` moves by hand."""

    def __init__(self, folder: Path, counts: dict[str, int] | None = None) -> None:
        counts = counts or {}
        self.folder = folder
        self.now = START
        self.keys: dict[str, list[CryptoSigner]] = {
            role: [new_key() for _ in range(counts.get(role, 1))] for role in ROLES
        }
        public = {role: [key.public_key for key in keys] for role, keys in self.keys.items()}
        Repository.create(folder / "repo", public, counts, self.signers, DAYS, START)
        self.factory_root = (folder / "repo" / "metadata" / "1.root.json").read_bytes()

    @property
    def signers(self) -> dict[str, Sequence[Signer]]:
        return dict(self.keys)

    @property
    def repository(self) -> Repository:
        return Repository(self.folder / "repo", self.now)

    def release(self, version: str, **keys: Any) -> Release:
        return self.repository.add(release_folder(self.folder / f"release-{version}", version, **keys), self.signers)

    def admit(self, maker: Maker) -> None:
        self.repository.delegate(maker.name, [maker.key.public_key], self.signers)

    def publish(self, maker: Maker) -> list[Package]:
        return self.repository.publish(maker.folder, self.signers)

    def bundle(self, release: Release | Package, name: str = "") -> Path:
        out = self.folder / (name or f"{release.name}-{release.version}.fpb")
        repository = self.repository
        pack(repository.folder, repository.bundle_names(release), out)
        return out


class Maker:
    """A vendor with a key, and the folder of what it signed."""

    def __init__(self, folder: Path, name: str = "acme") -> None:
        self.name, self.key, self.folder = name, new_key(), folder / f"of-{name}"
        self._wheels = folder / f"wheels-{name}"
        self._wheels.mkdir(parents=True)

    def sign(self, *wheels: tuple[str, bytes], requires_api: int = 1, **described: str) -> Package:
        """One package of wheels (file name, content)."""
        paths = []
        for name, content in wheels:
            paths.append(self._wheels / name)
            paths[-1].write_bytes(content)
        package, files = pack_driver(paths, self.name, Described(requires_api, **described))
        sign(self.folder, self.name, [(package, files)], [self.key])
        return package

    def driver(self, version: str = "1.0", name: str = "acme", **keys: Any) -> Package:
        """A package with one driver, `name`, of the distribution NAME-driver."""
        return self.sign((f"{name}_driver-{version}-py3-none-any.whl", driver(name, version, **keys)))


class Box:
    """A machine: what it trusts and its clock."""

    def __init__(self, folder: Path, publisher: Publisher) -> None:
        self.folder = folder
        folder.mkdir()
        self.root = publisher.factory_root
        self.floors = Floors()
        self.now = Now(seconds(), synced=True)
        self._count = 0

    def inbox(self, bundle: Path) -> Path:
        self._count += 1
        inbox = self.folder / f"inbox-{self._count}"
        unpack(bundle, inbox)
        return inbox

    def take(self, bundle: Path | None = None, inbox: Path | None = None, **keys: Any) -> Verified:
        """Verify, and keep the floors as the updater does."""
        inbox = inbox or self.inbox(bundle or Path())
        staging = self.folder / f"staging-{self._count}-{len(list(self.folder.iterdir()))}"
        staging.mkdir()
        trust = Trust(self.root, self.folder / "cache", self.floors, self.now, **keys)
        verified = verify(inbox, trust, staging)
        self.floors = verified.floors
        return verified
