"""Commands that change a person's files: only what is meant changes, all of it or nothing, and the files stay theirs."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.editing import Changes
from gateway.cli.main import main
from gateway.cli.session import CommandFailed
from gateway.cli.splicing import Merge, Removed, merged, splice

GATEWAY = "gateway: {id: plant-7}\n"
CHANNEL = """\
# who may touch this: anna
---
driver: modbus
url: tcp://192.0.2.10   # the wire
defaults:
    forbidden:
    - holding/400-409
devices:
    pump:   # hall 2
        unit_id: 1
        tags: {
            # measured at the outlet
            flow: {address: holding/0,   type: uint16},   # l/min
            temp: {address: 'holding/1', type: int16, range: [0,
                80]},
        }
    bare: {unit_id: 2, tags: {}}
    null_tags:
        unit_id: 3
        tags:

    # the end
"""


def tree(folder: Path, text: str = CHANNEL) -> Path:
    (folder / "channels").mkdir(parents=True)
    (folder / "gateway.yaml").write_text(GATEWAY)
    (folder / "channels" / "line.yaml").write_text(text.replace("tags:\n\n", "tags: {}\n\n"))
    return folder


def changed(before: str, after: str) -> list[str]:
    """Lines that went and that came."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [f"{line[0]} {line[1:]}" for line in list(lines)[2:] if line[0] in "+-"]


def tags(device: str, **entries: object) -> Merge:
    return Merge(devices=Merge({device: Merge(tags=Merge(entries))}))


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        (
            tags("pump", flow=Merge(unit="l/min")),
            [
                "-             flow: {address: holding/0,   type: uint16},   # l/min",
                "+             flow: {address: holding/0,   type: uint16, unit: l/min},   # l/min",
            ],
        ),
        (
            tags("pump", temp=Merge(range=[0, 90])),
            [
                "-             temp: {address: 'holding/1', type: int16, range: [0,",
                "-                 80]},",
                "+             temp: {address: 'holding/1', type: int16, range: [0, 90]},",
            ],
        ),
        (
            tags("bare", x=Merge(address=40002, type="int16")),
            [
                "-     bare: {unit_id: 2, tags: {}}",
                "+     bare: {unit_id: 2, tags: {x: {address: 40002, type: int16}}}",
            ],
        ),
        (
            tags("null_tags", x=Merge(address="40001.10", type="bool", unit="on")),
            ['+           x: {address: "40001.10", type: bool, unit: "on"}'],
        ),
        (
            Merge(devices=Merge(fresh={"unit_id": 4, "tags": {}})),
            ["+     fresh:", "+       unit_id: 4", "+       tags: {}"],
        ),
        (tags("pump", temp=Merge(range=Removed)), None),
        (tags("pump", flow=Removed, temp=Removed), None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_the_lines_that_are_meant_change(wanted, lines, newline):
    before = CHANNEL.replace("\n", newline)
    after = splice("line.yaml", before.encode(), 0, wanted).decode()
    assert after.count("\r") == (after.count("\n") if newline == "\r\n" else 0)
    data = yaml.safe_load(CHANNEL)
    assert yaml.safe_load(after) == merged(data, wanted)
    if lines is not None:
        assert changed(CHANNEL, after.replace("\r\n", "\n")) == lines
    for comment in ("# who may touch this: anna", "# the wire", "# hall 2", "# the end"):
        assert comment in after


def test_empty_documents_do_not_count_and_stay():
    text = "---\n---\nchannel: a\ndevices: {x: {unit_id: 1}}\n---\nchannel: b\ndevices: {y: {unit_id: 1}}\n...\n"
    after = splice("line.yaml", text.encode(), 1, Merge(devices=Merge(y=Merge(unit_id=2)))).decode()
    assert after == text.replace("y: {unit_id: 1}", "y: {unit_id: 2}")


keys = st.sampled_from(["a", "b", "on", "x/y", "0", "long_name"])
scalars = st.one_of(
    st.integers(-5, 70_000),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "kWh", "=1+1", "007", "1e5", "a: b", "#", "°C", "it's", 'say "x"', "- x", "{n}", "true", "~"]),
)
data = st.recursive(scalars, lambda below: st.dictionaries(keys, below, max_size=4), max_leaves=12)
mappings = st.dictionaries(keys, data, min_size=1, max_size=4)


def merges(below: st.SearchStrategy) -> st.SearchStrategy:
    return st.dictionaries(keys, st.one_of(below, st.just(Removed)), min_size=1, max_size=4).map(Merge)


@settings(max_examples=60, deadline=None)
@given(mappings, st.recursive(merges(data), merges, max_leaves=6), st.booleans() | st.none(), st.sampled_from([2, 4]))
def test_whatever_is_changed_in_whatever_style_holds_exactly_that(before, wanted, style, indent):
    text = yaml.safe_dump({"top": before}, default_flow_style=style, indent=indent, allow_unicode=True)
    commented = "".join(f"{line}   # why\n" if line.endswith(":") else f"{line}\n" for line in text.splitlines())
    splice("x.yaml", commented.encode(), 0, Merge(top=wanted))  # raises when the result holds anything else


def test_a_written_file_keeps_its_mode_and_a_link_stays_a_link(tmp_path):
    folder = tree(tmp_path / "config")
    real = tmp_path / "elsewhere.yaml"
    (folder / "channels" / "line.yaml").rename(real)
    (folder / "channels" / "line.yaml").symlink_to(real)
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 12345, 12345)
    before = real.stat()
    changes = Changes(folder)
    changes.edit("channels/line.yaml", tags("bare", x=Merge(address="holding/7", type="int16")))
    changes.write()
    after = real.stat()
    assert (folder / "channels" / "line.yaml").is_symlink()
    assert "holding/7" in real.read_text()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_when_one_of_two_files_cannot_be_written_neither_is(tmp_path):
    folder = tree(tmp_path / "config")
    changes = Changes(folder)
    changes.edit("channels/line.yaml", tags("bare", x=Merge(address="holding/7", type="int16")))
    changes.add("profiles/p.yaml", "p: {tags: {}}\n")
    before = (folder / "channels" / "line.yaml").read_text()
    (folder / "profiles").write_text("in the way")
    with pytest.raises(OSError, match="profiles"):
        changes.write()
    assert (folder / "channels" / "line.yaml").read_text() == before
    assert [path.name for path in (folder / "channels").iterdir()] == ["line.yaml"]


def test_a_file_that_somebody_changed_in_between_is_not_written_over(tmp_path):
    folder = tree(tmp_path / "config")
    changes = Changes(folder)
    changes.edit("channels/line.yaml", tags("bare", x=Merge(address="holding/7", type="int16")))
    (folder / "channels" / "line.yaml").write_text(CHANNEL + "# more\n")
    with pytest.raises(CommandFailed, match="changed by somebody else"):
        changes.write()
    assert (folder / "channels" / "line.yaml").read_text() == CHANNEL + "# more\n"


def test_the_same_device_added_twice_is_there_once(tmp_path, capsys):
    folder = tree(tmp_path / "config")
    words = ["add", "modbus", "192.0.2.10", "--unit", "9", "--write", "--config", str(folder), "--socket", "/nowhere"]
    assert main(words) == 0
    once = (folder / "channels" / "line.yaml").read_text()
    assert main(words) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert (folder / "channels" / "line.yaml").read_text() == once
    assert main([*words, "--name", "unit9", "--profile", "eastron_sdm120"]) == 1, "another device of that name"
