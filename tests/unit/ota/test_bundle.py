"""Bundles: packed alike, unpacked safely or not at all."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from gateway.ota.bundle import pack, unpack
from gateway.ota.release import ReleaseRefused


def tar_of(*members: tuple[str, bytes] | tarfile.TarInfo, mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for each in members:
            if isinstance(each, tarfile.TarInfo):
                tar.addfile(each)
            else:
                info = tarfile.TarInfo(each[0])
                info.size = len(each[1])
                tar.addfile(info, io.BytesIO(each[1]))
    return out.getvalue()


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info


META = ("metadata/timestamp.json", b"{}")


def test_what_is_packed_is_unpacked_and_packed_alike(tmp_path: Path) -> None:
    for name in ("metadata/timestamp.json", "targets/wheels/abc.x-1.whl"):
        (tmp_path / "repo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "repo" / name).write_bytes(name.encode() * 1000)
    names = ["targets/wheels/abc.x-1.whl", "metadata/timestamp.json"]
    pack(tmp_path / "repo", names, tmp_path / "a.fpb")
    pack(tmp_path / "repo", names[::-1], tmp_path / "b.fpb")
    assert (tmp_path / "a.fpb").read_bytes() == (tmp_path / "b.fpb").read_bytes()
    assert sorted(unpack(tmp_path / "a.fpb", tmp_path / "inbox")) == sorted(names)
    assert (tmp_path / "inbox" / names[0]).read_bytes() == (tmp_path / "repo" / names[0]).read_bytes()


HOSTILE = {
    "a way out": tar_of(META, ("targets/../../../evil", b"x")),
    "an absolute name": tar_of(META, ("/etc/evil", b"x")),
    "a link": tar_of(META, special("targets/wheels/a.whl", tarfile.SYMTYPE, "/etc/passwd")),
    "a hard link": tar_of(META, special("targets/wheels/a.whl", tarfile.LNKTYPE, "metadata/timestamp.json")),
    "a device": tar_of(META, special("targets/wheels/a.whl", tarfile.CHRTYPE)),
    "a pipe": tar_of(META, special("targets/wheels/a.whl", tarfile.FIFOTYPE)),
    "a folder": tar_of(META, special("targets/wheels", tarfile.DIRTYPE)),
    "a name twice": tar_of(META, META),
    "a foreign name": tar_of(META, ("readme.txt", b"x")),
    "a script": tar_of(META, ("targets/x.sh", b"x")),
    "a hidden name": tar_of(META, ("targets/wheels/.a.whl", b"x")),
    "too large metadata": tar_of(("metadata/timestamp.json", b" " * 5_000_001)),
    "too many": tar_of(*((f"metadata/{number}.root.json", b"{}") for number in range(900))),
    "no metadata": tar_of(("targets/wheels/a.whl", b"x")),
    "compressed": tar_of(META, mode="w:gz"),
    "empty": b"",
    "noise": bytes(range(256)) * 40,
    "cut in a file": tar_of(("targets/wheels/a.whl", b"x" * 5000), META)[:2000],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused_and_nothing_is_outside(tmp_path: Path, name: str) -> None:
    file = tmp_path / "x.fpb"
    file.write_bytes(HOSTILE[name])
    with pytest.raises(ReleaseRefused):
        unpack(file, tmp_path / "deep" / "er" / "inbox")
    outside = {path.name for path in tmp_path.rglob("*") if "inbox" not in path.parts}
    assert outside == {"x.fpb", "deep", "er"} or outside == {"x.fpb"}


def test_a_bundle_cut_anywhere_is_refused_or_lacks_whole_files(tmp_path: Path) -> None:
    whole = tar_of(META, ("targets/wheels/a.whl", b"x" * 3000), ("targets/wheels/b.whl", b"y" * 3000))
    contents = {
        "metadata/timestamp.json": b"{}",
        "targets/wheels/a.whl": b"x" * 3000,
        "targets/wheels/b.whl": b"y" * 3000,
    }
    for length in range(0, len(whole), 257):
        file, inbox = tmp_path / "x.fpb", tmp_path / f"inbox-{length}"
        file.write_bytes(whole[:length])
        try:
            names = unpack(file, inbox)
        except ReleaseRefused:
            continue
        assert all((inbox / name).read_bytes() == contents[name] for name in names)
