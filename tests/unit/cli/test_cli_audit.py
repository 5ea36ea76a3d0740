"""`fieldpost audit` over a file: what a cloud does with what it received. Needs no gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from tests.unit.values.test_chain import EPOCH, GAP, chained, message


@pytest.fixture
def entries() -> list[dict[str, Any]]:
    return chained([{"who": "anna", "new": number} for number in range(4)])


def written(path: Path, *lines: Any) -> str:
    file = path / "audit.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "\n", encoding="utf-8")
    return str(file)


def test_a_whole_file_is_ok_and_says_where_it_ends(
    tmp_path: Path, entries: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, message(*entries[:2]), message(*entries[2:]))
    assert main(["audit", "--verify", "--file", file]) == 0
    out = capsys.readouterr().out
    assert f"epoch {EPOCH}: the last entry is 4, {entries[3]['hash']}" in out
    assert "ok: 4 entries" in out


def test_a_changed_and_a_missing_entry_end_with_1_and_are_named(
    tmp_path: Path, entries: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    changed = [*entries[:1], {**entries[1], "new": 9}, *entries[2:]]
    assert main(["audit", "--verify", "--file", written(tmp_path, message(*changed))]) == 1
    assert "changed: epoch 1794000000: entry 2" in capsys.readouterr().out
    missing = message(entries[0], entries[3])
    assert main(["audit", "--verify", "--json", "--file", written(tmp_path, missing)]) == 1
    fault = json.loads(capsys.readouterr().out)["fault"]
    assert (fault["kind"], fault["seq"], fault["epoch"]) == ("missing", 2, EPOCH)
    assert main(["audit", "--verify", "--file", written(tmp_path, missing, GAP)]) == 0
    assert "numbers 2 to 3 are not here any more (age)" in capsys.readouterr().out


def test_a_part_says_where_it_begins(
    tmp_path: Path, entries: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "--verify", "--file", written(tmp_path, message(*entries[2:]))]) == 0
    assert "begins with 3; what came before it is not here" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["{", "5\n", '{"entries":5}\n', "\udcff"])
def test_a_file_of_another_kind_is_told_in_one_line(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main(["audit", "--verify", "--file", str(file)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(file) in said


def test_a_file_alone_is_wrong_usage_and_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert main(["audit", "--file", str(tmp_path / "x")]) == 2
    assert main(["audit", "--verify", "--file", str(tmp_path / "x")]) == 1
