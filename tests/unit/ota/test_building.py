"""Releases out of wheels: complete, for one kind of machine, the same bytes for the same wheels."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from gateway.ota.building import Wanted, build
from gateway.ota.parts import look
from gateway.ota.release import ReleaseRefused, parse_release
from gateway.store import segments
from tests.unit.ota.wheels import complete, wheel

ARM = Wanted("linux_aarch64", "cp311")


def test_a_release_names_all_wheels_and_what_they_are_for(tmp_path: Path) -> None:
    release = build(complete(tmp_path / "wheels"), tmp_path / "out", ARM)
    assert [(each.name, each.version) for each in release.files] == [("fieldpost", "1.1.0"), ("msgpack", "1.1")]
    assert (release.version, release.compatible.platforms, release.compatible.python) == (
        "1.1.0",
        ("linux_aarch64",),
        ("cp311",),
    )
    assert parse_release((tmp_path / "out" / "release.json").read_bytes()) == release
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "release.json",
        "fieldpost-1.1.0-linux_aarch64-cp311.cdx.json",
        "fieldpost-1.1.0-py3-none-any.whl",
        "msgpack-1.1-cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
    }


def test_the_bill_of_materials_has_every_part_with_licence_and_hash(tmp_path: Path) -> None:
    release = build(complete(tmp_path / "wheels"), tmp_path / "out", ARM)
    assert release.sbom is not None
    bill = json.loads((tmp_path / "out" / release.sbom.file.removeprefix("sbom/")).read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    parts = [bill["metadata"]["component"], *bill["components"]]
    assert [part["purl"] for part in parts] == ["pkg:pypi/fieldpost@1.1.0", "pkg:pypi/msgpack@1.1"]
    assert all(part["licenses"] == [{"expression": "MIT"}] for part in parts)
    assert [part["hashes"][0]["content"] for part in parts] == [each.sha256 for each in release.files]


def test_the_same_wheels_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795000000")
    complete(tmp_path / "wheels")
    for name in ("a", "b"):
        build(tmp_path / "wheels", tmp_path / name, ARM)
    texts = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("a", "b")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda f: [path.unlink() for path in f.glob("msgpack*")], "fieldpost needs msgpack, which is not there"),
        (lambda f: [path.unlink() for path in f.glob("fieldpost*")], "there is no wheel of fieldpost"),
        (
            lambda f: wheel(f, "msgpack", "0.9"),
            "msgpack is there twice (msgpack-0.9-py3-none-any.whl and msgpack-1.1-cp311",
        ),
        (lambda f: wheel(f, "lmdb", "1.0", "cp311-cp311-manylinux_2_17_x86_64"), "is not for linux_aarch64"),
        (lambda f: wheel(f, "lmdb", "1.0", "cp313-cp313-manylinux_2_17_aarch64"), "is not for Python cp311"),
        (lambda f: wheel(f, "lmdb", "1.0", "cp312-abi3-manylinux_2_17_aarch64"), "is not for Python cp311"),
        (lambda f: wheel(f, "lmdb", "1.0", "py3-none-any", "msgpack>=2"), "lmdb needs msgpack >=2, 1.1 is there"),
        (lambda f: wheel(f, "lmdb", "1.0", "py3-none-any", "not a requirement !"), "which is no requirement"),
        (lambda f: (f / "x-1.0-py3-none-any.whl").write_bytes(b"noise"), "is no wheel"),
        (lambda f: (f / "noname.whl").write_bytes(b""), "is no wheel"),
    ],
)
def test_what_is_missing_or_for_another_machine_is_told(tmp_path: Path, spoil: object, text: str) -> None:
    folder = complete(tmp_path / "wheels")
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(ReleaseRefused, match=text.replace("(", r"\(")):
        build(folder, tmp_path / "out", ARM)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_stable_abi_of_an_older_python_fits(tmp_path: Path) -> None:
    folder = complete(tmp_path / "wheels")
    wheel(folder, "cryptography", "50.0", "cp38-abi3-manylinux_2_28_aarch64")
    assert len(build(folder, tmp_path / "out", ARM).files) == 3


def test_a_release_says_which_stores_it_reads_and_writes_as_its_wheel_does(tmp_path: Path) -> None:
    folder = complete(tmp_path / "wheels")
    assert build(folder, tmp_path / "old", ARM).compatible.state_writes is None
    source = Path(segments.__file__).read_text(encoding="utf-8")
    with zipfile.ZipFile(next(folder.glob("fieldpost-*.whl")), "a") as archive:
        archive.writestr("gateway/store/segments.py", source)
    compatible = build(folder, tmp_path / "new", ARM).compatible
    assert (compatible.state_schema, compatible.state_writes) == (segments.READS, segments.FORMAT)
    assert segments.READS[0] <= segments.FORMAT <= segments.READS[1]


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_wheel_whose_compressed_bytes_are_damaged_is_no_wheel(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "acme-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("acme-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme\n" * 50)
    content = path.read_bytes()
    start = 30 + len("acme-1.0.dist-info/METADATA")
    path.write_bytes(content[:start] + b"\xff" * 40 + content[start + 40 :])
    with pytest.raises(ReleaseRefused, match="is no wheel"):
        look(path)
