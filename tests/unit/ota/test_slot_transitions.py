"""What may happen to the state of the slots, on a clock set by hand."""

import pytest

from slots import transitions as change
from slots.state import State
from slots.transitions import Refused
from tests.support.slots import HandClock


@pytest.fixture
def clock():
    return HandClock()


def _tried(clock, **asked):
    state = State(good="1.1-a", prev="1.0-a")
    change.begin_trial(state, {"slot": "1.2-b", "job": "j", "tries": 3, "confirm_s": 600, **asked}, clock)
    return state


def _confirmed(clock, **asked):
    state = _tried(clock, **asked)
    change.confirm(state, clock, {"uplink": "up"})
    return state


def test_the_deadline_is_of_one_boot_and_starts_afresh_at_the_next(clock):
    trial = _tried(clock).trial
    clock.now += 599
    assert not change.is_late(trial, clock)
    clock.now += 1
    assert change.is_late(trial, clock)
    clock.now, clock.boot = 20, "boot-2"
    assert not change.is_late(trial, clock)
    change.new_boot(trial, clock)
    assert trial.deadline_s == 620
    clock.now = 620
    assert change.is_late(trial, clock)


def test_a_deadline_that_is_too_far_away_is_of_another_boot(clock):
    trial = _tried(clock).trial
    clock.now = 30
    change.new_boot(trial, clock)
    assert trial.deadline_s == 630


def test_one_trial_at_a_time_and_only_of_a_slot_that_neither_runs_nor_failed(clock):
    state = _tried(clock)
    with pytest.raises(Refused, match="is being tried"):
        change.begin_trial(state, {"slot": "1.3-c"}, clock)
    change.end_trial(state, "tries", "text", clock)
    with pytest.raises(Refused, match="was tried and failed"):
        change.begin_trial(state, {"slot": "1.2-b"}, clock)
    with pytest.raises(Refused, match="runs already"):
        change.begin_trial(state, {"slot": "1.1-a"}, clock)
    with pytest.raises(Refused, match="no slot to go back to"):
        change.begin_trial(State(), {"slot": "1.1-a"}, clock)


def test_a_trial_that_was_taken_back_by_hand_may_be_tried_again(clock):
    state = _tried(clock)
    change.end_trial(state, "operator", "by hand", clock, blame=False)
    change.begin_trial(state, {"slot": "1.2-b"}, clock)
    assert state.phase == "TRIAL"


def test_a_clean_end_gives_the_start_back_but_not_for_ever(clock):
    trial = (state := _tried(clock)).trial
    starts = 0
    while trial.tries_left:
        trial.tries_left -= 1
        starts += 1
        change.count_end(state, "1.2-b", clean=True, clock=clock)
    assert starts == 6


def test_the_end_of_the_old_version_is_no_end_of_the_tried_one(clock):
    state = _tried(clock)
    assert not change.count_end(state, "1.1-a", clean=True, clock=clock)
    assert state.trial.tries_left == 3


def test_probation_ends_after_a_day_of_one_boot_and_raises_the_rollback_index(clock):
    state = _confirmed(clock, rollback_index=5)
    clock.now += change.PROBATION_S - 1
    assert not change.watch_probation(state, clock)
    clock.now, clock.boot = 50, "boot-2"
    assert change.watch_probation(state, clock), "the time of a boot counts from its start"
    clock.now += change.PROBATION_S - 1
    assert not change.watch_probation(state, clock)
    assert state.floors.get("rollback_index", 0) == 0
    clock.now += 1
    assert change.watch_probation(state, clock)
    assert (state.phase, state.floors["rollback_index"], state.prev) == ("IDLE", 5, "1.1-a")


def test_probation_ends_after_three_clean_ends(clock):
    state = _confirmed(clock, rollback_index=5)
    for _ in range(3):
        assert state.phase == "PROBATION"
        change.count_end(state, "1.2-b", clean=True, clock=clock)
    assert (state.phase, state.floors["rollback_index"]) == ("IDLE", 5)


def test_a_version_that_keeps_ending_in_its_probation_is_taken_back(clock):
    state = _confirmed(clock)
    for _ in range(change.UNCLEAN_ENDS):
        assert state.good == "1.2-b"
        change.count_end(state, "1.2-b", clean=False, clock=clock)
    assert (state.good, state.prev, state.bad, state.phase) == ("1.1-a", "1.2-b", ["1.2-b"], "IDLE")
    assert (state.result["job"], state.result["reason"]) == ("j", "unclean")


def test_a_version_that_was_taken_back_is_nothing_to_fall_back_to(clock):
    state = _confirmed(clock)
    change.fall_back(state, "failed", "text", clock)
    with pytest.raises(Refused, match="no slot before"):
        change.fall_back(state, "failed", "text", clock)


def test_a_release_that_was_tried_during_a_probation_leaves_it_as_it_was(clock):
    state = _confirmed(clock)
    change.begin_trial(state, {"slot": "1.3-c"}, clock)
    assert state.phase == "TRIAL"
    change.end_trial(state, "tries", "text", clock)
    assert (state.phase, state.good) == ("PROBATION", "1.2-b")


def test_floors_rise_only():
    state = State(floors={"root": 3, "snapshot": 9})
    assert state.raise_floors({"root": 2, "snapshot": 10})
    assert (state.floors["root"], state.floors["snapshot"]) == (3, 10)
    assert not state.raise_floors({"snapshot": 10})


def test_the_lists_of_jobs_and_of_bad_slots_are_bounded(clock):
    state = State(good="1.1-a", prev="1.0-a")
    for number in range(100):
        state.finish({"job": f"j{number}", "outcome": "FAILED"})
        state.blame(f"slot-{number}")
    assert (len(state.last_jobs), len(state.bad)) == (64, 16)
    assert state.job("j99") == {"job": "j99", "outcome": "FAILED"}
    assert state.job("j0") is None
    state.finish({"job": "j99", "outcome": "SUCCEEDED"})
    assert state.job("j99")["outcome"] == "SUCCEEDED"
    assert len(state.last_jobs) == 64
