"""`fieldpost bundle`: from wheels to a bundle that a gateway would take, and what goes wrong on the way."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from tests.unit.ota.wheels import complete


def run(*words: str | Path) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(["bundle", *map(str, words)])
    return code, out.getvalue()


def data(*words: str | Path) -> Any:
    code, text = run(*words, "--json")
    assert code == 0, text
    return json.loads(text)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    assert run("init", "--repo", tmp_path / "repo", "--keys", tmp_path / "keys")[0] == 0
    complete(tmp_path / "wheels")
    return tmp_path


def signed(place: Path, version: str = "1.1.0") -> Path:
    complete(place / f"wheels-{version}", version)
    words = ("--platform", "linux_aarch64", "--python", "cp311")
    data("build", place / f"wheels-{version}", "-o", place / version, *words)
    return Path(data("sign", place / version, "--repo", place / "repo", "--keys", place / "keys")["bundle"])


def test_from_wheels_to_a_bundle_that_is_verified(place: Path) -> None:
    answer = data("verify", signed(place), "--root", place / "repo" / "metadata" / "1.root.json")
    assert (answer["name"], answer["version"], len(answer["wheels"])) == ("fieldpost", "1.1.0", 2)
    assert answer["slot"].startswith("1.1.0-")


def test_keys_are_for_their_owner_alone(place: Path) -> None:
    assert {path.name: path.stat().st_mode & 0o777 for path in (place / "keys").iterdir()} == dict.fromkeys(
        ("root-1.pem", "targets-1.pem", "snapshot-1.pem", "timestamp-1.pem"), 0o600
    )
    (place / "keys" / "targets-1.pem").chmod(0o644)
    code, text = run("refresh", "--repo", place / "repo", "--keys", place / "keys")
    assert (code, "can be read by others" in text) == (1, True)


def test_keys_with_a_password_need_it(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    words = ("--repo", tmp_path / "repo", "--keys", tmp_path / "keys")
    assert run("init", *words, "--password-file", tmp_path / "password")[0] == 0
    assert b"ENCRYPTED" in (tmp_path / "keys" / "root-1.pem").read_bytes()
    assert "is encrypted: --password-file" in run("refresh", *words)[1]
    (tmp_path / "wrong").write_text("other\n")
    assert "the password is wrong" in run("refresh", *words, "--password-file", tmp_path / "wrong")[1]
    assert run("refresh", *words, "--password-file", tmp_path / "password")[0] == 0


def test_two_of_three_root_keys_are_enough_and_one_is_not(tmp_path: Path) -> None:
    words = ("--repo", tmp_path / "repo", "--keys", tmp_path / "keys")
    assert run("init", *words, "--root-keys", "3", "--root-threshold", "2")[0] == 0
    (tmp_path / "keys" / "root-3.pem").rename(tmp_path / "away.pem")
    assert data("rotate", "timestamp", *words)["root_version"] == 2
    (tmp_path / "keys" / "root-2.pem").unlink()
    code, text = run("rotate", "timestamp", *words)
    assert (code, "root needs more of its keys" in text) == (1, True)
    rows = {row["role"]: row for row in data("show", "--repo", tmp_path / "repo")["roles"]}
    assert (rows["root"]["version"], rows["root"]["threshold"], rows["root"]["keys"]) == (2, 2, 3)


def test_a_withdrawn_release_is_not_shown(place: Path) -> None:
    signed(place)
    assert data("show", "--repo", place / "repo")["releases"] == ["releases/fieldpost-1.1.0.json"]
    data("withdraw", "1.1.0", "--repo", place / "repo", "--keys", place / "keys")
    assert data("show", "--repo", place / "repo")["releases"] == []
    assert run("withdraw", "1.1.0", "--repo", place / "repo", "--keys", place / "keys")[0] == 1


def test_another_root_refuses_a_bundle(place: Path, tmp_path: Path) -> None:
    bundle = signed(place)
    run("init", "--repo", tmp_path / "other", "--keys", tmp_path / "others")
    code, text = run("verify", bundle, "--root", tmp_path / "other" / "metadata" / "1.root.json")
    assert (code, "refused" in text) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        ("sign", "nowhere", "--repo", "repo", "--keys", "keys"),
        ("show", "--repo", "nowhere"),
        ("verify", "nowhere", "--root", "repo/metadata/1.root.json"),
        ("verify", "keys/root-1.pem", "--root", "repo/metadata/1.root.json"),
        ("build", "nowhere", "-o", "out"),
        ("build", "keys", "-o", "out"),
        ("build", "wheels", "-o", "repo"),
        ("init", "--repo", "repo", "--keys", "keys"),
        ("init", "--repo", "repo", "--keys", "fresh"),
        ("init", "--repo", "new", "--keys", "new-keys", "--root-threshold", "2"),
        ("refresh", "--repo", "repo", "--keys", "nowhere"),
        ("refresh", "--repo", "repo", "--keys", "wheels"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    place: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    code, text = run(*words)
    assert code in {1, 2}
    assert text.startswith("fieldpost: ")
    assert "bug in Fieldpost" not in text
    assert text.count("\n") == 1


def test_help_and_reference_know_all_actions() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    for action in ("init", "build", "sign", "verify", "rotate", "refresh", "withdraw", "show"):
        assert f"`fieldpost bundle {action}" in page
