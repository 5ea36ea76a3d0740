"""What may be installed and what may not: each attack and each fault on signed releases, with real signatures."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace
from securesystemslib.signer import CryptoSigner

from gateway.ota.publisher.repository import DAYS, Repository, RepositoryError, new_key
from gateway.ota.release import ReleaseRefused
from gateway.ota.trust import Floors, Now
from tests.unit.ota.publisher import START, Box, Publisher, seconds


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    folder = tmp_path / "publisher"
    folder.mkdir()
    return Publisher(folder)


@pytest.fixture
def box(tmp_path: Path, publisher: Publisher) -> Box:
    return Box(tmp_path / "box", publisher)


def refused(box: Box, **keys: object) -> ReleaseRefused:
    before = box.floors
    with pytest.raises(ReleaseRefused) as caught:
        box.take(**keys)  # type: ignore[arg-type]
    assert box.floors == before
    return caught.value


def test_a_signed_release_is_taken_with_its_wheels(publisher: Publisher, box: Box) -> None:
    release = publisher.release("1.1.0", sbom=None)
    verified = box.take(publisher.bundle(release))
    assert verified.release == release
    assert sorted(verified.files) == sorted(wheel.file for wheel in release.wheels)
    assert verified.files["wheels/msgpack-1.0-py3-none-any.whl"].read_bytes() == b"library"
    assert verified.floors == Floors(1, 2, 2, 2, seconds())


def test_the_newest_of_several_is_taken_unless_one_is_named(publisher: Publisher, box: Box) -> None:
    publisher.release("1.9.0")
    publisher.release("1.10.0")
    publisher.release("1.10.1rc1")
    inbox = box.folder / "inbox"
    shutil.copytree(publisher.folder / "repo", inbox)
    assert box.take(inbox=inbox).release.version == "1.10.1rc1"
    shutil.rmtree(box.folder / "cache")
    (box.folder / "cache").mkdir()
    assert box.take(inbox=inbox).release.version == "1.10.1rc1"


def test_an_older_set_is_refused(publisher: Publisher, box: Box) -> None:
    old = publisher.bundle(publisher.release("1.0.0"))
    box.take(publisher.bundle(publisher.release("1.1.0")))
    assert refused(box, bundle=old).reason == "rollback"


def test_an_older_set_is_refused_after_the_cache_is_lost(publisher: Publisher, box: Box) -> None:
    old = publisher.bundle(publisher.release("1.0.0"))
    box.take(publisher.bundle(publisher.release("1.1.0")))
    shutil.rmtree(box.folder / "cache")
    assert refused(box, bundle=old).reason == "rollback"
    assert not (box.folder / "cache").exists()
    box.floors = Floors()
    assert box.take(old).release.version == "1.0.0"  # the floors alone refused it


def test_frozen_metadata_expires(publisher: Publisher, box: Box) -> None:
    bundle = publisher.bundle(publisher.release("1.0.0"))
    box.now = Now(seconds(40), synced=True)
    assert refused(box, bundle=bundle).reason == "expired"


def test_an_administrator_may_accept_an_old_timestamp_and_nothing_else(publisher: Publisher, box: Box) -> None:
    bundle = publisher.bundle(publisher.release("1.0.0"))
    box.now = Now(seconds(40), synced=True)
    assert box.take(bundle, stale_timestamp=True).release.version == "1.0.0"
    box.now = Now(seconds(100), synced=True)  # the snapshot, too
    assert refused(box, bundle=bundle, stale_timestamp=True).reason == "expired"


def test_a_clock_of_1970_does_not_hide_an_expiry(publisher: Publisher, box: Box) -> None:
    bundle = publisher.bundle(publisher.release("1.0.0"))
    box.now = Now(0, synced=False, built=seconds(40))
    assert refused(box, bundle=bundle).reason == "clock"
    box.floors = Floors(time=seconds(40))
    box.now = Now(0, synced=False)
    assert refused(box, bundle=bundle).reason == "clock"


def test_a_clock_of_1970_with_a_floor_takes_what_is_fresh(publisher: Publisher, box: Box) -> None:
    bundle = publisher.bundle(publisher.release("1.0.0"))
    box.now = Now(0, synced=False, built=seconds(1))
    assert box.take(bundle).floors.time == 0  # a clock that is not synced teaches nothing


def test_a_clock_of_2040_waits(publisher: Publisher, box: Box) -> None:
    bundle = publisher.bundle(publisher.release("1.0.0"))
    box.now = Now(seconds(5000), synced=False, built=seconds())
    assert refused(box, bundle=bundle).reason == "clock"
    box.now = Now(seconds(40), synced=False, built=seconds())
    assert refused(box, bundle=bundle).reason == "clock"


def test_a_clock_that_is_vouched_for_judges_and_teaches_but_never_before_what_was_trusted(
    publisher: Publisher, box: Box
) -> None:
    bundle = publisher.bundle(publisher.release("1.0.0"))
    for late in (40, 5000):
        box.now = Now(seconds(late), synced=False, built=seconds(), vouched=True)
        assert refused(box, bundle=bundle).reason == "expired", "no use to wait for a better one"
    box.now = Now(0, synced=False, built=seconds(40), vouched=True)
    assert refused(box, bundle=bundle).reason == "clock", "it stood still"
    box.now = Now(seconds(2), synced=False, built=seconds(1), vouched=True)
    assert box.take(bundle).floors.time == seconds(2)
    box.now = Now(seconds(1), synced=False, vouched=True)
    box.floors = Floors(time=seconds(3))
    assert box.take(bundle).floors.time == seconds(3)


def test_a_new_timestamp_with_an_old_snapshot_is_refused(publisher: Publisher, box: Box) -> None:
    publisher.release("1.0.0")
    first = publisher.folder / "first"
    shutil.copytree(publisher.folder / "repo", first)
    release = publisher.release("1.1.0")
    inbox = box.inbox(publisher.bundle(release))
    shutil.copy(first / "metadata" / "2.snapshot.json", inbox / "metadata" / "3.snapshot.json")
    assert refused(box, inbox=inbox).reason in {"length", "rollback", "metadata"}


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_endless_metadata_is_cut_off(publisher: Publisher, box: Box, name: str) -> None:
    inbox = box.inbox(publisher.bundle(publisher.release("1.0.0")))
    with (inbox / "metadata" / name).open("ab") as file:
        file.write(b" " * 6_000_000)
    assert refused(box, inbox=inbox).reason in {"length", "metadata"}


@pytest.mark.parametrize("change", [b"", b"x", b"longer than before" * 1000])
def test_a_wheel_that_is_another_one_is_refused(publisher: Publisher, box: Box, change: bytes) -> None:
    inbox = box.inbox(publisher.bundle(publisher.release("1.0.0")))
    (wheel,) = inbox.glob("targets/wheels/*.fieldpost-*.whl")
    content = wheel.read_bytes()
    wheel.write_bytes(content[:-1] + change if change == b"x" else change)
    assert refused(box, inbox=inbox).reason in {"hash", "length"}


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "gone"])
def test_what_is_no_regular_file_is_not_read(publisher: Publisher, box: Box, kind: str) -> None:
    inbox = box.inbox(publisher.bundle(publisher.release("1.0.0")))
    (wheel,) = inbox.glob("targets/wheels/*.fieldpost-*.whl")
    kept = box.folder / "elsewhere"
    wheel.rename(kept)
    if kind == "link":
        wheel.symlink_to(kept)
    elif kind == "folder":
        wheel.mkdir()
    elif kind == "pipe":
        os.mkfifo(wheel)
    assert refused(box, inbox=inbox).reason in {"missing", "file"}


def test_a_link_in_the_metadata_is_not_followed(publisher: Publisher, box: Box) -> None:
    inbox = box.inbox(publisher.bundle(publisher.release("1.0.0")))
    kept = box.folder / "elsewhere.json"
    (inbox / "metadata" / "timestamp.json").rename(kept)
    (inbox / "metadata" / "timestamp.json").symlink_to(kept)
    assert refused(box, inbox=inbox).reason == "missing"


def test_every_changed_byte_of_the_metadata_is_refused_or_means_the_same(publisher: Publisher, box: Box) -> None:
    bundle = publisher.bundle(publisher.release("1.0.0"))
    inbox = box.inbox(bundle)
    good = box.take(inbox=inbox)
    for name in ("timestamp.json", "2.snapshot.json", "2.targets.json"):
        path = inbox / "metadata" / name
        content = path.read_bytes()
        for place in range(0, len(content), max(1, len(content) // 40)):
            path.write_bytes(content[:place] + bytes([content[place] ^ 0x20]) + content[place + 1 :])
            shutil.rmtree(box.folder / "cache", ignore_errors=True)
            box.floors = Floors()
            with contextlib.suppress(ReleaseRefused):
                assert box.take(inbox=inbox).raw == good.raw
        path.write_bytes(content)


def test_one_of_two_keys_is_not_enough(tmp_path: Path) -> None:
    folder = tmp_path / "publisher"
    folder.mkdir()
    publisher = Publisher(folder, {"targets": 2})
    release = publisher.release("1.0.0")
    publisher.keys["targets"].pop()
    with pytest.raises(RepositoryError, match="targets needs 2 of its keys, 1 given"):
        publisher.repository.add(publisher.folder / "release-1.0.0", publisher.signers)
    box = Box(tmp_path / "box", publisher)
    inbox = box.inbox(publisher.bundle(release))
    path = inbox / "metadata" / "2.targets.json"
    signed = json.loads(path.read_bytes())
    signed["signatures"].pop()
    path.write_text(json.dumps(signed))
    assert refused(box, inbox=inbox).reason in {"unsigned", "length"}


def test_a_release_of_a_foreign_repository_is_refused(publisher: Publisher, box: Box, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Publisher(tmp_path / "other")
    assert refused(box, bundle=other.bundle(other.release("9.0.0"))).reason == "unsigned"


@pytest.mark.parametrize("cache", ["kept", "lost"])
def test_of_an_older_set_is_said_what_to_do(publisher: Publisher, box: Box, cache: str) -> None:
    release = publisher.release("1.0.0")
    old = publisher.bundle(release, "old.fpb")
    box.take(publisher.bundle(publisher.release("1.1.0")))
    if cache == "lost":
        shutil.rmtree(box.folder / "cache")
    found = refused(box, bundle=old)
    assert found.reason == "rollback"
    assert "this machine has seen a newer set (timestamp 3, here it is 2): " in str(found)
    assert "`fieldpost bundle sign RELEASE ... -o again.fpb`" in str(found)
    publisher.repository.add(publisher.folder / "release-1.0.0", publisher.signers)
    assert box.take(publisher.bundle(release, "again.fpb")).floors.timestamp == 4


@pytest.mark.parametrize("cache", ["kept", "lost"])
@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_fast_forward_is_healed_by_new_keys(publisher: Publisher, box: Box, role: str, cache: str) -> None:
    """Whoever had the old key counted up; with it revoked the role starts anew, and only then."""
    box.take(publisher.bundle(publisher.release("1.0.0")))
    box.floors = replace(box.floors, **{role: 1000})
    assert refused(box, bundle=publisher.bundle(publisher.release("1.0.5"))).reason == "rollback"
    fresh = [new_key()]
    publisher.repository.rotate(
        role, [key.public_key for key in fresh], 1, {**publisher.keys, role: fresh}, publisher.keys
    )
    publisher.keys[role] = fresh
    if cache == "lost":
        shutil.rmtree(box.folder / "cache")
    assert getattr(box.take(publisher.bundle(publisher.release("1.1.0"))).floors, role) < 1000


def test_the_old_key_of_a_rotated_role_signs_nothing_more(publisher: Publisher, box: Box) -> None:
    box.take(publisher.bundle(publisher.release("1.0.0")))
    stolen = publisher.keys["timestamp"]
    fresh = [new_key()]
    publisher.repository.rotate(
        "timestamp", [key.public_key for key in fresh], 1, {**publisher.keys, "timestamp": fresh}, publisher.keys
    )
    publisher.keys["timestamp"] = fresh
    box.take(publisher.bundle(publisher.release("1.1.0")))
    with pytest.raises(RepositoryError):
        publisher.repository.refresh({**publisher.keys, "timestamp": stolen})


def test_root_moves_on_by_old_and_new_keys_together_only(publisher: Publisher, box: Box) -> None:
    box.take(publisher.bundle(publisher.release("1.0.0")))
    fresh: list[CryptoSigner] = [new_key(), new_key(), new_key()]
    public = [key.public_key for key in fresh]
    with pytest.raises(RepositoryError, match="root needs more of its keys"):
        publisher.repository.rotate("root", public, 2, {"root": fresh}, {})
    with pytest.raises(RepositoryError, match="root needs more of its keys"):
        publisher.repository.rotate("root", public, 2, {}, publisher.keys)
    publisher.repository.rotate("root", public, 2, {"root": fresh[:2]}, publisher.keys)
    publisher.keys["root"] = fresh
    release = publisher.release("1.1.0")
    assert box.take(publisher.bundle(release)).floors.root == 2
    newcomer = Box(box.folder.parent / "newcomer", publisher)  # holds the factory's first root
    assert newcomer.take(publisher.bundle(release)).floors.root == 2


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_rotation_that_cannot_be_finished_is_not_begun(publisher: Publisher, role: str) -> None:
    """A root that names new keys, without anything that they signed, would be a repository that nobody can use."""
    fresh = [new_key()]
    rest = {"root": publisher.keys["root"], "targets": publisher.keys["targets"], role: fresh}
    before = {path.name for path in (publisher.folder / "repo/metadata").iterdir()}
    with pytest.raises(RepositoryError, match="needs 1 of its keys, 0 given"):
        publisher.repository.rotate(role, [fresh[0].public_key], 1, rest, {"root": publisher.keys["root"]})
    assert {path.name for path in (publisher.folder / "repo/metadata").iterdir()} == before


def test_a_bundle_without_the_roots_in_between_is_refused_after_a_rotation(publisher: Publisher, box: Box) -> None:
    fresh = [new_key()]
    for role in ("timestamp", "snapshot"):
        publisher.repository.rotate(role, [fresh[0].public_key], 1, {**publisher.keys, role: fresh}, publisher.keys)
        publisher.keys[role] = fresh
    inbox = box.inbox(publisher.bundle(publisher.release("1.0.0")))
    (inbox / "metadata" / "2.root.json").unlink()
    assert refused(box, inbox=inbox).reason == "unsigned"


def test_who_fetches_may_read_what_is_trusted_here(publisher: Publisher, box: Box) -> None:
    box.take(publisher.bundle(publisher.release("1.2.0")))
    found = [path for path in (box.folder / "cache").rglob("*") if not path.is_symlink()]
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in [box.folder / "cache", *found] if path.is_dir()} == {0o755}


@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "targets.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 200])
def test_a_damaged_cache_heals(publisher: Publisher, box: Box, name: str, content: bytes) -> None:
    box.take(publisher.bundle(publisher.release("1.0.0")))
    (box.folder / "cache" / name).write_bytes(content)
    assert box.take(publisher.bundle(publisher.release("1.1.0"))).release.version == "1.1.0"


def test_a_withdrawn_release_is_gone(publisher: Publisher, box: Box) -> None:
    release = publisher.release("1.0.0")
    names = publisher.repository.bundle_names(release)
    publisher.release("1.1.0")
    publisher.repository.withdraw(release.target, publisher.signers)
    inbox = box.folder / "inbox"
    shutil.copytree(publisher.folder / "repo", inbox)
    assert names
    assert box.take(inbox=inbox).release.version == "1.1.0"
    with pytest.raises(ReleaseRefused, match="not signed"):
        from gateway.ota.trust import Trust, verify

        staging = box.folder / "staging-x"
        staging.mkdir()
        verify(inbox, Trust(box.root, box.folder / "cache", box.floors, box.now), staging, release.target)


def test_one_name_never_gets_two_contents(publisher: Publisher) -> None:
    publisher.release("1.0.0")
    folder = publisher.folder / "again"
    from tests.unit.ota.publisher import release_folder

    release_folder(folder, "1.0.0", {"fieldpost": b"another"})
    with pytest.raises(RepositoryError, match="published already"):
        publisher.repository.add(folder, publisher.signers)


def test_a_description_that_disagrees_with_what_is_signed_is_refused(publisher: Publisher, box: Box) -> None:
    """Who signs descriptions could point at a file of the same name: size and hash have to be those of the target."""
    release = publisher.release("1.0.0")
    repository = publisher.repository
    targets = repository.targets
    name = release.wheels[0].file
    targets.targets[name].hashes["sha256"] = targets.targets[release.wheels[1].file].hashes["sha256"]
    repository._next_targets(targets, publisher.signers, DAYS)
    inbox = box.folder / "inbox"
    shutil.copytree(publisher.folder / "repo", inbox)
    assert refused(box, inbox=inbox).reason == "description"


def test_the_clock_of_the_library_is_where_we_set_it() -> None:
    """The update library has no public way to say what time it is: if its own way moves, this fails first."""
    from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet

    source = Path(__import__(TrustedMetadataSet.__module__, fromlist=["x"]).__file__).read_text()
    assert source.count("self.reference_time") >= 4
    assert isinstance(START, dt.datetime)


def test_life_times_are_those_that_were_asked_for(publisher: Publisher) -> None:
    repository = publisher.repository
    repository.refresh(publisher.signers, {"root": 1, "targets": 1, "snapshot": 2, "timestamp": 1})
    assert (repository.timestamp.expires - START).days == 1
    assert (repository.snapshot.expires - START).days == 2
    assert Repository(repository.folder).targets.version == 1
