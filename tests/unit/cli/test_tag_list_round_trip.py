"""FL-65: A configuration that goes out as a list and into a folder without these tags is the same configuration, of any driver,
with every key of a tag, whatever its texts look like.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.cli.main import main
from gateway.cli.taglist import KERNEL, RARE
from gateway.errors import ConfigError
from gateway.settings.convert import fields_of
from gateway.settings.keys import TagKeys
from gateway.settings.loader import load_tree
from rules.expression import RuleExpressions

text = st.one_of(
    st.sampled_from(
        ["kWh", "%", "=SUM(A1)", "+", "-x", "@home", 'a"b', "a,b;c", "1e5", "007", "°C", "true", "'", "'=x", "''", "on", "null",
         " led", "trailed ", "'x ", " 'y", "two\nlines", "two\r\nlines", "\ttab", "a\rb", "{", "}{", "{base}", "{n + 1}", "{{x}}",
         "$5", "# no comment", "a: b", "- a", "~", "0x1F", '"quoted"', '"', "\u00a0hard", "ünï", "\\n", "[1, 2]", "1.0"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1, max_size=8),
).filter(lambda words: "${" not in words).map(lambda words: words.replace("{", "{{").replace("}", "}}"))  # fmt: skip
floats = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: abs(x) > 1e-9)
times = st.sampled_from(["250ms", "500ms", "2s", "90s", "15m"])
shown = {
    "unit": text,
    "description": text,
    "meta": st.dictionaries(st.one_of(st.sampled_from(["name", "imported.x"]), text), text, min_size=1, max_size=2),
    "on_change": st.booleans(),
    "heartbeat": times,
    "report_every": times,
    "hidden": st.booleans(),
    "shadow": st.booleans(),
    "local": st.booleans(),
}
numeric = {
    "deadband": st.one_of(floats.map(abs), st.just({"percent": 12.5})),
    "range": st.tuples(floats, floats).map(sorted).filter(lambda ends: ends[0] < ends[1]),
}
wired = {
    "interval": times,
    "on_demand": st.booleans(),
    "scale": floats,
    "offset": floats,
    "invalid": st.lists(st.one_of(st.integers(0, 255), st.just(0.5)), min_size=1, max_size=3),
    "labels": st.dictionaries(st.integers(0, 99).map(str), text, min_size=1, max_size=3),
    "strict_edgex": st.sampled_from([True, False, "float32"]),
    "expect": st.integers(0, 100),
}
grouped = {**wired, "group": st.sampled_from(["fast", "slow"])}
del grouped["interval"]


def keys(*parts: dict[str, Any], fixed: dict[str, Any] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    optional = {key: value for part in parts for key, value in part.items()}
    return st.fixed_dictionaries({key: st.just(value) for key, value in (fixed or {}).items()}, optional=optional)


written = st.sampled_from(
    [
        {"access": "rw", "write": {"min": -3, "max": 10.5, "rate": "3/10s"}, "momentary": True},
        {"access": "rw", "verify": {"tag": "plain", "settle": "2s", "tolerance": 0.5}},
        {"access": "rw", "verify": {"settle": "0.5s"}, "tolerance": 2},
        {"access": "rw", "desired": 5, "on_reconnect": "reapply", "conflict": "local_wins"},
        {"access": "rw", "on_reconnect": {"reapply": "2h"}, "conflict": "last_ts", "tolerance": 0},
        {
            "access": "rw",
            "write": {"max_change": 5, "allow": ["cloud", "rule"], "while": "{d.plain} > 3 and {plain} < 9"},
        },
        {"access": "w"},
    ]
)
modbus = st.one_of(
    st.builds(
        lambda first, more, place, kind: {"address": place, "type": kind, **more, **first},
        st.one_of(st.just({}), written),
        st.one_of(keys(shown, numeric, wired), keys(shown, numeric, grouped)),
        st.sampled_from(["holding/9", "holding/0x10", 400_101, "40003", "input/7"]),
        st.sampled_from(["int8", "uint16", "int32", "uint64", "float32", "bcd16"]),
    ),
    keys(shown, {"word_order": st.just("BADC")}, fixed={"address": "holding/40", "type": "string", "length": 7}),
    keys(shown, {"expect": text}, fixed={"address": "holding/60", "type": "string", "length": 250}),
    keys(shown, fixed={"address": "holding/5.high", "type": "uint8", "mask": 240, "shift": -1}),
    keys(shown, fixed={"address": "40001.10", "type": "bool", "expect": False}),
    keys(fixed={"address": "holding/70", "type": "uint16", "scale_from": "plain", "coherent": "12"}),
    keys(fixed={"address": "holding/72", "type": "uint32", "wrap": 1_000_000, "bit_base": 1, "write_with": "multiple"}),
)
computed = st.one_of(
    keys(shown, numeric, fixed={"type": "float64", "value": "{plain} * 2"}),
    keys(shown, fixed={"type": "string", "value": "'{' if {plain} > 1 else ' x '"}),
    keys(shown, fixed={"type": "uint32", "counts": "{plain} > 4", "reset": "daily"}),
    keys(
        shown, fixed={"type": "float64", "hours": "{plain} > 4", "reset": {"cron": "0 6 * * 1", "zone": "Asia/Tokyo"}}
    ),
    keys(shown, fixed={"type": "float64", "integral": "{plain}", "reset": {"cron": "0 0 * * *", "missed": "skip"}}),
)
memory = st.one_of(
    keys(shown, fixed={"type": "float32", "access": "rw", "initial": 5}),
    keys(shown, {"initial": text}, fixed={"type": "string", "access": "rw"}),
    keys(shown, fixed={"type": "bool", "initial": False}),
)
mqtt = st.one_of(
    keys(shown, numeric, {"path": st.sampled_from(["$.a[0]['c.d']", "0", "true", "$['{x}']"])}, fixed={"type": "float64"}),
    keys(shown, fixed={"type": "bool", "words": {"1": True, "OFF": False, "{x}": False}, "topic": "~/12"}),
    keys(fixed={"type": "int32", "access": "rw", "format": "plain",
                "command": {"topic": "a/{{b}}", "payload": {"v": "$value", "n": [1, None]}, "qos": 0, "retain": False}}),
)  # fmt: skip
opcua = keys(
    shown,
    {"sampling": st.just(0.5), "queue": st.just(3)},
    fixed={"type": "float64"},
).flatmap(lambda rest: st.sampled_from(["ns=2;s=a b", "i=2258", "ns=2;s={{guid}}", "/Objects/2:Line/x"]).map(
    lambda node: {"address": node, **rest}))  # fmt: skip
sim = st.one_of(
    keys(shown, numeric, {"interval": times}, fixed={"type": "float64", "signal": "square", "low": -1.5, "period": 7}),
    keys(shown, {"text": text}, fixed={"type": "string", "signal": "constant"}),
)
PLAIN: dict[str, dict[str, Any]] = {
    "modbus": {"address": "holding/1", "type": "int16"},
    "mqtt": {"type": "int16"},
    "opcua": {"address": "i=1", "type": "int16"},
    "sim": {"type": "int16"},
    "virtual": {"type": "int16", "initial": 3},
}
KINDS = {
    "modbus": modbus | computed,
    "mqtt": mqtt | computed,
    "opcua": opcua,
    "sim": sim | computed,
    "virtual": memory | computed,
}
URLS = {
    "modbus": {"url": "tcp://192.0.2.1"},
    "mqtt": {"url": "mqtt://192.0.2.2"},
    "opcua": {"url": "opc.tcp://192.0.2.3:4840"},
}
OF_DEVICE: dict[str, dict[str, Any]] = {"mqtt": {"topic": "d"}}
defaults = keys({key: st.just(True) for key in ("on_change", "hidden", "shadow")}, {"heartbeat": st.just("1h")})


@st.composite
def channels(draw: Any, driver: str) -> dict[str, Any]:
    names = st.from_regex(r"[a-z][a-z0-9_]{0,5}(/[0-9]{1,3})?", fullmatch=True).filter(lambda name: name != "plain")
    tags = draw(st.dictionaries(names, KINDS[driver], min_size=1, max_size=4))
    made: dict[str, Any] = {"driver": driver, **URLS.get(driver, {}), "defaults": draw(defaults)}
    made["groups"] = {"fast": "250ms", "slow": {"every": "15m", "align": "clock"}}
    made["devices"] = {"d": {**OF_DEVICE.get(driver, {}), "tags": {"plain": PLAIN[driver], **tags}}}
    return made


def put(folder: Path, channel: dict[str, Any]) -> Path:
    (folder / "channels").mkdir(parents=True)
    (folder / "gateway.yaml").write_text("gateway: {id: x, timezone: Europe/Berlin}\n")
    (folder / "channels" / "line.yaml").write_text(json.dumps(channel))
    return folder


def run(*words: str) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(list(words))
    return code, out.getvalue()


def meaning(folder: Path) -> Any:
    """All settings; the hash is of the way they are written."""
    return replace(load_tree(folder, expressions=RuleExpressions()), hash="")


def without_tags(channel: dict[str, Any]) -> dict[str, Any]:
    bare = copy.deepcopy(channel)
    for device in bare["devices"].values():
        device["tags"] = {}
    return bare


@pytest.mark.timeout(240)  # many drawn mixtures are no configuration: on a busy machine a minute is not enough
@pytest.mark.parametrize("driver", list(KINDS))
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_list_and_a_folder_without_tags_give_the_configuration_again(driver, data):
    form = data.draw(st.sampled_from(["csv", "csv", "json"]))
    channel = data.draw(channels(driver))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full = put(folder / "full", channel)
        try:
            wanted = meaning(full)
        except ConfigError:  # not every mixture of keys is a configuration
            assume(condition=False)
        listed = folder / f"tags.{form}"
        code, said = run("export", "--config", str(full), *(["--json"] if form == "json" else ["-o", str(listed)]))
        assert code == 0, said
        if form == "json":
            listed.write_text(said)
        assert run("import", str(listed), "--write", "--prune", "--config", str(full)) == (0, "nothing to change\n")
        bare = put(folder / "bare", without_tags(channel))
        code, said = run("import", str(listed), "--write", "--config", str(bare))
        assert code == 0, (said, listed.read_text())
        assert meaning(bare) == wanted, listed.read_text()


def test_every_key_of_a_tag_has_a_column():
    columns = {*KERNEL, *RARE} - {"range_low", "range_high"} | {"range"}
    assert set(fields_of(TagKeys)) == columns


PROFILED = {
    "driver": "modbus",
    "url": "tcp://192.0.2.1",
    "devices": {
        "meter{1..3}": {"unit_id": "{n}", "profile": "m", "params": {"base": "{n * 10}"}},
        "alone": {"unit_id": 9, "profile": "m", "tags": {"power": {"unit": "kW"}, "own": {"address": "coil/1", "type": "bool"}}},
    },
}  # fmt: skip
PROFILE = {
    "m": {
        "params": {"base": 5},
        "tags": {
            "power": {"address": "holding/{base + 2}", "type": "int32", "unit": "{{W}}", "hidden": True},
            "total": {"type": "float64", "value": "{power} * 2"},
        },
    }
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_what_comes_from_profiles_and_ranges_is_never_written_again(tmp_path, encoding, delimiter):
    folder = put(tmp_path / "config", PROFILED)
    (folder / "profiles").mkdir()
    (folder / "profiles" / "m.yaml").write_text(json.dumps(PROFILE))
    before = {file: file.read_bytes() for file in folder.rglob("*.yaml")}
    listed = tmp_path / "tags.csv"
    code, said = run("export", "--config", str(folder))
    assert code == 0
    assert said.count("\n") == 1 + 4 * 2 + 1
    listed.write_bytes(said.replace(",", delimiter).encode(encoding))
    assert run("import", str(listed), "--write", "--prune", "--config", str(folder)) == (0, "nothing to change\n")
    assert {file: file.read_bytes() for file in folder.rglob("*.yaml")} == before


def test_a_list_without_columns_for_computed_tags_prunes_none(tmp_path):
    tags = {"a": {"address": "coil/1", "type": "bool"}, "b": {"type": "bool", "value": "not {a}"}}
    folder = put(tmp_path / "config", {"driver": "modbus", **URLS["modbus"], "devices": {"d": {"tags": tags}}})
    listed = tmp_path / "tags.csv"
    listed.write_text("device,tag,unit\nd,a,\n")
    assert run("import", str(listed), "--prune", "--config", str(folder)) == (0, "nothing to change\n")
    listed.write_text("device,tag,value\nd,a,\n")
    assert "-" in run("import", str(listed), "--prune", "--config", str(folder))[1]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ('{"tags": [{"device": "d", "tag": "a", "scael": "1"}]}', "1:39: "),
        ('{"tags": [{"device": "d", "tag": "a",\n "scale": {"x": 1}}]}', "2:11: "),
        ('{"tags": [{"device": "d", "tag": "a", "scale": "wide"}]}', "1:"),
        ('{"tags": [{"device": "d"}]}', "1:11: no tag is named"),
        ('{"tags": [{"device": "d", "tag": "a"}, {"device": "d", "tag": "a"}]}', "d.a stands in line 1 too"),
        ('{"tags": [{"device": "d", "tag": "a"]}', "not JSON"),
    ],
)
def test_what_is_wrong_in_a_json_list_is_told_at_its_place(tmp_path, raw, said):
    tags = {"a": {"address": "holding/1", "type": "int16"}}
    folder = put(tmp_path / "config", {"driver": "modbus", **URLS["modbus"], "devices": {"d": {"tags": tags}}})
    listed = tmp_path / "tags.json"
    listed.write_text(raw)
    code, out = run("import", str(listed), "--write", "--config", str(folder))
    assert code == 1
    assert said in out, out
