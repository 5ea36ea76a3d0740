"""When a reading arrived stands in the journal: what replays it must meet it at the very millisecond."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from gateway.journal import Segment
from gateway.model import Batch, Block, Tag, TagSpec, ValueType
from gateway.store.packing import TelemetryPacker
from gateway.store.segments import MAX_READINGS, Stamp, cut, read_segment
from gateway.testing import ManualClock
from tests.unit.store.kit import batch, block, everything, opened

STAMP = Stamp("5f0c9a1e", 1_795_000_000_000, "s")


def _block(n: int, aliases: list[int] | None = None) -> Block:
    aliases = aliases or list(range(1, n + 1))
    spec = TagSpec("t", ValueType.FLOAT64, None)
    return Block("dev", [Tag("dev", f"t{i}", i, alias, spec) for i, alias in enumerate(aliases)])


def _stored(batches: list[Batch]) -> list[Segment]:
    return [read_segment(packed.numbered(9, 1, 3)) for packed, _ in TelemetryPacker(STAMP).pack(batches)]


def _arrivals(segment: Segment) -> list[int]:
    late = segment.border_late or [0] * len(segment.border_ts)
    return [ts + more - segment.offset for ts, more in zip(segment.border_ts, late, strict=True)]


MOMENTS = st.lists(st.tuples(st.floats(0, 1e7), st.integers(-(10**6), 10**6)), min_size=1, max_size=20)


@given(MOMENTS)
def test_every_entry_keeps_the_millisecond_at_which_it_arrived(moments: list[tuple[float, int]]) -> None:
    shared = _block(1)
    batches = [Batch(shared, [1.0], STAMP.offset + int(mono * 1000) - late, mono) for mono, late in moments]
    (segment,) = _stored(batches)
    assert _arrivals(segment) == [int(mono * 1000) for mono, _ in moments]


@given(MOMENTS, st.data())
def test_a_cut_keeps_them(moments: list[tuple[float, int]], data: st.DataObject) -> None:
    shared = _block(1)
    (segment,) = _stored([Batch(shared, [1.0], STAMP.offset + int(mono * 1000) - late, mono) for mono, late in moments])
    first = data.draw(st.integers(1, segment.n))
    part = cut(segment, first, segment.last, data.draw(st.integers(1, 20)))
    at = part.first - segment.first
    assert _arrivals(part) == _arrivals(segment)[at : at + part.n]


def test_nothing_is_stored_where_all_arrive_at_their_time() -> None:
    shared = _block(2)
    batches = [Batch(shared, [1.0, 2.0], STAMP.offset + at, at / 1000) for at in (1000, 2000, 2500)]
    ((packed, _),) = TelemetryPacker(STAMP).pack(batches)
    assert len(msgpack.unpackb(packed.borders)) == 2
    (segment,) = _stored(batches)
    assert (segment.border_late, segment.border_joined) == ([], [])


def test_the_entries_of_one_batch_are_known_as_such_over_cuts_and_segments() -> None:
    long, twice = _block(600), _block(3, aliases=[5, 6, 5])
    batches = [
        Batch(twice, [1.0, 2.0, 3.0], 7, 1.0),
        Batch(twice, [1.0, 2.0, 3.0], 7, 1.0),
        Batch(long, [0.0] * 600, 8, 1.0),
    ]
    (segment,) = _stored(batches)
    assert segment.border_n == [2, 1, 2, 1, 250, 250, 100]
    assert segment.border_joined == [1, 3, 5, 6]
    assert cut(segment, 4, segment.last, 1000).border_joined == [1, 3, 4]  # it begins with the second batch
    assert cut(segment, 300, 300, 250).border_joined == [0]
    fill = [Batch(_block(250), [0.0] * 250, 7, 1.0) for _ in range(MAX_READINGS // 250)]
    _, second = _stored([*fill, Batch(long, [0.0] * 600, 8, 1.0)])[-2:]
    assert second.border_joined[0] == 0 or second.border_n[0] == 250


async def test_the_offset_of_the_store_is_the_one_that_readings_are_stamped_with(tmp_path: Path) -> None:
    clock = ManualClock()
    store = opened(tmp_path, clock)
    consumer = store.consumer("cloud")
    shared = block(store, 1)
    seen: list[int] = []

    async def stored() -> None:
        store.append(batch(shared, [1], ts=clock.wall_ms()))
        seen.append(store.offset)
        await store.commit()

    await stored()
    for drift_s in (0.04, 0.04, 0.04, 100):  # a slow correction adds up, then a step
        clock.step_wall(drift_s)
        store.observe_clock()
        await stored()
    assert [segment.offset for segment in everything(consumer)] == seen
    assert [offset - seen[0] for offset in seen] == [0, 0, 0, 120, 100_120]
    events: list[dict[str, Any]] = [row for segment in everything(consumer, "event") for row in segment.rows]
    assert [row["kind"] for row in events] == ["clock"]  # a slow correction tells nobody
    await store.close()
