"""FL-60: secrets come from credential files only, readable by their owner only, and appear nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.settings.credentials import CredentialError, CredentialFolders, credentials_of
from gateway.settings.generations import Generations
from gateway.settings.loader import load_tree, read_tree
from gateway.settings.references import is_secret_key
from tests.unit.settings.toy import GATEWAY, TOY, Faults

UPLINK = GATEWAY + "uplinks:\n  a: {urls: [mqtt://x], username: me, password: '${credential:mqtt}'}\n"


def folder_with(tmp_path: Path, secret: str = "s3cret\n", mode: int = 0o600) -> Path:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "gateway.yaml").write_text(UPLINK)
    file = tmp_path / "credentials" / "mqtt"
    file.write_text(secret)
    file.chmod(mode)
    return tmp_path


def test_a_credential_beside_the_configuration_is_read_without_its_line_break(tmp_path: Path) -> None:
    settings = load_tree(folder_with(tmp_path, "s3 cret \n"), {"toy": TOY}, env={})
    assert settings.uplinks[0].password == "s3 cret "


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604])
def test_fl_60_a_credential_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError) as caught:
        load_tree(folder_with(tmp_path, mode=mode), {"toy": TOY}, env={})
    (problem,) = caught.value.problems
    assert f"mode {mode:04o}" in problem.message
    assert problem.hint == "chmod 600 credentials/mqtt"
    assert (problem.line, problem.path) == (3, "uplinks.a.password")


def test_the_service_managers_credentials_come_first(tmp_path: Path) -> None:
    managed = tmp_path / "managed"
    managed.mkdir()
    (managed / "mqtt").write_text("from systemd")
    config = tmp_path / "config"
    config.mkdir()
    settings = load_tree(folder_with(config), {"toy": TOY}, env={"CREDENTIALS_DIRECTORY": str(managed)})
    assert settings.uplinks[0].password == "from systemd"


@pytest.mark.parametrize("secret", ["hunter2", "${env:MQTT}", "x${credential:mqtt}", "${var:mqtt}", 5, True, ["a"]])
def test_fl_60_a_secret_that_is_no_credential_is_refused_and_not_repeated(faults: Faults, secret: object) -> None:
    shown = str(secret).lower() if isinstance(secret, bool) else secret
    text = UPLINK.replace("'${credential:mqtt}'", f"{shown!r}" if isinstance(shown, str) else str(shown))
    found = faults({"gateway.yaml": text}, env={"MQTT": "from-environment"}, secrets={"mqtt": "x"})
    assert [problem.path for problem in found] == ["uplinks.a.password"]
    assert "credential only" in found[0].message
    assert "hunter2" not in str(found[0])
    assert "from-environment" not in str(found[0])


def test_a_credential_in_any_other_place_is_refused(faults: Faults) -> None:
    text = GATEWAY + "vars: {a: '${credential:mqtt}'}\n"
    found = faults({"gateway.yaml": text, "channels/a.yaml": "driver: toy\nurl: '${credential:mqtt}'\ndevices: {}\n"})
    assert [(one.file, one.path) for one in found] == [("channels/a.yaml", "url"), ("gateway.yaml", "vars.a")]


def test_fl_60_no_secret_is_readable_in_a_generation(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    generations = Generations(tmp_path / "state")
    generations.create(read_tree(folder_with(config)), hash="h")
    stored = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert len(stored) == 2
    for path in stored:
        assert b"s3cret" not in path.read_bytes()
        assert path.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("key", ["password", "wifi_password", "token", "api_key", "apikey", "Secret", "private_key"])
def test_names_of_secrets(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["key", "user", "keyword", "passwords_file", "tokens", "secretary"])
def test_names_that_are_no_secrets(key: str) -> None:
    assert not is_secret_key(key)


def test_a_missing_or_unreadable_credential_is_told(tmp_path: Path) -> None:
    source = CredentialFolders(None, tmp_path)
    with pytest.raises(CredentialError, match="no credential `a`"):
        source.read("a")
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    (tmp_path / "b").chmod(0o600)
    with pytest.raises(CredentialError, match="cannot be read"):
        source.read("b")
    with pytest.raises(CredentialError) as caught:
        CredentialFolders(None, None).read("c")
    assert "LoadCredential=c:" in caught.value.hint


def test_credentials_of_a_folder_are_in_its_own_subfolder(tmp_path: Path) -> None:
    assert credentials_of(folder_with(tmp_path), {}).read("mqtt") == "s3cret"
