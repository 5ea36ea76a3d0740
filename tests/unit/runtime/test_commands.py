import pytest
from msgspec.structs import replace

from gateway.commands import Commands
from gateway.latest import LatestValues
from gateway.model import Batch, Block, Transform, ValueType, WriteLimits, WriteResult, WriteState
from gateway.testing import ManualClock
from tests.unit.runtime.support import LIMITED, WRITABLE, bound, channel, tag


class Line:
    """A channel that takes every write."""

    def __init__(self):
        self.seen = []
        self.before = lambda write: None

    def target(self, device):
        return self if device != "gone" else None

    async def write(self, write):
        self.before(write)
        self.seen.append((write.tag.name, write.value))
        return WriteResult(write.tag.device, write.tag.path, WriteState.OK, 200, write.value, verified=True)


class Trail:
    def __init__(self):
        self.entries = []

    def record(self, who, via, what, **details):
        self.entries.append((who, via, what, details))


def commands(*tags, device="pump", **options):
    table, _ = bound(channel(*tags, device=device))
    clock = ManualClock()
    latest = LatestValues(clock)
    latest.grow(table.size)
    line, trail = Line(), Trail()
    return Commands(table, latest, line, clock, trail, **options), line, trail, clock


async def test_a_good_write_reaches_the_line_once_and_is_audited():
    cmd, line, trail, _ = commands(tag("run", ValueType.BOOL, **WRITABLE))
    (result,) = await cmd.write({"pump.run": True}, origin="anna", via="local")
    assert result.state is WriteState.OK
    assert line.seen == [("pump.run", True)]
    assert trail.entries[0][:3] == ("anna", "local", "write")
    assert trail.entries[0][3]["new"] is True


@pytest.mark.parametrize(
    ("words", "value", "code"),
    [
        ({}, 5, 403),
        (WRITABLE, "five", 400),
        (WRITABLE, True, 400),
        (WRITABLE, float("nan"), 400),
        (WRITABLE, 1.5, 400),
        pytest.param(WRITABLE, 10**400, 400, id="huge"),
        (LIMITED, -1, 422),
        (LIMITED, 101, 422),
        (WRITABLE | {"range": (0, 10)}, 11, 422),
    ],
)
async def test_fl_24_what_fails_its_check_never_reaches_the_line(words, value, code):
    cmd, line, _, _ = commands(tag("level", **words))
    (result,) = await cmd.write({"pump.level": value}, origin="x", via="local")
    assert (result.state, result.code) == (WriteState.REJECTED, code)
    assert line.seen == []


async def test_fl_24_one_bad_item_means_that_nothing_is_written():
    cmd, line, trail, _ = commands(tag("a", **WRITABLE), tag("b"))
    results = await cmd.write({"pump.a": 1, "pump.b": 2, "pump.none": 3}, origin="x", via="local")
    assert {r.tag: r.code for r in results} == {"a": 400, "b": 403, "none": 404}
    assert line.seen == []
    assert len(trail.entries) == 3


async def test_a_label_is_written_as_its_raw_value_and_an_unknown_one_is_refused():
    cmd, line, _, _ = commands(tag("mode", labels=((0, "off"), (1, "heat")), **WRITABLE))
    await cmd.write({"pump.mode": "heat"}, origin="x", via="local")
    (result,) = await cmd.write({"pump.mode": "cool"}, origin="x", via="local")
    assert line.seen == [("pump.mode", 1)]
    assert result.code == 400
    assert "'off', 'heat'" in result.text


async def test_a_scaled_integer_takes_fractions():
    cmd, line, _, _ = commands(tag("temp", transform=Transform(scale=0.1), **WRITABLE))
    await cmd.write({"pump.temp": 21.5}, origin="x", via="local")
    assert line.seen == [("pump.temp", 21.5)]


async def test_the_rate_limit_counts_writes_and_forgets_after_its_time():
    cmd, line, _, clock = commands(tag("level", **LIMITED))
    codes = [(await cmd.write({"pump.level": i}, origin="x", via="local"))[0].code for i in range(3)]
    assert codes == [200, 200, 429]
    await clock.advance(61)
    assert (await cmd.write({"pump.level": 3}, origin="x", via="local"))[0].code == 200
    assert len(line.seen) == 3


@pytest.mark.parametrize(("before", "after", "allowed"), [(5, 2, 0), (2, 5, 3)])
async def test_a_rate_limit_that_is_changed_while_it_runs_holds_as_changed(before, after, allowed):
    table, _ = bound(channel(limited := tag("level", **LIMITED | {"write": WriteLimits(rate=(before, 60.0))})))
    clock = ManualClock()
    latest = LatestValues(clock)
    latest.grow(table.size)
    cmd = Commands(table, latest, Line(), clock, Trail())

    async def codes(count):
        return [(await cmd.write({"pump.level": i}, origin="x", via="local"))[0].code for i in range(count)]

    assert await codes(before) == [200] * before
    bound(channel(replace(limited, write=WriteLimits(rate=(after, 60.0)))), table=table)
    assert await codes(6) == [200] * allowed + [429] * (6 - allowed)


async def test_a_write_to_a_channel_that_is_down_fails_with_504():
    cmd, _, _, _ = commands(tag("level", **WRITABLE), device="gone")
    (result,) = await cmd.write({"gone.level": 1}, origin="x", via="local")
    assert (result.state, result.code) == (WriteState.FAILED, 504)


async def test_the_audit_entry_has_the_value_from_before_the_write():
    cmd, line, trail, clock = commands(tag("level", **WRITABLE))
    device = cmd._tags.device("pump")

    def read_back(write):  # the device answers with the new value before the write's result is there
        cmd._latest.on_batch(Batch(Block("pump", device.tags), [write.value], 2, clock.mono()))

    cmd._latest.on_batch(Batch(Block("pump", device.tags), [3], 1, clock.mono()))
    line.before = read_back
    await cmd.write({"pump.level": 9}, origin="x", via="local")
    assert (trail.entries[0][3]["old"], trail.entries[0][3]["new"]) == (3, 9)
