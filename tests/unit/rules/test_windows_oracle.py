"""The windows against their definition, on random streams: late readings, gaps, silences, bursts, clock steps, restarts."""

from __future__ import annotations

import math

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.windows import WindowSpec, make_window
from tests.unit.rules.window_oracle import HoppingOracle, SamplesOracle, SlidingOracle, figures, instant

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.1, -0.1, 1e300, -1e300, 5e-324, 1e16, 2**63, True, False, math.nan, math.inf, -math.inf, None]),
    st.floats(-1e6, 1e6),
)
TEXTS = st.sampled_from(["run", "stop", "", None])
SILENCES = st.sampled_from([0, 0, 0, 1, 1, 2, 7, 40, 100, 101, 250, 3000, 90_000])
DELAYS = st.sampled_from([0, 0, 0, 0, 1, 5, 30, 200, -5])  # a negative one: a reading from the future
WATCHED = st.sampled_from([0, 0, -1, -60, -100, -5000, 3])
"""What is said of when the watching began, against now; there is always somebody who began to watch before BEGIN."""
BEGIN = 1000
SINCE = st.sampled_from([BEGIN - 100_000, BEGIN - 100, BEGIN - 3, BEGIN, BEGIN + 200])
OFFSETS = st.sampled_from([0, 1, 499, 700, -700, 60_000, -3_600_000, 10**12, 10**12 + 12_345])


def streams(values=NUMBERS):
    reading = st.tuples(st.just("reading"), SILENCES, DELAYS, values, st.booleans() | st.just(True))
    time = st.tuples(st.just("time"), SILENCES | st.just(-50))
    step = st.tuples(st.just("step"), OFFSETS)
    restart = st.tuples(st.just("restart"), st.sampled_from([0, -100_000, 12_345]))
    watched = st.tuples(st.just("watched"), WATCHED)
    return st.lists(st.one_of(reading, reading, reading, time, step, restart, watched), min_size=5, max_size=40)


def through_a_file(state):
    return msgpack.unpackb(msgpack.packb(state), strict_map_key=False)


def run(stream, window, oracle, spec, check):
    """Both see the same; `shift` is what restarts have added to the boot clock since."""
    at, offset, shift = BEGIN, 0, 0
    for kind, *event in stream:
        if kind == "step":
            offset = event[0]
        elif kind == "restart":
            fresh = make_window(spec, at + shift, offset)
            fresh.restore(through_a_file(window.state()), event[0])
            window, shift = fresh, shift + event[0]
        elif kind == "watched":
            oracle.since = at + event[0]
            window.watched_since(oracle.since + shift)
        elif kind == "time":
            at += event[0]
            window.move(instant(at + shift, offset - shift))
            oracle.move(instant(at, offset))
        else:
            silence, delay, value, good = event
            at += silence
            window.add(at - delay + shift, value, good, instant(at + shift, offset - shift))
            oracle.add(at - delay, value, good, instant(at, offset))
        check(window, oracle)


def same(window, oracle):
    found, wanted = figures(window), oracle.figures()
    assert window.late == oracle.late
    for name, value in wanted.items():
        if name == "stddev" and value:
            assert math.isclose(found[name], value, rel_tol=1e-14), name
        else:
            assert found[name] == value, (name, found[name], value)


@settings(max_examples=200)
@given(streams(), st.sampled_from([1, 2, 100, 101, 5000]), st.sampled_from([0, 0, 5, 100, 10_000]), SINCE)
def test_a_sliding_window_is_what_its_definition_says(stream, size, lateness, since):
    spec = WindowSpec("a.b", size_ms=size, lateness_ms=lateness)
    run(stream, make_window(spec, since), SlidingOracle(size, lateness, since), spec, same)


@settings(max_examples=200)
@given(
    streams(),
    st.sampled_from([(100, 100), (100, 30), (10, 10), (5000, 1000), (2000, 2000), (90, 89)]),
    st.sampled_from([0, 0, 5, 100, 10_000]),
    SINCE,
)
def test_a_hopping_window_is_what_its_definition_says(stream, widths, lateness, since):
    size, hop = widths
    spec = WindowSpec("a.b", size_ms=size, hop_ms=hop, lateness_ms=lateness)
    run(stream, make_window(spec, since), HoppingOracle(size, hop, lateness, since), spec, same)


@settings(max_examples=200)
@given(streams(), st.sampled_from([1, 2, 3, 10]), st.sampled_from([0, 0, 5, 100]))
def test_a_window_of_samples_is_what_its_definition_says(stream, size, lateness):
    spec = WindowSpec("a.b", samples=size, lateness_ms=lateness)
    run(stream, make_window(spec, 0), SamplesOracle(size, lateness), spec, same)


@given(streams(TEXTS), st.sampled_from([0, 100]))
def test_texts_have_a_first_a_last_and_a_count(stream, lateness):
    for spec, oracle in (
        (WindowSpec("a.b", size_ms=100, lateness_ms=lateness), SlidingOracle(100, lateness, BEGIN)),
        (WindowSpec("a.b", size_ms=100, hop_ms=50, lateness_ms=lateness), HoppingOracle(100, 50, lateness, BEGIN)),
        (WindowSpec("a.b", samples=3, lateness_ms=lateness), SamplesOracle(3, lateness)),
    ):
        run(stream, make_window(spec, BEGIN), oracle, spec, same)


@given(streams(), st.sampled_from([0, 100]))
def test_a_settled_window_does_not_change_by_time_alone(stream, lateness):
    def stays(window, _):
        if not window.settled:
            return
        before, later = figures(window), make_window(spec, 0)
        later.restore(window.state(), 0)
        for ahead in (1, 17, 100, 1000, 100_000):
            now = 10**9 if later.due is None else later.due
            later.move(instant(now + ahead))
            assert figures(later) == before

    for spec, oracle in (
        (WindowSpec("a.b", size_ms=100, lateness_ms=lateness), SlidingOracle(100, lateness, BEGIN)),
        (WindowSpec("a.b", size_ms=100, hop_ms=50, lateness_ms=lateness), HoppingOracle(100, 50, lateness, BEGIN)),
        (WindowSpec("a.b", size_ms=100, hop_ms=100, lateness_ms=lateness), HoppingOracle(100, 100, lateness, BEGIN)),
    ):
        run(stream, make_window(spec, BEGIN), oracle, spec, stays)
