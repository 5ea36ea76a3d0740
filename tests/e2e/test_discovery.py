"""What is seen becomes a device: watched, approved, running, still there after a kill, written into the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.eventually import wait_until

HERE = Path(__file__).resolve().parent
WATCH = {
    "simple": {
        "match": {"address": "simple0?", "port": ["3*", "/4[0-9]{2}/"]},
        "except": {"port": [397, 398, 399]},
        "profile": "simple",
        "id": "{name}",
        "keys": {"meta": {"seen_as": "{name}"}},
    }
}
SIMPLE = {"simple": {"tags": {"n": {"type": "int32"}}}}


def offer(identity: str, **more: object) -> dict[str, object]:
    properties = {"address": identity, "port": "300", **{key: str(value) for key, value in more.items()}}
    keys = {"address": identity, "port": int(properties["port"])}
    return {"identity": f"{identity}:{properties['port']}", "name": identity, "properties": properties, "keys": keys}


class Site:
    """A gateway with a channel that sees what a file lists."""

    def __init__(self, make_gateway, tmp_path: Path) -> None:
        folder = tmp_path / "site"
        info = folder / "spotter-1.0.dist-info"
        info.mkdir(parents=True)
        shutil.copy(HERE / "spotter" / "spotter_driver.py", folder)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spotter\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[fieldpost.drivers]\nspotter = spotter_driver:SPEC\n")
        self.offers = tmp_path / "offers.json"
        self.gateway = make_gateway(env={"PYTHONPATH": str(folder)})
        self.gateway.write_main(uplinks={})
        self.gateway.write("profiles/simple.yaml", SIMPLE)

    def channel(self, **more: object) -> None:
        known = {"address": "known01", "port": 300, "tags": {"n": {"type": "int32"}}}
        content = {"driver": "spotter", "offers": str(self.offers), "tree": 5000, "devices": {"known": known}}
        self.gateway.write("channels/air.yaml", {**content, "watch": WATCH, **more})

    def sees(self, *offers: dict[str, object]) -> None:
        self.offers.write_text(json.dumps(offers))

    def rows(self) -> dict[str, dict[str, object]]:
        return {row["identity"]: row for row in self.gateway.ask("discovered")["discovered"]}

    def states(self) -> dict[str, str]:
        return {identity: str(row["state"]) for identity, row in self.rows().items()}

    def value(self, name: str) -> object:
        rows = {f"{row['device']}.{row['tag']}": row for row in self.gateway.ask("tags")["tags"]}
        return rows[name]["value"] if name in rows and rows[name]["quality"] == "good" else None


@pytest.fixture
def site(make_gateway, tmp_path):
    made = Site(make_gateway, tmp_path)
    made.channel()
    made.sees()
    return made


def test_fl_66_only_what_is_asked_for_comes_in_and_known_devices_stay_as_they_are(site):
    site.channel(watch={"simple": {**WATCH["simple"], "approve": "auto"}})
    site.sees(
        offer("simple01"),
        *(offer("simple01", port=port) for port in (397, 398, 399)),
        offer("other"),
        offer("not-simple01"),
        offer("known01"),
    )
    site.gateway.start()
    before = next(row for row in site.gateway.ask("devices")["devices"] if row["device"] == "known")
    wait_until(lambda: site.value("simple01.n"), 20, why=lambda: str(site.rows()))
    states = site.states()
    assert states.pop("simple01:300") == "approved"
    assert states.pop("known01:300") == "known"
    assert set(states.values()) == {"seen"}, "neither blocked ports, nor other addresses"
    devices = {row["device"]: row for row in site.gateway.ask("devices")["devices"]}
    assert sorted(devices) == ["known", "simple01"]
    entry = next(entry for entry in site.gateway.ask("audit")["entries"] if entry["what"] == "discovered_approve")
    assert (entry["who"], entry["device"]) == ("discovery", "simple01")
    assert devices["known"]["state"] == before["state"] == "online"


def test_an_approved_device_runs_survives_a_kill_and_an_apply_and_moves_into_the_folder(site):
    site.sees(offer("simple01"))
    gateway = site.gateway.start()
    wait_until(lambda: site.states().get("simple01:300") == "pending", 20, why=lambda: str(site.rows()))
    assert [issue["id"] for issue in gateway.issues()] == ["device_discovered"]
    assert gateway.cli("command", "discovered_approve", "id=nobody").code == 1
    listed = gateway.ask("command", "discovered_list", "state=pending")["out"]["discovered"]
    assert [row["identity"] for row in listed] == ["simple01:300"]
    done = gateway.ask("discovered", "approve", "simple01:300", "--as", "first")
    assert done["device"] == "first"
    gateway.kill()
    gateway.start()
    wait_until(lambda: site.value("first.n"), 20, why="the device runs after the kill")
    assert site.states()["simple01:300"] == "approved"
    assert gateway.issues() == []
    assert gateway.status()["config"]["drift"] is False
    # an apply of the folder keeps it
    site.channel(interval="2s")
    assert "without" not in "".join(gateway.ask("plan")["lines"])
    assert gateway.cli("apply").code == 0
    wait_until(lambda: site.value("first.n"), 20, why="the device runs after the apply")
    # and it moves into the folder by export
    assert "first:" in gateway.cli("discovered", "export").out
    assert gateway.cli("discovered", "export", "--write").code == 0
    written = yaml.safe_load((gateway.config / "channels/air.yaml").read_text())["devices"]["first"]
    assert written == {"address": "simple01", "port": 300, "profile": "simple", "meta": {"seen_as": "simple01"}}
    assert gateway.ask("plan")["lines"] == []
    assert gateway.cli("apply").code == 0
    assert gateway.ask("discovered", "export")["channels"] == {}
    assert gateway.status()["config"]["drift"] is False
    assert site.value("first.n")
    assert site.states()["simple01:300"] == "approved"


def test_what_would_make_the_configuration_invalid_is_refused_and_nothing_is_half_done(site):
    bad = {**offer("simple01"), "keys": {"address": "simple01", "speed": 3}}
    site.sees(bad, offer("simple02"), {**offer("simple03"), "keys": {"address": "${env:HOME}"}})
    site.channel(watch={"simple": {**WATCH["simple"], "limit": 1}})
    gateway = site.gateway.start()
    wait_until(lambda: list(site.states().values()) == ["pending"] * 3, 20, why=lambda: str(site.rows()))
    before = gateway.ask("generations")["generations"]
    refused = gateway.cli("discovered", "approve", "simple01")
    assert refused.code == 1
    assert "unknown key `speed`" in refused.err
    assert "by hand" in gateway.cli("discovered", "approve", "simple03").err
    assert gateway.cli("discovered", "approve", "simple02", "--as", "known").code == 1
    assert gateway.cli("discovered", "approve", "nobody").code == 1
    several = gateway.cli("discovered", "approve", "nobody", "simple01").err
    assert "nobody is not approved: nothing was discovered" in several
    assert "approved: none; not tried: simple01" in several
    assert gateway.ask("generations")["generations"] == before
    assert set(site.states().values()) == {"pending"}
    assert gateway.cli("discovered", "approve", "simple02").code == 0
    wait_until(lambda: site.value("simple02.n"), 20, why="the good one")
    assert gateway.cli("discovered", "reject", "simple03").code == 0
    assert "by hand" in gateway.cli("discovered", "approve", "simple03").err, (
        "the limit is for those that nobody approves"
    )
    assert gateway.cli("discovered", "forget", "simple02").code == 0
    wait_until(lambda: site.states().get("simple02:300") == "pending", 20, why=lambda: str(site.rows()))
    assert [row["device"] for row in gateway.ask("devices")["devices"]] == ["known"]
    said = [entry["what"] for entry in gateway.ask("audit")["entries"]]
    assert [what for what in said if what.startswith("discovered")] == [
        "discovered_approve", "discovered_reject", "discovered_forget",
    ]  # fmt: skip


def test_a_tree_is_browsed_through_the_gateway_and_ticked_into_tags(site):
    gateway = site.gateway.start()
    answer = gateway.cli("browse", "air", "--filter", "*node 12?", "--json")
    items = [json.loads(line) for line in answer.out.splitlines()]
    assert [item["address"] for item in items] == [f"n{number}" for number in range(120, 130)]
    shown = gateway.cli("browse", "air", "--filter", "*node 499?")
    assert "n4990" in shown.out
    words = ["browse", "air", "--add", "known", "--pick", "*/node 7", "--pick", "*/node 8?"]
    assert "nothing is written yet" in gateway.cli(*words).out
    assert gateway.cli(*words, "--write").code == 0
    assert gateway.cli("apply").code == 0
    wait_until(lambda: site.value("known.node_7"), 20, why=lambda: str(gateway.ask("tags")))
    assert len(gateway.ask("tags")["tags"]) == 12
    refused = gateway.cli("browse", "nowhere")
    assert (refused.code, "nowhere" in refused.err) == (1, True)
    found = gateway.ask("command", "rescan", "channel=air", "limit=3")
    assert (found["out"]["how"], len(found["out"]["found"]), found["out"]["more"]) == ("browse", 3, True)
