"""What people set by hand: forced tags and maintenance, on a clock that only moves when told."""

from __future__ import annotations

import pytest

from gateway.forcing import Forces
from gateway.health import Health
from gateway.holds import Holds
from gateway.latest import LatestValues
from gateway.maintenance import ISSUE, LOCAL, Maintenance
from gateway.model import Batch, Block, Quality, WriteState
from gateway.testing import ManualClock
from tests.unit.runtime.support import WRITABLE, bound, channel, tag
from tests.unit.runtime.test_commands import Trail, commands


class Rows(dict):
    """A driver's memory."""

    def put(self, key, value):
        self[key] = value

    def delete(self, key):
        self.pop(key, None)

    def items(self):
        return dict(self)


class Bench:
    """A pump with two tags, its latest values, and forces that publish there."""

    def __init__(self, rows=None, clock=None):
        self.rows = Rows() if rows is None else rows
        self.clock = clock or ManualClock()
        self.table, (self.device,) = bound(channel(tag("speed", **WRITABLE), tag("flow")))
        self.latest = LatestValues(self.clock)
        self.latest.grow(self.table.size)
        self.health, self.trail = Health(self.clock), Trail()
        self.published = []
        self.forces = Forces(
            self.rows,
            self.clock,
            tags=self.table,
            latest=self.latest,
            audit=self.trail,
            health=self.health,
            publish=self.publish,
        )
        self.speed, self.flow = self.device.tags

    def publish(self, batch):
        self.published.append(batch)
        self.latest.on_batch(batch)

    def poll(self, speed, flow, quality=None):
        """What a poll of the device brings, on its way to everybody."""
        block = Block(self.device.id, self.device.tags)
        batch = Batch(block, [speed, flow], self.clock.wall_ms(), self.clock.mono(), quality=quality)
        masked = self.forces.mask(batch)
        self.latest.on_batch(masked)
        return batch, masked

    def shown(self, of):
        current = self.latest.current(of)
        return current.value, current.quality


async def test_a_forced_tag_shows_its_value_with_local_override_and_its_neighbour_what_it_is():
    bench = Bench()
    bench.poll(10, 20)
    bench.forces.set(bench.speed, 99, 60, "anna", "test of the alarm")
    assert bench.shown(bench.speed) == (99, Quality.LOCAL_OVERRIDE)
    original, masked = bench.poll(11, 21)
    assert bench.shown(bench.speed) == (99, Quality.LOCAL_OVERRIDE)
    assert bench.shown(bench.flow) == (21, Quality.GOOD)
    assert original.values == [11, 21], "what the device said is not changed in place"
    assert masked.quality == [int(Quality.LOCAL_OVERRIDE), 0]


async def test_a_batch_without_forced_tags_is_the_same_object():
    bench = Bench()
    bench.forces.set(bench.speed, 99, 60, "anna", "")
    other = Batch(Block("pump", [bench.flow]), [1], 1, 0.0)
    assert bench.forces.mask(other) is other


@pytest.mark.parametrize("by_time", [True, False])
async def test_at_the_end_the_last_that_the_device_said_is_shown(by_time):
    bench = Bench()
    bench.poll(10, 20)
    bench.forces.set(bench.speed, 99, 60, "anna", "")
    bench.poll(11, 21)
    bench.poll(None, 22, [int(Quality.BAD_SENSOR), 0])
    if by_time:
        await bench.clock.advance(61)
    else:
        assert bench.forces.release("pump.speed", "anna")
    assert bench.shown(bench.speed)[1] == Quality.BAD_SENSOR
    assert [entry[2] for entry in bench.trail.entries] == ["force", "force_end"]
    assert bench.trail.entries[-1][0] == ("clock" if by_time else "anna")
    assert not bench.forces.holds
    assert list(bench.health.open()) == []
    assert not bench.forces.release("pump.speed", "anna"), "there is none any more"


async def test_a_force_without_a_poll_in_between_gives_the_value_from_before_back():
    bench = Bench()
    bench.poll(10, 20)
    bench.forces.set(bench.speed, 99, 60, "anna", "")
    bench.forces.set(bench.speed, 98, 60, "anna", "again, which is no value of the device")
    bench.forces.release("pump.speed", "anna")
    assert bench.shown(bench.speed) == (10, Quality.GOOD)


async def test_a_force_outlives_a_kill_and_never_its_time():
    bench = Bench()
    bench.forces.set(bench.speed, 99, 60, "anna", "")
    await bench.clock.advance(20)
    again = Bench(bench.rows, ManualClock(wall_ms=bench.clock.wall_ms()))
    again.forces.restore()
    assert again.shown(again.speed) == (99, Quality.LOCAL_OVERRIDE)
    assert [issue.id for issue in again.health.open()] == ["tag_forced"]
    await again.clock.advance(41)
    assert again.shown(again.speed)[1] == Quality.BAD_STALE, "nothing is known of the device yet"
    assert again.rows == {}


async def test_after_a_restart_with_a_clock_that_went_back_a_hold_lasts_what_it_was_given_at_most():
    bench = Bench()
    bench.forces.set(bench.speed, 99, 60, "anna", "")
    again = Bench(bench.rows, ManualClock(wall_ms=bench.clock.wall_ms() - 30 * 86_400_000))
    again.forces.restore()
    await again.clock.advance(61)
    assert not again.forces.holds


async def test_a_clock_that_is_set_does_not_lengthen_a_hold():
    ended = []
    clock = ManualClock()
    holds = Holds(Rows(), clock, ended.append)
    holds.set("pump", 60, "anna")
    clock.step_wall(-86_400)
    await clock.advance(61)
    assert [hold.key for hold in ended] == ["pump"]


async def test_holds_that_ended_while_nothing_ran_and_tags_that_are_gone_are_dropped():
    rows = Rows()
    bench = Bench(rows)
    bench.forces.set(bench.speed, 99, 60, "anna", "")
    rows["pump.gone"] = {**rows["pump.speed"], "key": "pump.gone"}
    rows["pump.old"] = {"from": "another version"}
    again = Bench(rows, ManualClock(wall_ms=bench.clock.wall_ms() + 30_000))
    again.forces.restore()
    assert set(again.forces.holds.all()) == {"pump.speed"}
    late = Bench(rows, ManualClock(wall_ms=bench.clock.wall_ms() + 61_000))
    late.forces.restore()
    assert rows == {}
    assert late.published == []


async def test_under_maintenance_only_people_at_the_gateway_write():
    clock, trail, rows = ManualClock(), Trail(), Rows()
    health = Health(clock)
    maintenance = Maintenance(rows, clock, audit=trail, health=health)
    cmd, line, _, _ = commands(tag("speed", **WRITABLE), refuses=maintenance.refuses)
    maintenance.begin("pump", 3600, "anna", "new bearing")
    (far,) = await cmd.write({"pump.speed": 5}, origin="cloud", via="mqtt")
    assert (far.state, far.code) == (WriteState.REJECTED, 403)
    assert "anna: new bearing" in far.text
    (near,) = await cmd.write({"pump.speed": 6}, origin="anna", via=LOCAL)
    assert near.state is WriteState.OK
    assert line.seen == [("pump.speed", 6)], "the device never saw the refused one"
    assert maintenance.suppresses("pump")

    again = Maintenance(rows, clock, audit=trail, health=health)
    again.restore()
    assert again.refuses("pump", "mqtt"), "a restart does not end it"
    await clock.advance(3601)
    assert not again.refuses("pump", "mqtt")
    assert list(health.open()) == []
    assert [entry[2] for entry in trail.entries][-1] == "maintenance_end"


async def test_the_issue_of_a_maintenance_outlives_those_of_a_device_that_begins_anew():
    clock = ManualClock()
    health = Health(clock)
    maintenance = Maintenance(Rows(), clock, audit=Trail(), health=health)
    maintenance.begin("pump", 3600, "anna", "new bearing")
    health.set("device_offline", "pump", "no answer")
    health.clear_entity("pump", keep=[ISSUE])
    assert [issue.id for issue in health.open()] == [ISSUE]
    maintenance.end("pump", "anna")
    assert health.open() == []
