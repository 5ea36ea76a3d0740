"""The file of a backup: whole, for its owner alone, closed where a password was given; nothing else is read as one."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from gateway.backup.archive import BackupError, read, write
from gateway.backup.boxes import gather, scatter

MANIFEST = {"format": 1, "made": 5}
FILES = {"config/gateway.yaml": b"gateway: {id: g}\n", "state/generations/state.json": b"{}", "tables": b"\x90"}


@pytest.mark.parametrize("password", [None, b"secret"])
def test_what_is_written_is_read_by_who_may(tmp_path: Path, password: bytes | None) -> None:
    path = tmp_path / "a.fpbackup"
    size = write(path, MANIFEST, FILES, password)
    assert path.stat().st_size == size
    assert path.stat().st_mode & 0o777 == 0o600
    assert read(path, password) == (MANIFEST, FILES)
    assert (b"gateway: {id" in path.read_bytes()) is False


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(BackupError, match="exists already"):
        write(tmp_path / "a", MANIFEST, FILES, None)
    assert (tmp_path / "a").read_text() == "mine"


def test_a_wrong_password_and_none_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write(path, MANIFEST, FILES, b"secret")
    with pytest.raises(BackupError, match="password is wrong"):
        read(path, b"other")
    with pytest.raises(BackupError, match="--password-file"):
        read(path, None)


@pytest.mark.parametrize("password", [None, b"secret"])
def test_a_damaged_backup_is_refused_or_the_same(tmp_path: Path, password: bytes | None) -> None:
    path = tmp_path / "a"
    write(path, MANIFEST, FILES, password)
    good = path.read_bytes()
    for place in range(0, len(good), 5 if password is None else len(good) // 8):
        for bad in (good[:place], good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :]):
            path.write_bytes(bad)
            try:
                assert read(path, password) == (MANIFEST, FILES)
            except BackupError:
                continue


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "config/../../evil"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a"
    write(path, MANIFEST, {name: b"x"}, None)
    with pytest.raises(BackupError, match="damaged"):
        read(path, None)


def test_a_link_in_a_backup_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        link = tarfile.TarInfo("config/gateway.yaml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    body = out.getvalue()
    content = b"fieldpost backup 1\n" + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(BackupError, match="damaged"):
        read(tmp_path / "a", None)


@pytest.mark.parametrize("content", [b"", b"noise", b"fieldpost backup 1\n", b"fieldpost sealed backup 1\n" + b"x" * 9])
def test_other_files_are_no_backups(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(BackupError):
        read(tmp_path / "a", b"secret" if b"sealed" in content else None)


def test_links_sockets_and_hidden_files_of_a_box_are_left_out(tmp_path: Path) -> None:
    config = tmp_path / "config"
    (config / "credentials").mkdir(parents=True)
    (config / "gateway.yaml").write_text("gateway: {id: g}")
    (config / "credentials" / "key").write_text("secret")
    (config / ".swp").write_text("x")
    (config / "link.yaml").symlink_to("/etc/passwd")
    manifest, files = gather(config, config / "state")
    assert set(files) == {"config/gateway.yaml", "config/credentials/key"}
    assert manifest["epoch"] == 0


def test_a_restore_touches_nothing_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "mine.yaml").write_text("x")
    with pytest.raises(BackupError, match="not empty"):
        scatter({"config/gateway.yaml": b""}, tmp_path / "config", tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_restore_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="tables cannot be read"):
        scatter({"config/gateway.yaml": b"", "tables": b"\xc1"}, tmp_path / "config", tmp_path / "state")
    bad = b"\x93\x91\x92\xc4\x05row\x00a\xc4\x02xx\xc4\x00\x01"  # a row whose check sum is wrong
    with pytest.raises(Exception, match="check"):
        scatter({"config/gateway.yaml": b"", "tables": bad}, tmp_path / "config", tmp_path / "state")
    assert not (tmp_path / "config").exists()
    assert not (tmp_path / "state").exists()
