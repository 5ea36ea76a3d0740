"""The oracle is worth its name: windows with a planted defect do not pass."""

from __future__ import annotations

import random

import pytest

from rules.values import Instant, NoValue
from rules.windows import hopping as hopping_module
from rules.windows.extreme import Extreme
from rules.windows.hopping import Hopping
from rules.windows.moments import Moments
from rules.windows.samples import Samples
from rules.windows.sliding import Sliding
from rules.windows.track import Track
from tests.unit.rules.test_windows_oracle import same
from tests.unit.rules.window_oracle import HoppingOracle, SamplesOracle, SlidingOracle, instant

SIZE, HOP, LATENESS = 100, 50, 20
SINCE = 1000


class OneMillisecondWider(Sliding):
    def _advance(self, at):
        now = super()._advance(at)
        self._track.move(now - self._size - 1, now - self._size - 1, now)
        return now


class ForgetsWhatHolds(Track):
    """The value from before the start is dropped."""

    def move(self, start, edge, end):
        super().move(start, edge, end)
        if self._out and len(self) > 1:
            self._drop_oldest()


class FillsGaps(Sliding):
    def add(self, event_at, value, good, now):
        if good:
            super().add(event_at, value, good, now)
        else:
            self.move(now)


class LateIsNewest(Sliding):
    def add(self, event_at, value, good, now):
        super().add(max(event_at, self._newest or event_at), value, good, now)


class NoLateReadings(Sliding):
    def add(self, event_at, value, good, now):
        if self._newest is None or event_at >= self._newest:
            super().add(event_at, value, good, now)
        else:
            self.move(now)


class KeepsOldExtremes(Extreme):
    def evict(self, before):
        pass


class FloatSums(Moments):
    """Sums as floats are commonly kept: what was large leaves its rounding behind."""

    def add(self, number, weight):
        self.weight += weight
        self.first = float(self.first) + float(number) * weight

    def mean(self):
        return self.first / self.weight

    def copy(self):
        return FloatSums(0, self.weight, self.first)


class DeafToTheClock(Hopping):
    def _advance(self, now):
        return super()._advance(Instant(now.at, now.at))


class BoundaryInside(Hopping):
    """The reading at the boundary belongs to the hop that ends there."""

    def _enter(self, at, value):
        return super()._enter(at - 1 if at == self._closed else at, value)


class RestartsOnTheOldClock(Sliding):
    def restore(self, state, shift):
        super().restore(state, 0)


class ToldByTheFirstReading(Sliding):
    """It does not wait until it has been watched."""

    @property
    def _is_full(self):
        return self._now is not None


class ToldByHalf(Sliding):
    @property
    def _is_full(self):
        return self._now is not None and self._now - self._size // 2 >= self.since


class ToldByAPartOfAHop(Hopping):
    """The first hop after the start counts, however little of it was seen."""

    def _close(self):
        since, self.since = self.since, self.since - self._size
        super()._close()
        self.since = since


class ToldByTheFirstSample(Samples):
    def _require_all(self):
        if not self.count():
            raise NoValue


class OneTooMany(Samples):
    def __init__(self, size, lateness):
        super().__init__(size + 1, lateness)


def sliding(kind=Sliding):
    return kind(SIZE, SINCE, LATENESS), SlidingOracle(SIZE, LATENESS, SINCE)


def hopping(kind=Hopping):
    return kind(SIZE, HOP, SINCE, LATENESS), HoppingOracle(SIZE, HOP, LATENESS, SINCE)


def follow(window, oracle, seed):
    """A stream with everything in it; the restart at its middle, and twice a time that nobody watched."""
    chance = random.Random(seed)
    at, offset, shift = SINCE, 0, 0
    for n in range(200):
        at += chance.choice([0, 1, 3, 10, 40, 150])
        offset += chance.choice([0] * 20 + [777, -5_020])
        event_at = at - chance.choice([0, 0, 0, 5, 15, 30])
        value, good = chance.choice([0.1, 3, 1e17, -2, True]), chance.random() < 0.85
        window.add(event_at + shift, value, good, instant(at + shift, offset - shift))
        oracle.add(event_at, value, good, instant(at, offset))
        same(window, oracle)
        if n in {50, 150}:
            oracle.since = at
            window.watched_since(at + shift)
        if n == 100:
            state, shift = window.state(), shift - 900
            window.restore(state, -900)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("make", [sliding, hopping, lambda: (Samples(5, LATENESS), SamplesOracle(5, LATENESS))])
def test_windows_without_a_defect_pass(make, seed):
    follow(*make(), seed)


@pytest.mark.parametrize(
    "kind",
    [
        OneMillisecondWider,
        FillsGaps,
        LateIsNewest,
        NoLateReadings,
        RestartsOnTheOldClock,
        ToldByTheFirstReading,
        ToldByHalf,
    ],
    ids=lambda k: k.__name__,
)
def test_the_oracle_catches_a_sliding_window_with(kind):
    with pytest.raises(AssertionError):
        follow(*sliding(kind), seed=1)


@pytest.mark.parametrize("kind", [DeafToTheClock, BoundaryInside, ToldByAPartOfAHop], ids=lambda k: k.__name__)
def test_the_oracle_catches_a_hopping_window_with(kind):
    with pytest.raises(AssertionError):
        follow(*hopping(kind), seed=1)


@pytest.mark.parametrize("kind", [OneTooMany, ToldByTheFirstSample], ids=lambda k: k.__name__)
def test_the_oracle_catches_a_window_of_samples_with(kind):
    with pytest.raises(AssertionError):
        follow(kind(5, LATENESS), SamplesOracle(5, LATENESS), seed=1)


def test_the_oracle_catches_a_held_value_that_is_forgotten():
    window, oracle = sliding()
    window._track = ForgetsWhatHolds(SIZE)
    with pytest.raises(AssertionError):
        follow(window, oracle, seed=1)


@pytest.mark.parametrize(("name", "kind"), [("Extreme", KeepsOldExtremes), ("Moments", FloatSums)])
def test_the_oracle_catches_a_part_that_is_wrong(monkeypatch, name, kind):
    monkeypatch.setattr("rules.windows.track." + name, kind)
    with pytest.raises(AssertionError):
        follow(*sliding(), seed=1)


def test_the_oracle_catches_a_clock_step_that_is_taken_for_jitter(monkeypatch):
    monkeypatch.setattr(hopping_module, "STEP_MS", 10**9)
    with pytest.raises(AssertionError):
        follow(*hopping(), seed=1)
