"""Drivers of other vendors: what their keys may sign, what a stolen one can do, and what a machine takes of it."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.ngclient import UpdaterConfig

from gateway.ota.package import MOST_VENDORS, Package, parse_package
from gateway.ota.publisher.repository import RepositoryError, new_key
from gateway.ota.release import ReleaseRefused
from gateway.ota.trust import Now
from tests.support.runnable import driver, wheel
from tests.unit.ota.publisher import Box, Maker, Publisher, seconds


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    (tmp_path / "publisher").mkdir()
    return Publisher(tmp_path / "publisher")


@pytest.fixture
def box(tmp_path: Path, publisher: Publisher) -> Box:
    return Box(tmp_path / "box", publisher)


@pytest.fixture
def maker(tmp_path: Path, publisher: Publisher) -> Maker:
    made = Maker(tmp_path / "vendor")
    publisher.admit(made)
    return made


def _all(publisher: Publisher, box: Box, name: str = "inbox") -> Path:
    shutil.copytree(publisher.folder / "repo", box.folder / name)
    return box.folder / name


def _refused(box: Box, **keys: object) -> str:
    with pytest.raises(ReleaseRefused) as caught:
        box.take(**keys)  # type: ignore[arg-type]
    return caught.value.reason


def test_a_driver_of_a_known_vendor_is_taken_with_its_wheels(publisher: Publisher, box: Box, maker: Maker) -> None:
    package = maker.driver("2.1.0")
    assert publisher.publish(maker) == [package]
    verified = box.take(publisher.bundle(package))
    assert verified.content == package
    assert list(verified.files) == ["drivers/acme/acme_driver-2.1.0-py3-none-any.whl"]
    with pytest.raises(ReleaseRefused, match="is a driver package"):
        _ = verified.release


def test_a_release_in_the_inbox_comes_before_drivers_and_the_newest_driver_first(
    publisher: Publisher, box: Box, maker: Maker
) -> None:
    maker.driver("1.9")
    maker.driver("1.10")
    publisher.publish(maker)
    assert box.take(inbox=_all(publisher, box)).content.version == "1.10"
    publisher.release("1.0.0")
    assert box.take(inbox=_all(publisher, box, "again")).release.version == "1.0.0"


def test_a_vendor_nobody_knows_publishes_nothing(publisher: Publisher, tmp_path: Path) -> None:
    stranger = Maker(tmp_path / "stranger", "other")
    stranger.driver()
    with pytest.raises(RepositoryError, match="other is no vendor here"):
        publisher.publish(stranger)


def test_a_key_that_the_vendor_does_not_have_here_publishes_nothing(publisher: Publisher, maker: Maker) -> None:
    maker.key = new_key()
    maker.driver()
    with pytest.raises(RepositoryError, match="not signed by a key"):
        publisher.publish(maker)
    assert publisher.repository.vendors == {"acme": None}


def _sign_by_hand(maker: Maker, name: str, content: bytes) -> None:
    """What somebody with a stolen key would write."""
    path = maker.folder / f"drivers-{maker.name}.json"
    metadata = Metadata[Targets].from_bytes(path.read_bytes())
    metadata.signed.version += 1
    metadata.signed.targets[name] = TargetFile.from_data(name, content, ["sha256"])
    metadata.signatures.clear()
    metadata.sign(maker.key)
    path.write_bytes(metadata.to_bytes())
    (maker.folder / name).parent.mkdir(parents=True, exist_ok=True)
    (maker.folder / name).write_bytes(content)


@pytest.mark.parametrize(
    "name",
    [
        "releases/fieldpost-9.9.9.json",
        "wheels/fieldpost-9.9.9-py3-none-any.whl",
        "drivers/other/x-1.0.json",
        "root.json",
    ],
)
def test_a_stolen_key_of_a_vendor_publishes_nothing_but_its_drivers(
    publisher: Publisher, box: Box, maker: Maker, name: str
) -> None:
    maker.driver()
    _sign_by_hand(maker, name, b"{}")
    with pytest.raises(ReleaseRefused, match="cannot publish"):
        publisher.publish(maker)
    # where the online keys are stolen too, nobody checks before it is published: the machine does
    repository, raw = publisher.repository, (maker.folder / "drivers-acme.json").read_bytes()
    signed = Metadata[Targets].from_bytes(raw).signed
    for target, info in signed.targets.items():
        repository._store(info, (maker.folder / target).read_bytes())
    (repository.folder / "metadata" / f"{signed.version}.drivers-acme.json").write_bytes(raw)
    from gateway.ota.publisher.repository import DAYS, _meta

    meta = {"drivers-acme.json": _meta(signed.version, raw)}
    repository._publish_snapshot(repository.targets, publisher.signers, DAYS, repository.root, meta)
    inbox = _all(publisher, box)
    assert box.take(inbox=inbox).content.target == "drivers/acme/acme-driver-1.0.json"
    trust_of = box.folder / "staging-by-name"
    trust_of.mkdir()
    from gateway.ota.trust import Trust, verify

    with pytest.raises(ReleaseRefused, match="not signed by anybody who may") as caught:
        verify(inbox, Trust(box.root, box.folder / "cache", box.floors, box.now), trust_of, name)
    assert caught.value.reason == "unsigned"


def test_a_vendor_that_was_dismissed_is_refused_and_may_come_back_with_another_key(
    publisher: Publisher, box: Box, maker: Maker
) -> None:
    package = maker.driver()
    publisher.publish(maker)
    box.take(publisher.bundle(package))
    publisher.repository.dismiss("acme", publisher.signers)
    assert _refused(box, inbox=_all(publisher, box)) in {"unsigned", "missing"}
    with pytest.raises(RepositoryError, match="no vendor acme"):
        publisher.repository.dismiss("acme", publisher.signers)
    maker.key = new_key()
    publisher.admit(maker)
    newer = maker.driver("1.1")
    publisher.publish(maker)
    assert box.take(publisher.bundle(newer)).content == newer


def test_the_key_before_signs_nothing_more(publisher: Publisher, maker: Maker) -> None:
    stolen = maker.key
    maker.key = new_key()
    publisher.admit(maker)
    maker.key = stolen
    maker.driver()
    with pytest.raises(RepositoryError, match="not signed by a key"):
        publisher.publish(maker)


def test_what_a_vendor_signed_expires(publisher: Publisher, box: Box, maker: Maker) -> None:
    package = maker.driver()
    publisher.publish(maker)
    signed = Metadata[Targets].from_bytes((maker.folder / "drivers-acme.json").read_bytes()).signed
    publisher.now = signed.expires - dt.timedelta(days=10)
    publisher.repository._next_targets(
        publisher.repository.targets, publisher.signers, {"targets": 365, "snapshot": 90, "timestamp": 5}
    )
    bundle = publisher.bundle(package)
    box.now = Now(int(signed.expires.timestamp()) + 60, synced=True)
    assert _refused(box, bundle=bundle) == "expired"
    assert _refused(box, bundle=bundle, stale_timestamp=True) == "expired", "the vendor's role has expired too"
    box.now = Now(int(signed.expires.timestamp()) - 4 * 86400, synced=True)
    assert box.take(bundle, stale_timestamp=True).stale


def test_an_older_set_of_a_vendor_is_not_published_again(publisher: Publisher, maker: Maker, tmp_path: Path) -> None:
    maker.driver()
    shutil.copytree(maker.folder, tmp_path / "older")
    maker.driver("1.1")
    publisher.publish(maker)
    maker.folder = tmp_path / "older"
    with pytest.raises(RepositoryError, match="has published set 2; this is set 1"):
        publisher.publish(maker)


def test_one_name_of_a_driver_never_gets_two_contents(publisher: Publisher, maker: Maker) -> None:
    maker.driver("1.0")
    publisher.publish(maker)
    with pytest.raises(ReleaseRefused, match="raise the version"):
        maker.driver("1.0", source="other = 1\n")
    shutil.rmtree(maker.folder)
    maker.driver("1.0", source="other = 1\n")
    maker.driver("0.9")
    with pytest.raises(RepositoryError, match="published already, with another content"):
        publisher.publish(maker)


def test_there_is_an_end_to_vendors(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    assert UpdaterConfig().max_delegations >= MOST_VENDORS, "a client looks no further"
    monkeypatch.setattr("gateway.ota.publisher.repository.MOST_VENDORS", 4)
    repository, key = publisher.repository, new_key().public_key
    targets = repository.targets
    for number in range(4):
        repository.delegate(f"v{number}", [key], publisher.signers)
    with pytest.raises(RepositoryError, match="4 vendors already"):
        repository.delegate("one-more", [key], publisher.signers)
    repository.delegate("v3", [new_key().public_key], publisher.signers)
    assert repository.targets.version == targets.version + 4 + 1


@pytest.mark.parametrize("name", ["", "Acme", "a/b", "../x", "-a", "a-", "a" * 33, "a\n"])
def test_a_name_that_no_vendor_may_have_is_refused(publisher: Publisher, name: str) -> None:
    with pytest.raises(ReleaseRefused, match="no name of a vendor"):
        publisher.repository.delegate(name, [new_key().public_key], publisher.signers)


def test_a_release_brings_drivers_that_their_vendors_signed(publisher: Publisher, box: Box, maker: Maker) -> None:
    package = maker.driver()
    publisher.publish(maker)
    row = json.loads(
        json.dumps([{name: getattr(one, name) for name in one.__struct_fields__} for one in package.wheels])
    )
    release = publisher.release("1.4.0", drivers=row)
    verified = box.take(publisher.bundle(release))
    assert "drivers/acme/acme_driver-1.0-py3-none-any.whl" in verified.files
    row[0]["sha256"] = "0" * 64
    with pytest.raises(RepositoryError, match="is not what its vendor has published"):
        publisher.release("1.4.1", drivers=row)
    row[0]["file"] = "drivers/acme/unknown-1.0-py3-none-any.whl"
    with pytest.raises(RepositoryError, match="is not published"):
        publisher.release("1.4.2", drivers=row)


@pytest.mark.parametrize(
    ("wheels", "text"),
    [
        ([("helper-1.0-py3-none-any.whl", wheel("helper", "1.0", {}))], "none of the wheels brings a driver"),
        (
            [
                ("a_driver-1.0-py3-none-any.whl", driver("a", "1.0")),
                ("b_driver-1.0-py3-none-any.whl", driver("b", "1.0")),
            ],
            "two of the wheels bring drivers",
        ),
        ([("acme_driver-1.0-cp311-cp311-linux_aarch64.whl", driver("acme", "1.0"))], "--platform.*--python"),
        ([("acme_driver-1.0-py3-none-any.whl", b"noise")], "is no wheel"),
        (
            [("acme_driver-1.0-py3-none-any.whl", driver("acme", "1.0", needs=["not a requirement !"]))],
            "no requirement",
        ),
    ],
)
def test_wheels_that_are_no_driver_are_not_packed(maker: Maker, wheels: list[tuple[str, bytes]], text: str) -> None:
    with pytest.raises(ReleaseRefused, match=text):
        maker.sign(*wheels)
    assert not maker.folder.exists()


GOOD = {
    "vendor": "acme", "name": "acme-driver", "version": "1.0", "requires_api": 1,
    "wheels": [{"name": "acme-driver", "version": "1.0", "file": "drivers/acme/a.whl", "size": 5, "sha256": "0" * 64}],
}  # fmt: skip


@pytest.mark.parametrize(
    "keys",
    [
        {"vendor": "../x"},
        {"vendor": "other"},
        {"version": "1.1"},
        {"version": "1/../2"},
        {"name": "a/b"},
        {"requires_api": -1},
        {"wheels": []},
        {"wheels": GOOD["wheels"] * 2},  # type: ignore[operator]
        {"url": "http://x"},
        {"kind": "runtime"},
    ],
)
def test_what_is_no_driver_package_is_refused(keys: dict[str, object]) -> None:
    assert isinstance(parse_package(json.dumps(GOOD).encode()), Package)
    with pytest.raises(ReleaseRefused):
        parse_package(json.dumps(GOOD | keys).encode())


def test_new_keys_for_targets_keep_the_vendors(publisher: Publisher, box: Box, maker: Maker) -> None:
    package = maker.driver()
    publisher.publish(maker)
    fresh = [new_key(), new_key()]
    public = [key.public_key for key in fresh]
    publisher.repository.rotate("targets", public, 2, {**publisher.keys, "targets": fresh}, publisher.keys)
    assert box.take(publisher.bundle(package)).content == package
    assert seconds() > 0
