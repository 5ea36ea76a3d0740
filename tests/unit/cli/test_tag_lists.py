"""A tag list that goes out as CSV and comes back is the same configuration, whatever the cells look like."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.main import main
from gateway.cli.taglist import value_of

GATEWAY = "gateway: {id: plant-7}\n"


def tree(folder: Path, tags: dict) -> Path:
    (folder / "channels").mkdir(parents=True)
    (folder / "gateway.yaml").write_text(GATEWAY)
    device = {"unit_id": 1, "tags": tags}
    channel = {"driver": "modbus", "url": "tcp://192.0.2.10", "devices": {"pump": device}}
    (folder / "channels" / "line.yaml").write_text(json.dumps(channel))
    return folder


def run(*words: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(list(words)) == 0, out.getvalue()
    return out.getvalue()


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
units = st.sampled_from(
    ["", "kWh", "%", "=SUM(A1)", "+", "-x", "@home", 'a"b', "a,b", "a;b", "1e5", "007", "°C", "true"]
)
floats = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: abs(x) > 1e-6).map(lambda x: float(f"{x:.6g}"))
plain = st.fixed_dictionaries(
    {"address": st.integers(0, 9_998).flatmap(lambda n: st.sampled_from([f"holding/{n}", f"input/0x{n:x}", 400_001 + n]))},
    optional={
        "type": st.sampled_from(["int16", "uint32", "float32", "float64"]),
        "unit": units,
        "scale": floats,
        "offset": floats,
        "deadband": floats.map(abs),
        "interval": st.sampled_from(["500ms", "2s", "90s"]),
        "word_order": st.sampled_from(["ABCD", "CDAB"]),
        "range": st.tuples(floats, floats).map(sorted).filter(lambda ends: ends[0] < ends[1]),
    },
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(tags=st.dictionaries(names, plain, min_size=1, max_size=6))
def test_out_and_in_again_changes_nothing_and_makes_the_same_from_nothing(tags):
    for entry in tags.values():
        entry.setdefault("type", "uint16")
        if entry.get("word_order") == "CDAB" and entry["type"] in {"int16", "uint16"}:
            del entry["word_order"]
        if entry["type"] == "float64" and "word_order" in entry:
            del entry["word_order"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full = tree(folder / "full", tags)
        first = next(iter(tags))
        empty = tree(folder / "empty", {first: tags[first]})
        listed = run("export", "--config", str(full))
        file = folder / "tags.csv"
        file.write_text(listed)
        before = (full / "channels" / "line.yaml").read_bytes()
        assert run("import", str(file), "--write", "--config", str(full)).strip() == "nothing to change"
        assert (full / "channels" / "line.yaml").read_bytes() == before
        run("import", str(file), "--write", "--config", str(empty))
        assert sorted(run("export", "--config", str(empty)).splitlines()) == sorted(listed.splitlines())


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12", 12), ("-3", -3), ("1.5", 1.5), ("1e3", 1000.0), ("true", True), ("0", 0), ("0.5", 0.5),
        ("007", "007"), ("000123", "000123"), ("1_000", "1_000"), ("nan", "nan"), ("inf", "inf"), ("0x64", "0x64"),
        ("½", "½"), ("٣", "٣"), (" ", " "), ("", ""),
    ],
)  # fmt: skip
def test_a_cell_is_a_number_only_where_yaml_and_people_would_say_so(cell, value):
    found = value_of(cell)
    assert (found, type(found)) == (value, type(value))
