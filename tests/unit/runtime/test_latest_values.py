import random

from gateway.latest import LatestValues
from gateway.model import Access, Batch, Block, Quality
from gateway.testing import ManualClock
from tests.unit.runtime.support import bound, channel, tag


def latest(*tags):
    table, (device,) = bound(channel(*tags))
    clock = ManualClock()
    values = LatestValues(clock)
    values.grow(table.size)
    return values, device, clock


def test_columns_by_slice_and_by_slot_give_the_same_values():
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    paths = [f"t{i}" for i in range(20)]
    one, device, clock = latest(*map(tag, paths))
    other, _, _ = latest(*map(tag, paths))
    for step in range(200):
        chosen = sorted(rng.sample(range(20), rng.randint(1, 20))) if rng.random() < 0.5 else list(range(20))
        values = [rng.randint(0, 9) for _ in chosen]
        quality = [rng.choice([0, Quality.BAD_SENSOR]) for _ in chosen] if rng.random() < 0.5 else None
        whole = Block(device.id, device.tags)
        index = None if len(chosen) == 20 else chosen
        one.on_batch(Batch(whole, values, step + 1, clock.mono(), index, quality))
        shuffled = chosen[::-1]  # a block in another order has no consecutive slots
        part = Block(device.id, [device.tags[i] for i in shuffled])
        back = None if quality is None else quality[::-1]
        other.on_batch(Batch(part, values[::-1], step + 1, clock.mono(), None, back))
        for t in device.tags:
            assert one.current(t) == other.current(t), f"seed {seed}"


def test_a_value_never_heard_is_bad_comm_without_time_and_age():
    values, device, _ = latest(tag("speed"))
    current = values.current(device.tags[0])
    assert (current.value, current.quality, current.ts, current.age_ms) == (None, Quality.BAD_COMM, None, None)


def test_a_tag_that_is_only_written_is_uncertain_not_bad():
    values, device, _ = latest(tag("reset", access=Access.WRITE))
    current = values.current(device.tags[0])
    assert (current.value, current.quality) == (None, Quality.UNCERTAIN)


async def test_fl_39_a_good_unchanged_poll_refreshes_the_age_only():
    values, device, clock = latest(tag("speed"))
    values.on_batch(Batch(Block(device.id, device.tags), [5], 1000, clock.mono()))
    await clock.advance(10)
    assert values.current(device.tags[0]).age_ms == 10_000
    values.polled(device.id, clock.mono())
    await clock.advance(1)
    current = values.current(device.tags[0])
    assert (current.ts, current.age_ms) == (1000, 1000)


async def test_a_device_that_confirms_its_tags_one_by_one_renews_no_others_age():
    values, device, clock = latest(tag("speed"), tag("level"))
    block = Block(device.id, device.tags)
    values.on_batch(Batch(block, [5, 6], 1000, clock.mono()))
    await clock.advance(10)
    values.polled(device.id, clock.mono(), device.tags[:1])
    values.on_batch(Batch(block, [7], 2000, clock.mono(), index=[0]))
    assert [values.current(each).age_ms for each in device.tags] == [0, 10_000]
    values.polled(device.id, clock.mono(), device.tags[1:])
    assert [values.current(each).age_ms for each in device.tags] == [0, 0]


async def test_a_poll_does_not_refresh_the_age_of_a_bad_value():
    values, device, clock = latest(tag("speed"))
    values.on_batch(Batch(Block(device.id, device.tags), [None], 1000, clock.mono(), None, [Quality.BAD_CONFIG]))
    await clock.advance(10)
    values.polled(device.id, clock.mono())
    assert values.current(device.tags[0]).age_ms == 10_000


def test_a_restored_value_keeps_its_time_and_is_last_known_until_read():
    values, device, clock = latest(tag("speed"), tag("level"))
    speed, level = device.tags
    assert (
        values.restore(device.tags, {("pump", "speed"): (7, 123, Quality.GOOD), ("pump", "level"): (None, 5, 0)}) == 1
    )
    current = values.current(speed)
    assert (current.value, current.quality, current.ts, current.age_ms) == (7, Quality.LAST_KNOWN, 123, None)
    assert values.current(level).value is None
    values.on_batch(Batch(Block(device.id, [speed]), [8], 2000, clock.mono()))
    assert values.current(speed).quality is Quality.GOOD


def test_a_checkpoint_gives_back_what_was_true_with_its_own_time():
    values, device, clock = latest(tag("speed"))
    values.on_batch(Batch(Block(device.id, device.tags), [9], 777, clock.mono()))
    rows = values.checkpoint(device.tags)
    again, device2, _ = latest(tag("speed"))
    again.restore(device2.tags, rows)
    current = again.current(device2.tags[0])
    assert (current.value, current.ts) == (9, 777)


def test_differing_names_only_slots_whose_value_or_quality_changes():
    values, device, clock = latest(tag("a"), tag("b"), tag("c"))
    block = Block(device.id, device.tags)
    values.on_batch(Batch(block, [1, 2, 3], 1, clock.mono()))
    assert values.differing(Batch(block, [1, 5, 3], 2, clock.mono())) == [device.tags[1].slot]
    assert values.differing(Batch(block, [1, 2, 3], 2, clock.mono(), None, [0, 0, Quality.BAD_COMM])) == [
        device.tags[2].slot
    ]


async def test_the_last_value_is_kept_for_people_while_the_device_is_away_and_forgotten_when_it_is_back():
    values, device, clock = latest(tag("speed"))
    block = Block(device.id, device.tags)
    values.on_batch(Batch(block, [42], 1000, clock.mono()))
    values.on_batch(Batch(block, [None], 2000, clock.mono(), None, [Quality.BAD_COMM]))
    away = values.current(device.tags[0])
    assert (away.value, away.quality, away.ts, away.last) == (None, Quality.BAD_COMM, 2000, (42, 1000))
    assert values.checkpoint(device.tags) == {("pump", "speed"): (42, 1000, Quality.GOOD)}
    values.on_batch(Batch(block, [43], 3000, clock.mono()))
    assert values.current(device.tags[0]).last is None
