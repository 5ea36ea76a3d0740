"""The table of what was seen, on a real applier and real generations; only drivers are played by the test."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib

import pytest
import yaml

from gateway.abilities import Sighting
from gateway.discovery.keeper import EVENTS_PER_MINUTE, GATHER_S, RETRY_S, Discovery
from gateway.discovery.proposing import Refused
from gateway.discovery.table import MOST_ROWS
from gateway.fake_context import DictMemory
from gateway.health import Health
from gateway.model import ValueType
from gateway.registry import Registry
from gateway.runtime.applier import Applier, Busy
from gateway.settings import load_files, read_tree
from gateway.settings.credentials import CredentialFolders
from gateway.settings.generations import Generations
from gateway.testing import ManualClock

TAGS = {"level": {"type": "float64"}}


class Site:
    """A folder with a channel `air`, its generations and the table."""

    def __init__(self, tmp_path, **rule) -> None:
        self.folder, self.state = tmp_path / "config", tmp_path / "state"
        self.clock, self.memory, self.events = ManualClock(), DictMemory(), []
        self.health = Health(self.clock)
        self.switched = 0
        self.write("gateway.yaml", {"gateway": {"id": "gw"}, "store": {"path": str(self.state)}})
        self.rule(**rule)
        self.generations = Generations(self.state)
        files = read_tree(self.folder)
        self.settings = self.load(files)
        self.generations.activate(self.generations.create(files, "first", hash=self.settings.hash))
        self.applier = Applier(self, self.generations, self.load, self.clock, self.health, self.events.append)
        self.start()

    def start(self) -> None:
        """The process begins anew: only what is on disk is known."""
        self.settings = self.load(self.generations.active().files())
        self.discovery = Discovery(
            self.memory, self.clock, self.health,
            emit=self.events.append, settings=lambda: self.settings, library=self.library,
        )  # fmt: skip
        self.discovery.provisions = self.applier

    @staticmethod
    def library(driver, name):
        return {"shipped": {"tags": {"s": {"type": "int16"}}}} if (driver, name) == ("sim", "shipped") else {}

    def write(self, name, data) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(data))

    def rule(self, **more) -> None:
        rule = {"match": {"name": "meter*"}, **more}
        own = {"own": {"fail_every": 7, "tags": TAGS}}
        self.write("channels/air.yaml", {"driver": "sim", "watch": {"meters": rule}, "devices": own})

    def load(self, files):
        return load_files(files, Registry().load, env={}, credentials=CredentialFolders(None, None), base=self.folder)

    async def switch(self, new, _plan) -> None:
        self.settings = new
        self.switched += 1

    @staticmethod
    def up():
        return frozenset()

    def see(self, identity, name="", tags=TAGS, channel="air", **more) -> None:
        self.discovery.sighted(channel, Sighting(identity, name or identity, tags=tags, **more))

    def states(self):
        return {row["identity"]: row["state"] for row in self.discovery.rows()}

    def devices(self):
        return [device.id for device in self.settings.channels[0].devices]

    def told(self, what):
        return [event["identity"] for event in self.events if event["kind"] == "discovered" and event["what"] == what]

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.get_running_loop().create_task(self.discovery.run())
        await asyncio.sleep(0)
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})


async def until(condition) -> None:
    """Loading a configuration takes a thread's time."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_what_fits_waits_for_a_decision_and_one_issue_names_all(tmp_path):
    site = Site(tmp_path)
    for number in range(7):
        site.see(f"meter{number}")
    site.see("lamp")
    site.see("own-one", name="meter-own", keys={"fail_every": 7})
    assert sorted(set(site.states().values())) == ["known", "pending", "seen"]
    assert site.states()["own-one"] == "known"
    (issue,) = site.health.open()
    assert issue.text == ("7 discovered devices wait for approval: meter0, meter1, meter2, meter3, meter4 and 2 more")
    assert site.told("pending") == [f"meter{number}" for number in range(7)]


async def test_an_approval_is_a_generation_and_survives_a_restart_and_a_rollback_takes_it_back(tmp_path):
    site = Site(tmp_path)
    site.see("meter1")
    done = await site.discovery.approve("meter1", who="ann")
    assert done["device"] == "meter1"
    assert site.devices() == ["own", "meter1"]
    assert site.health.open() == []
    site.start()
    assert site.devices() == ["own", "meter1"]
    assert site.states() == {"meter1": "approved"}
    with pytest.raises(Refused, match="is the device meter1 already"):
        await site.discovery.approve("air/meter1", who="ann")
    await site.applier.rollback("ann")
    assert site.devices() == ["own"]
    assert site.states() == {"meter1": "pending"}
    await site.discovery.approve("meter1", name="again", who="ann")
    assert site.devices() == ["own", "again"]
    assert site.generations.drift(site.folder) == []


async def test_a_kill_between_the_generation_and_the_row_loses_neither(tmp_path):
    site = Site(tmp_path)
    site.see("meter1", keys={"fail_every": 9})
    row = dict(site.memory.items())
    await site.discovery.approve("meter1", who="ann")
    for key, value in row.items():
        site.memory.put(key, value)
    site.start()
    assert site.states() == {"meter1": "approved"}
    await site.discovery.forget("meter1", who="ann")
    assert site.devices() == ["own"]
    assert site.states() == {}


async def test_nobody_is_asked_where_a_rule_says_so_and_those_that_come_together_come_in_together(tmp_path):
    site = Site(tmp_path, approve="auto", limit=3)
    async with site.running():
        for number in range(5):
            site.see(f"meter{number}")
        await site.clock.advance(GATHER_S + 0.1)
        await until(lambda: sum("why" in row for row in site.discovery.rows()) == 2)
    assert site.devices() == ["own", "meter0", "meter1", "meter2"]
    assert site.switched == 1
    waiting = {row["identity"]: row["why"] for row in site.discovery.rows() if row["state"] == "pending"}
    assert sorted(waiting) == ["meter3", "meter4"]
    assert all("raise its limit" in why for why in waiting.values())
    assert "2 discovered devices wait" in site.health.open()[0].text
    await site.discovery.approve("meter4", who="ann")  # the limit is for those that nobody looked at
    assert "meter4" in site.devices()


async def test_one_that_is_wrong_does_not_keep_the_others_out_and_what_was_taken_out_stays_out(tmp_path):
    site = Site(tmp_path, approve="auto")
    async with site.running():
        site.see("meter1")
        site.see("meter2", keys={"speed": 3})
        await site.clock.advance(GATHER_S + 0.1)
        await until(lambda: any("why" in row for row in site.discovery.rows()))
        assert site.states() == {"meter1": "approved", "meter2": "pending"}
        await site.applier.rollback("ann")
        site.see("meter1", name="meter1b")
        await site.clock.advance(GATHER_S * 5)
        await asyncio.sleep(0.05)
    assert site.devices() == ["own"]
    assert site.states()["meter1"] == "pending"


async def test_while_a_change_waits_to_be_confirmed_nothing_comes_in(tmp_path):
    site = Site(tmp_path, approve="auto")
    site.rule(approve="auto", limit=9)
    await site.applier.apply(site.folder, confirm_within_s=60, who="ann")
    async with site.running():
        site.see("meter1")
        await site.clock.advance(GATHER_S + 0.1)
        await asyncio.sleep(0.05)
        with pytest.raises(Busy):
            await site.discovery.approve("meter1", who="ann")
        assert site.devices() == ["own"]
        await site.applier.confirm("ann")
        await site.clock.advance(RETRY_S + GATHER_S + 1)
        await until(lambda: "meter1" in site.devices())


async def test_profiles_of_the_library_come_along_and_what_says_nothing_needs_one(tmp_path):
    site = Site(tmp_path)
    site.see("meter1", tags={}, profile="shipped")
    site.see("meter2", tags={})
    await site.discovery.approve("meter1", who="ann")
    assert [tag.path for tag in site.settings.channels[0].devices[1].tags] == ["s"]
    with pytest.raises(Refused, match="give it a profile"):
        await site.discovery.approve("meter2", who="ann")
    with pytest.raises(Refused, match="there is no profile `nope`"):
        await site.discovery.approve("meter2", profile="nope", who="ann")
    assert site.devices() == ["own", "meter1"]


async def test_an_apply_keeps_what_came_in_and_drops_it_with_its_channel_or_when_the_folder_has_it(tmp_path):
    site = Site(tmp_path)
    for name in ("meter1", "meter2"):
        site.see(name)
        await site.discovery.approve(name, who="ann")
    site.write("channels/more.yaml", {"driver": "sim", "devices": {"meter2": {"tags": TAGS}}})
    await site.applier.apply(site.folder, confirm_within_s=None, who="ann")
    assert site.devices() == ["own", "meter1"]
    assert site.applier.provisioned().devices() == {"meter1": "air"}
    (site.folder / "channels/air.yaml").unlink()
    await site.applier.apply(site.folder, confirm_within_s=None, who="ann")
    assert not site.applier.provisioned()
    with pytest.raises(Refused, match="no channel air any more"):
        await site.discovery.approve("air/meter1", who="ann")


async def test_the_table_is_bounded_decisions_stay_and_only_what_matters_is_on_disk(tmp_path):
    site = Site(tmp_path)
    site.see("meter-first")
    site.discovery.reject("meter-first")
    for number in range(MOST_ROWS + 50):
        site.see(f"random{number}")
    assert len(site.discovery.rows()) == MOST_ROWS
    assert site.states()["meter-first"] == "rejected"
    assert list(site.memory.items()) == ["air/meter-first"]
    assert site.discovery.left_out == 51, "all were seen just now"
    for number in range(EVENTS_PER_MINUTE + 10):
        site.see(f"meter{number}")
    assert len(site.told("pending")) == EVENTS_PER_MINUTE
    await site.clock.advance(61)
    site.see("meter-later")
    assert site.events[-1]["left_out"] == 11


async def test_a_beacon_that_speaks_all_the_time_costs_a_write_now_and_then(tmp_path):
    site = Site(tmp_path)
    puts = []
    put = site.memory.put
    site.memory.put = lambda key, value: (puts.append(key), put(key, value))
    for _ in range(1000):
        site.see("meter1", properties={"rssi": "-60"})
        await site.clock.advance(1)
    assert len(puts) == 2
    (row,) = site.discovery.rows()
    assert (row["count"], row["last"] - row["first"]) == (1000, 999_000)


async def test_what_a_stranger_says_is_cut_and_never_a_reference(tmp_path):
    site = Site(tmp_path)
    site.see("meter1", properties={f"p{n}": "x" * 1000 for n in range(100)})
    site.see("meter2", name="meter" + "y" * 1000, keys={"fail": "${env:HOME}"})
    site.see("z" * 300, name="meter")
    site.see("ü" * 200, name="meter", keys={"match": {"data": ValueType.BOOL, "list": (1, 2)}})
    site.see("", name="meter")
    rows = {row["identity"]: row for row in site.discovery.rows()}
    assert sorted(rows) == ["meter1", "meter2", "ü" * 200]
    assert max(len(key.encode()) for key in site.memory.items()) <= 256
    assert site.memory.items()[hashlib.sha256(("air/" + "ü" * 200).encode()).hexdigest()]["keys"] == {
        "match": {"data": "bool", "list": [1, 2]}
    }
    assert len(rows["meter1"]["properties"]) == 32
    assert {len(text) for text in rows["meter1"]["properties"].values()} == {256}
    assert len(rows["meter2"]["suggested"]) == 64
    with pytest.raises(Refused, match="by hand"):
        await site.discovery.approve("meter2", who="ann")


async def test_an_ambiguous_name_and_an_unknown_one_are_told(tmp_path):
    site = Site(tmp_path)
    site.write("channels/two.yaml", {"driver": "sim", "watch": {"r": {"match": {"name": "*"}}}})
    await site.applier.apply(site.folder, confirm_within_s=None, who="ann")
    site.see("meter1")
    site.see("meter1", channel="two")
    with pytest.raises(Refused, match="may be air/meter1, two/meter1") as error:
        site.discovery.find("meter1")
    assert error.value.code == 409
    assert site.discovery.find("two/meter1").channel == "two"
    with pytest.raises(Refused) as error:
        site.discovery.reject("nobody")
    assert error.value.code == 404


async def test_a_crowd_does_not_push_itself_out_and_what_a_rule_asks_for_still_comes_in(tmp_path):
    site = Site(tmp_path)
    for _ in range(20):
        for number in range(MOST_ROWS * 2):
            site.see(f"meter{number:04d}")
        await site.clock.advance(0.1)
    states = site.states()
    assert set(states) == {f"meter{number:04d}" for number in range(MOST_ROWS)}
    assert site.discovery.left_out == 20 * MOST_ROWS
    await site.clock.advance(61)  # the first ones have gone
    site.see("meter9999")
    assert "meter9999" in site.states()
    assert len(site.discovery.rows()) == MOST_ROWS


async def test_what_a_rule_asks_for_takes_the_place_of_what_none_does(tmp_path):
    site = Site(tmp_path)
    for number in range(MOST_ROWS):
        site.see(f"phone{number}")
    site.see("meter1")
    assert site.states()["meter1"] == "pending"
    site.see("phone9999")
    assert "phone9999" not in site.states()
