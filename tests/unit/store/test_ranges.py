from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.store import ranges

RANGE = st.tuples(st.integers(1, 300), st.integers(0, 20)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def _build(pairs: list[tuple[int, int]]) -> ranges.Ranges:
    built: ranges.Ranges = ()
    for low, high in pairs:
        built = ranges.add(built, low, high)
    return built


def _set(pairs: ranges.Ranges | list[tuple[int, int]]) -> set[int]:
    return {n for low, high in pairs for n in range(low, high + 1)}


@given(st.lists(RANGE, max_size=30), st.lists(RANGE, max_size=30), st.integers(1, 330))
def test_ranges_behave_like_sets(left: list[tuple[int, int]], right: list[tuple[int, int]], at: int) -> None:
    a, b = _build(left), _build(right)
    assert _set(a) == _set(left)
    assert all(high + 1 < low for (_, high), (low, _) in itertools.pairwise(a))
    assert _set(ranges.intersect(a, b)) == _set(left) & _set(right)
    assert _set(ranges.missing(a, 50, 150)) == set(range(50, 151)) - _set(left)
    following = ranges.next_missing(a, at)
    assert following not in _set(left)
    assert set(range(at, following)) <= _set(left)
    present = ranges.next_present(a, at)
    assert present == min((n for n in _set(left) if n >= at), default=None)


def test_j10_a_cursor_forgets_its_shortest_range_rather_than_grow_to_64() -> None:
    many = tuple((10 * i, 10 * i + (0 if i == 7 else 3)) for i in range(1, 65))
    kept = ranges.bounded(many)
    assert len(kept) == 63
    assert (70, 70) not in kept
