"""A configuration folder as the target of a deployment: whose it is, and how its name may be written."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import pytest

from gateway.cli.configtarget import config_target, is_folder
from gateway.cli.main import main
from gateway.cli.output import Output
from gateway.cli.session import CommandFailed, Session


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Session:
    """In a folder with the configurations `new-gw-1` and `new-gw-2`."""
    monkeypatch.chdir(tmp_path)
    for name in ("gw-1", "gw-2"):
        assert main(["init", f"new-{name}", "--id", name]) == 0
    capsys.readouterr()
    return Session(argparse.Namespace(), Output(io.StringIO()))


def test_one_gateways_folder_is_refused_for_each_other_gateway(session: Session) -> None:
    target = config_target(session, "./new-gw-1", 7)
    assert target.doc_of("gw-1")["rev"] == 7
    for other in ("gw-2", "gw-3"):
        with pytest.raises(CommandFailed, match=f"configuration of gw-1, not of {other}"):
            target.doc_of(other)
    assert target.doc_of("gw-1")["rev"] == 7


def test_a_folder_for_each_gateway_may_be_named_without_a_slash(session: Session) -> None:
    assert is_folder("new-{gateway}")
    target = config_target(session, "new-{gateway}", 7)
    for name in ("gw-1", "gw-2"):
        assert f"id: {name}" in target.doc_of(name)["tree"]["gateway.yaml"]
