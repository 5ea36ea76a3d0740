"""The first release of a machine: what is said where none is taken."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from gateway.ota.first import main
from tests.unit.ota.publisher import Publisher


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
