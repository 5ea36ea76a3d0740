"""The first release of a machine: what is said where none is taken."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

import pytest

from gateway.ota.first import main
from gateway.ota.places import Places
from tests.unit.ota.publisher import Publisher, release_folder


def _install(folder: Path, days_ago: int, *words: str) -> int:
    """Look at a bundle that was signed so long ago, without installing it."""
    publisher = Publisher(folder)
    publisher.now = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(days=days_ago)
    bundle = publisher.bundle(publisher.release("1.0.0"))
    root = folder / "repo" / "metadata" / "1.root.json"
    return main(["--bundle", str(bundle), "--place", str(folder / "machine"), "--trust", str(root), *words])


def test_of_an_expired_timestamp_the_way_round_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _install(tmp_path, 40, "--dry-run") == 1
    said = capsys.readouterr().err
    assert "timestamp.json is expired" in said
    assert said.endswith("sign the bundle again, or take it at its age with --accept-stale-timestamp\n")


def test_of_other_metadata_that_expired_it_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _install(tmp_path, 100, "--dry-run", "--accept-stale-timestamp") == 1
    said = capsys.readouterr().err
    assert "the metadata has expired: snapshot, not the timestamp alone" in said
    assert "--accept" not in said


def test_a_way_round_that_leads_nowhere_is_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _install(tmp_path, 100, "--dry-run") == 1
    said = capsys.readouterr().err
    assert "timestamp.json is expired; snapshot.json expired, too" in said
    assert said.endswith("sign the bundle again\n")


def test_a_bundle_of_another_publisher_or_without_a_root_file_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Publisher(tmp_path / "other").folder / "repo/metadata"
    assert _install(tmp_path, 0, "--dry-run", "--trust", str(other / "1.root.json")) == 1
    assert "the metadata is refused" in capsys.readouterr().err
    assert main(["--trust", str(other / "1.root.json")]) == 0
    assert main(["--trust", str(other / "timestamp.json")]) == 1
    assert "timestamp.json is timestamp metadata, not a root file" in capsys.readouterr().err


def test_a_root_file_that_its_own_keys_did_not_sign_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "1.root.json"
    raw = Publisher(tmp_path / "publisher").factory_root
    path.write_bytes(raw.replace(b'"version": 1', b'"version": 2').replace(b'"version":1', b'"version":2'))
    assert path.read_bytes() != raw
    assert main(["--trust", str(path)]) == 1
    assert "1.root.json is no root file of a publisher" in capsys.readouterr().err


@pytest.mark.parametrize(("version", "code"), [("0.9.0", 1), ("1.0.0", 0), ("1.0.1", 0)])
def test_wheels_that_are_older_than_what_is_installed_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], version: str, code: int
) -> None:
    places = Places(tmp_path / "machine")
    slot = release_folder(places.releases / "1.0.0-000000000000", "1.0.0")
    body = {"phase": "IDLE", "good": slot.name, "prev": "", "trial": None, "bad": [], "result": {}, "last_jobs": []}
    body["floors"] = {}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    places.state.parent.mkdir()
    places.state.write_text(json.dumps({"body": body, "sha256": digest}))
    wheels = release_folder(tmp_path / "wheels", version)
    assert main(["--wheels", str(wheels), "--place", str(places.root), "--dry-run"]) == code
    said = capsys.readouterr()
    if code:
        assert "0.9.0 is older than 1.0.0, which is installed: to go back use `fieldpost ota rollback`" in said.err
        assert main(["--wheels", str(wheels), "--place", str(places.root), "--dry-run", "--newer-only"]) == 0
    else:
        assert said.out.startswith(f"changed {version}-")
