from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Batch, Block, Quality, Tag, TagSpec, ValueType
from gateway.store.packing import TelemetryPacker, pack_entries, pack_entry
from gateway.store.segments import MAX_READINGS, Stamp, cut, read_header, read_segment

STAMP = Stamp("5f0c9a1e", 1_795_000_000_000, "s")

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=20),
    st.binary(max_size=20),
)


def _block(n: int, type_: ValueType = ValueType.STRING, aliases: list[int] | None = None) -> Block:
    aliases = aliases or list(range(1, n + 1))
    return Block(
        "dev", [Tag("dev", f"t{i}", i, alias, TagSpec(f"t{i}", type_, None)) for i, alias in enumerate(aliases)]
    )


def _stored(batches: list[Batch]) -> list[Any]:
    first = 1
    segments = []
    for packed, _ in TelemetryPacker(STAMP).pack(batches):
        segments.append(read_segment(packed.numbered(1_795_000_000, first, 3)))
        first += packed.n
    return segments


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.copysign(1, left) == math.copysign(1, right) and (
            left == right or (left != left and right != right)
        )
    return type(left) is type(right) and left == right


@given(st.lists(st.tuples(st.lists(VALUES, min_size=1, max_size=12), st.integers(0, 2**41)), min_size=1, max_size=20))
def test_j17_a_stored_segment_decodes_to_what_was_put_in(rows: list[tuple[list[Any], int]]) -> None:
    block = _block(12)
    batches = [Batch(block, values, ts, 1.0, index=list(range(len(values)))) for values, ts in rows]
    segments = _stored(batches)
    values = [value for segment in segments for value in segment.values]
    expected = [value for values, _ in rows for value in values]
    assert all(_same(a, b) for a, b in zip(values, expected, strict=True))
    times = [ts for s in segments for n, ts in zip(s.border_n, s.border_ts, strict=True) for _ in range(n)]
    assert times == [ts for values, ts in rows for _ in values]
    assert [s.n for s in segments] == [len(s.values) for s in segments]


def test_a_batch_of_several_thousand_values_is_cut_into_entries_and_segments() -> None:
    block = _block(5000, ValueType.FLOAT64)
    segments = _stored([Batch(block, [float(i) for i in range(5000)], 7, 1.0)])
    assert max(n for s in segments for n in s.border_n) == 250
    assert all(s.n <= MAX_READINGS for s in segments)
    assert [v for s in segments for v in s.values] == [float(i) for i in range(5000)]


def test_a_repeated_tag_begins_a_new_entry() -> None:
    block = _block(3, ValueType.FLOAT64, aliases=[5, 6, 5])
    (segment,) = _stored([Batch(block, [1.0, 2.0, 3.0], 7, 1.0)])
    assert segment.border_n == [2, 1]


def test_an_entry_with_long_texts_stays_below_16_kb() -> None:
    block = _block(10)
    (segment,) = _stored([Batch(block, ["x" * 3000] * 10, 7, 1.0)])
    assert all(n * 3000 <= 16_000 for n in segment.border_n)


def test_quality_is_kept_only_where_it_is_not_good() -> None:
    block = _block(3, ValueType.FLOAT64)
    batches = [
        Batch(block, [1.0, 2.0, 3.0], 1, 1.0),
        Batch(block, [1.0, None, 3.0], 2, 1.0, quality=[0, Quality.BAD_COMM, 0]),
    ]
    (segment,) = _stored(batches)
    assert segment.quality == {4: Quality.BAD_COMM}
    assert cut(segment, 4, 6, 10).quality == {1: Quality.BAD_COMM}


def test_a_value_that_cannot_be_stored_becomes_bad_and_its_neighbours_stay() -> None:
    block = _block(3, ValueType.UINT64)
    (segment,) = _stored([Batch(block, [1, 2**70, 3], 1, 1.0)])
    assert segment.values == [1, None, 3]
    assert segment.quality == {1: Quality.BAD}


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.data())
def test_j12_any_cut_gives_whole_entries(sizes: list[int], data: st.DataObject) -> None:
    block = _block(9, ValueType.UINT32)
    batches = [Batch(block, list(range(n)), i, 1.0, index=list(range(n))) for i, n in enumerate(sizes)]
    (segment,) = _stored(batches)
    first = data.draw(st.integers(1, segment.n))
    limit = data.draw(st.integers(1, 40))
    part = cut(segment, first, segment.last, limit)
    starts = {segment.first + sum(sizes[:i]) for i in range(len(sizes) + 1)}
    assert part.first in starts
    assert part.last + 1 in starts
    assert part.first <= first <= part.last
    assert part.n <= limit or len(part.border_n) == 1
    at = part.first - segment.first
    assert part.values == segment.values[at : at + part.n]


def test_entries_keep_their_own_n_and_get_consecutive_numbers() -> None:
    entries = [(pack_entry({"ts": 5, "kind": "a"}), 1, 5), (pack_entry({"ts": 6, "kind": "chattering", "n": 4}), 4, 6)]
    (packed,) = pack_entries("alarm", entries, 0, STAMP)
    segment = read_segment(packed.numbered(9, 17, 0))
    assert [(row["seq"], row.get("n", 1)) for row in segment.rows] == [(17, 1), (18, 4)]
    assert segment.last == 21
    assert cut(segment, 19, 21, 1).rows == segment.rows[1:]


def test_a_header_can_be_read_without_its_body() -> None:
    ((packed, _),) = TelemetryPacker(STAMP).pack([Batch(_block(2), ["a", "b"], 77, 2.5)])
    header = read_header(packed.numbered(9, 17, 4))
    assert (header.epoch, header.first, header.last, header.t0, header.dict_no) == (9, 17, 18, 77, 4)
    assert (header.mono, header.stamp) == (2500, STAMP)
