"""From a cable to trusted tags with the commissioning commands alone, as docs/tutorial/commissioning.md tells it."""

from __future__ import annotations

import csv
import io
import os
import re
import shlex
import signal
from pathlib import Path

import pytest
import yaml

from gateway.local.client import Client
from gateway.local.wire import OpError
from tests.support.eventually import wait_until
from tests.support.gateway import FIELDPOST
from tests.support.simulated import Simulated

STRANGE = Path(__file__).parent / "strange/meter.yaml"
TUTORIAL = Path(__file__).parents[3] / "docs/tutorial/commissioning.md"
TRUTH = {"voltage": 230.5, "current": 4.25, "power": 978.0, "energy": 123450, "serial": "AX-4711-B", "setpoint": 21.5}


@pytest.fixture
def meter(processes, tmp_path):
    sets = [word for tag, value in TRUTH.items() for word in ("--set", f"{tag}={value}")]
    return Simulated(processes, tmp_path, str(STRANGE), "--unit", "17", "--pty", str(tmp_path / "line"), *sets)


@pytest.fixture
def gateway(make_gateway):
    made = make_gateway()
    made.write_main(uplinks={})
    made.start()
    return made


def commands() -> list[list[str]]:
    """The commands of the tutorial, in order."""
    text = TUTORIAL.read_text()
    return [
        shlex.split(line[2:])[1:]
        for block in re.findall(r"```console\n(.*?)```", text, re.S)
        for line in block.splitlines()
        if line.startswith("$ fieldpost ")
    ]


def test_a_strange_device_becomes_verified_tags_by_the_tutorials_commands_alone(gateway, meter, tmp_path):
    port = str(tmp_path / "line")
    said: list[str] = []
    for words in commands():
        if words[0] in {"init", "run"}:
            continue
        words = [word.replace("/dev/serial/by-id/usb-adapter", port) for word in words]
        answer = gateway.cli(*words)
        said.append(answer.out)
        assert answer.code == 0, (words, answer)
        if words[0] == "scan" and "--write" in words:
            rename(gateway.config / "profiles/meter.yaml")
    everything = "\n".join(said)
    assert "unit 17 answers" in everything
    assert "float32 CDAB = 230.5" in everything
    rows = {row["tag"]: row for row in gateway.ask("tags")["tags"]}

    def good():
        rows.update({row["tag"]: row for row in gateway.ask("tags")["tags"]})
        return all(tag in rows and rows[tag]["quality"] == "good" for tag in TRUTH)

    wait_until(good, 15, why=lambda: str(rows))
    assert {tag: rows[tag]["value"] for tag in TRUTH} == TRUTH
    assert gateway.cli("write", "meter.setpoint=18.5").code == 0
    assert gateway.ask("read", "meter.setpoint")["tags"][0]["value"] == 18.5


def rename(draft: Path) -> None:
    """What a person does with the draft: names, and what only the display can tell."""
    tags = yaml.safe_load(draft.read_text())["meter"]["tags"]
    assert tags["h10"] == {"address": "holding/10", "type": "float32", "word_order": "CDAB"}
    assert tags["h60"]["type"] == "string"
    named = {
        "voltage": {**tags["h10"], "unit": "V"},
        "current": {**tags["h12"], "unit": "A"},
        "power": {**tags["h14"], "unit": "W"},
        "energy": {"address": "holding/40", "type": "uint32", "scale": 10, "unit": "Wh"},
        "serial": tags["h60"],
        "setpoint": {"address": "holding/80", "type": "int16", "scale": 0.1, "unit": "°C", "access": "rw"},
    }
    draft.write_text(yaml.safe_dump({"meter": {"tags": named}}, allow_unicode=True))


def test_a_scan_beside_silent_units_leaves_the_polls_of_a_channel_alone(gateway, processes, tmp_path):
    line = Simulated(processes, tmp_path, str(STRANGE), "--unit", "17", "--pty", str(tmp_path / "line2"), name="line2")
    channel = yaml.safe_load("{" + line.place + "}")
    channel |= {"driver": "modbus", "timeout": "100ms", "interval": "200ms"}
    channel["devices"] = {"m": {"unit_id": 17, "tags": {"v": {"address": "holding/10", "type": "float32"}}}}
    gateway.write("channels/bus.yaml", channel)
    assert gateway.cli("apply").code == 0
    wait_until(lambda: gateway.ask("tags")["tags"][0]["quality"] == "good", 10, why="polled")
    before = gateway.ask("devices")["devices"][0]
    found = gateway.ask("scan", "modbus", "bus", "--units", "1-25", "--ranges", "holding/0-60", "--timeout", "60ms")
    after = gateway.ask("devices")["devices"][0]
    assert [each["unit"] for each in found["findings"] if "answers" in each] == [17]
    assert after["polls"] - before["polls"] >= 5
    assert after.get("errors") == before.get("errors")
    assert after["state"] == "online"
    tables = {row["address"] for row in line.requests(17)}
    assert tables, "the device's own log"


def test_a_scan_that_is_interrupted_leaves_nothing_behind(gateway, processes, tmp_path):
    line = Simulated(processes, tmp_path, str(STRANGE), "--unit", "200", "--pty", str(tmp_path / "line3"), name="line3")
    words = [str(FIELDPOST), "scan", "modbus", str(tmp_path / "line3"), "--line", "9600-8N1", "--timeout", "200ms"]
    scan = processes.start("scan", [*words, "--config", str(gateway.config)])
    wait_until(lambda: held(gateway.pid, line), 15, why="the gateway holds the port")
    os.kill(scan.pid, signal.SIGINT)
    assert scan.wait(20) != 0
    assert "Traceback" not in scan.output()
    wait_until(lambda: not held(gateway.pid, line), 15, why="the port is free again")
    again = gateway.ask("scan", "modbus", str(tmp_path / "line3"), "--line", "9600-8N1", "--units", "199-200")
    assert [each["unit"] for each in again["findings"] if "answers" in each] == [200]
    assert gateway.status()["ready"]
    assert gateway.issues() == []


def held(pid: int, line: Simulated) -> bool:
    """Whether the process has the line open."""
    port = os.path.realpath(re.search(r"port: ([^,]+)", line.place)[1])
    files = Path(f"/proc/{pid}/fd")
    return any(os.path.realpath(each) == port for each in files.iterdir())


def test_a_trace_shows_frames_and_ends_by_itself(gateway, meter, processes, tmp_path):
    device = Simulated(processes, tmp_path, "eastron_sdm120", name="tcp")
    channel = yaml.safe_load("{" + device.place + "}")
    channel |= {"driver": "modbus", "interval": "200ms"}
    channel["devices"] = {"m": {"unit_id": 1, "tags": {"v": {"address": "input/0", "type": "float32"}}}}
    gateway.write("channels/bus.yaml", channel)
    assert gateway.cli("apply").code == 0
    out = gateway.cli("trace", "m", "--for", "1500ms").out
    assert "read input/0 (30001, 0x0) x 2" in out
    assert re.search(r"unit 1: 2 registers: [0-9a-f]{4} [0-9a-f]{4}; [0-9.]+ ms", out)
    device.say("fault exception 4")
    assert "exception 4: server device failure" in gateway.cli("trace", "m", "--for", "1500ms").out
    device.say("clear")
    raw = gateway.ask("read", "m.input/0", "--count", "2")
    assert raw["findings"][-1]["rows"][0]["float32"]["ABCD"] is not None
    assert gateway.cli("read", "m.input/0", "--type", "float33").code == 2
    assert gateway.ask("tags")["tags"][0]["tag"] == "v"
    assert len(gateway.ask("tags")["tags"]) == 1, "nothing that was only looked at became a tag"


def test_what_is_looked_at_beside_a_channel_that_counts_from_1_is_the_register_that_was_meant(
    gateway, processes, tmp_path
):
    sets = [word for tag in ("state=7", "level=9") for word in ("--set", tag)]
    profile = tmp_path / "p.yaml"
    profile.write_text(
        "p: {tags: {level: {address: holding/10, type: uint16}, state: {address: holding/11, type: uint16}}}\n"
    )
    device = Simulated(processes, tmp_path, str(profile), "--static", *sets, name="based")
    channel = yaml.safe_load("{" + device.place + "}") | {"driver": "modbus", "address_base": 1}
    tags = {"x": {"address": "holding/0xb", "type": "uint16"}}
    channel["devices"] = {"d": {"unit_id": 1, "address_base": 0, "tags": tags}}
    gateway.write("channels/bus.yaml", channel)
    assert gateway.cli("apply").code == 0
    raw = gateway.ask("read", "d.holding/11", "--count", "1")["findings"][-1]
    assert (raw["first"], raw["rows"][0]["uint16"]) == (11, 7)
    words = ("scan", "modbus", "bus", "--units", "1", "--ranges", "holding/10-11")
    assert gateway.cli(*words, "--write").code == 2, "a write without a draft"
    assert gateway.cli(*words, "--draft", "again", "--write").code == 0
    assert gateway.cli("apply").code == 0
    wait_until(lambda: len(gateway.ask("tags", "again")["tags"]) == 2, 10, why="there")
    rows = {row["tag"]: row["value"] for row in gateway.ask("read", "again")["tags"]}
    assert rows == {"h10": 9, "h11": 7}
    keys = [{"address": "holding/10", "type": "int16", "scale_from": "nothing"}]
    with Client(gateway.state / "fieldpost.sock") as client, pytest.raises(OpError, match="no tag `nothing`"):
        client.call("probe", {"device": "d", "keys": keys}, 10)
    assert gateway.ask("devices")["devices"][0]["reconnects"] == 0
    assert "crashed" not in gateway.log()


def test_a_library_profile_is_added_in_one_command(gateway, processes, tmp_path):
    device = Simulated(processes, tmp_path, "gavazzi_em340", "--unit", "3", name="em")
    port = device.place.rpartition(":")[2]
    shown = gateway.cli(
        "add", "modbus", f"127.0.0.1:{port}", "--unit", "3", "--name", "main", "--profile", "gavazzi_em340"
    )
    assert "unit 3 answers" in shown.out
    assert "+gavazzi_em340:" in shown.out
    assert not (gateway.config / "channels").exists()
    written = gateway.cli(
        "add", "modbus", f"127.0.0.1:{port}", "--unit", "3", "--name", "main", "--profile", "gavazzi_em340", "--write"
    )
    assert written.code == 0, written
    assert gateway.cli("apply").code == 0
    wait_until(lambda: all(row["quality"] == "good" for row in gateway.ask("tags")["tags"]), 10, why="good")
    again = gateway.cli(
        "add", "modbus", f"127.0.0.1:{port}", "--unit", "4", "--name", "second", "--profile", "gavazzi_em340"
    )
    assert "+  second:" in again.out and "/dev/null" not in again.out


def test_a_tag_list_goes_out_and_comes_back_unchanged_and_changed(gateway, tmp_path):
    gateway.write(
        "channels/line.yaml",
        "driver: modbus\nurl: tcp://127.0.0.1:1   # the wire\ndevices:\n"
        '  a: {unit_id: 1, tags: {x: {address: holding/0, type: uint16, unit: "=1+1"}, y: {address: 40002, type: int16}}}\n'
        '  r{1..2}: {unit_id: "{n}", tags: {z: {address: holding/5, type: uint16}}}\n',
    )
    text = gateway.cli("export").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["tag"] for row in rows] == ["x", "y", "z", "z"]
    assert rows[0]["unit"] == "'=1+1", "no spreadsheet runs it"
    file = tmp_path / "tags.csv"
    file.write_text(text)
    assert gateway.cli("import", str(file)).out.strip() == "nothing to change"
    file.write_text("\ufeff" + text.replace("40002,", "40003,").replace(",", ";"))
    answer = gateway.cli("import", str(file), "--write")
    assert answer.code == 0, answer
    assert "40003" in (gateway.config / "channels/line.yaml").read_text()
    assert "# the wire" in (gateway.config / "channels/line.yaml").read_text()
    file.write_text(text.replace("holding/5", "holding/6") + "a,new,holding/7\n")
    refused = gateway.cli("import", str(file))
    assert refused.code == 1
    assert "tags.csv:4" in refused.out + refused.err and "tags.csv:6" in refused.out + refused.err
    assert "one of a range" in refused.out + refused.err


def test_a_forced_tag_is_seen_by_everybody_over_a_kill_and_ends(
    make_gateway, make_broker, make_sink, processes, tmp_path
):
    broker = make_broker()
    gateway = make_gateway()
    gateway.write_main(uplinks={"cloud": {"urls": [broker.url]}})
    device = Simulated(processes, tmp_path, "plc_starter", "--static", name="plc")
    channel = yaml.safe_load("{" + device.place + "}")
    channel |= {"driver": "modbus", "interval": "200ms"}
    channel["devices"] = {
        "p": {"unit_id": 1, "tags": {"t": {"address": "holding/1", "type": "uint16", "access": "rw"}}}
    }
    gateway.write("channels/line.yaml", channel)
    gateway.start()
    wait_until(lambda: gateway.ask("tags")["tags"][0]["quality"] == "good", 10, why="good")
    real = gateway.ask("tags")["tags"][0]["value"]
    assert gateway.cli("force", "p.t=77").code == 2, "a force without an end"
    assert gateway.cli("force", "p.t=77", "--for", "10m", "--reason", "test").code == 0

    def forced():
        row = gateway.ask("tags")["tags"][0]
        return (row["value"], row["quality"]) == (77, "good/local-override")

    wait_until(forced, 5, why="forced")
    gateway.kill()
    gateway.start()
    wait_until(forced, 5, why="still forced after a kill")
    assert any(issue["id"] == "tag_forced" for issue in gateway.issues())
    assert [row["address"] for row in device.requests(1) if row["function"] in {6, 16}] == [], "the device never saw it"
    assert gateway.cli("force", "--release", "p.t").code == 0
    wait_until(lambda: gateway.ask("tags")["tags"][0]["value"] == real, 5, why="the device's own value")
    assert gateway.cli("force", "p.t=78", "--for", "500ms").code == 0
    wait_until(lambda: gateway.ask("tags")["tags"][0]["quality"] == "good", 10, why="ended by itself")

    begun = gateway.cli("maintenance", "p", "--for", "1h", "--reason", "bearing")
    assert begun.code == 0
    assert begun.out.split()[:4] == ["device", "until", "by", "reason"]
    assert gateway.status()["channels"]["line"]["devices"]["p"] == "maintenance"
    assert gateway.cli("write", "p.t=5").code == 0, "people at the gateway may write"
    assert gateway.cli("maintenance", "p", "--end").code == 0
