"""Confirmations, failures and deadlines, as the units hand them to slotctl; systemd's part is said by the test."""

import io
import json

import pytest

from slots.commands import LEAVE, Slots
from tests.support.slots import HandClock, SlotBox

OLD, NEW = "1.1.0-aaaaaaaaaaaa", "1.2.0-bbbbbbbbbbbb"
PID = 4242


class Machine(SlotBox):
    """A machine on which NEW was started for the first time."""

    def __init__(self, root):
        super().__init__(root)
        self.clock, self.restarts = HandClock(), 0
        self.make(OLD)
        self.make(NEW)
        self.asked: bool | None = None
        self.forgotten = 0
        self.slots = Slots(
            self.places, self.clock, main_pid=lambda: PID, restart=self._restarted, asked=lambda: self.asked,
            forget_starts=self._forget,
        )  # fmt: skip
        self.slots.adopt(OLD)
        self.slots.boot()

    def _restarted(self):
        self.restarts += 1
        return ""

    def _forget(self):
        self.forgotten += 1

    def says(self, text):
        self.places.confirm.parent.mkdir(parents=True, exist_ok=True)
        self.places.confirm.write_text(text if isinstance(text, str) else json.dumps(text))
        return self.slots.confirm()

    @property
    def now(self):
        return self.loaded().state


@pytest.fixture
def machine(tmp_path, monkeypatch):
    for name in ("SERVICE_RESULT", "MONITOR_EXIT_STATUS"):
        monkeypatch.delenv(name, raising=False)
    return Machine(tmp_path)


@pytest.fixture
def trial(machine, monkeypatch):
    ask(monkeypatch, {"slot": NEW, "job": "j1", "tries": 3, "confirm_s": 600})
    assert machine.slots.trial() == 0
    assert machine.slots.boot() == 0
    return machine


def ask(monkeypatch, asked):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(asked).encode())))


def test_a_confirmation_by_the_chosen_process_counts_once(trial):
    assert trial.says({"slot": NEW, "pid": PID, "gates": {"uplink": "up"}}) == 0
    assert (trial.now.good, trial.now.prev, trial.now.phase) == (NEW, OLD, "PROBATION")
    assert trial.now.result["gates"] == {"uplink": "up"}
    before = trial.now.seq
    assert trial.says({"slot": NEW, "pid": PID, "gates": {}}) == 0
    assert trial.now.seq == before
    assert trial.slots.confirm() == 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"slot": NEW, "pid": PID + 1}, "by process 4243, the gateway is 4242"),
        ({"slot": OLD, "pid": PID}, f"a confirmation of {OLD}, chosen was {NEW}"),
        ({"slot": "../x", "pid": PID}, "a confirmation of ../x"),
        ({"slot": ["x"], "pid": PID}, "a confirmation of"),
        ({"pid": PID}, "cannot be read"),
        ([], "cannot be read"),
        ("{", "cannot be read"),
        ("", "cannot be read"),
        ("9" * 70_000, "cannot be read"),
    ],
)
def test_any_other_confirmation_is_ignored_and_told(trial, capsys, said, words):
    assert trial.says(said) == 1
    assert words in capsys.readouterr().err
    assert trial.now.phase == "TRIAL"
    (row,) = trial.now.refused
    assert (row["n"], words in row["text"]) == (1, True)


def test_refused_confirmations_are_numbered_and_the_last_few_are_kept(trial, monkeypatch):
    now = 1_800_000_000
    monkeypatch.setattr(trial.clock, "wall_s", lambda: now)
    for pid in range(12):
        assert trial.says({"slot": NEW, "pid": pid}) == 1
    assert [row["n"] for row in trial.now.refused] == [5, 6, 7, 8, 9, 10, 11, 12]
    before = trial.now.seq
    assert trial.says({"slot": NEW, "pid": 11}) == 1
    assert trial.now.seq == before, "the same words again wear out no disk"
    now += 60
    assert trial.says({"slot": NEW, "pid": 11}) == 1
    assert (trial.now.refused[-1]["n"], trial.now.refused[-1]["at"]) == (13, now)


def test_words_of_a_refused_confirmation_are_one_short_line(trial):
    trial.says({"slot": "x\n" * 500, "pid": PID})
    (row,) = trial.now.refused
    assert row["text"] == f"a confirmation of {'x?' * 50}, chosen was {NEW}"


def test_a_confirmation_that_is_a_link_is_not_followed(trial):
    real = trial.root / "real"
    real.write_text(json.dumps({"slot": NEW, "pid": PID}))
    trial.places.confirm.parent.mkdir(parents=True)
    trial.places.confirm.symlink_to(real)
    assert trial.slots.confirm() == 1
    assert trial.now.phase == "TRIAL"


def test_a_version_that_runs_but_never_confirms_is_taken_back_and_restarted(trial):
    trial.clock.now += 599
    trial.slots.check()
    assert (trial.now.phase, trial.restarts) == ("TRIAL", 0)
    trial.clock.now += 1
    trial.slots.check()
    assert (trial.now.result["reason"], trial.now.bad, trial.restarts) == ("deadline", [NEW], 1)
    trial.slots.boot()
    assert trial.selected["slot"] == OLD


def test_a_trial_that_was_never_started_is_not_the_slots_fault(machine, monkeypatch):
    ask(monkeypatch, {"slot": NEW, "confirm_s": 60})
    machine.slots.trial()
    machine.clock.now += 60
    machine.slots.check()
    assert (machine.now.result["reason"], machine.now.bad, machine.restarts) == ("deadline", [], 0)


def test_a_crash_loop_after_the_confirmation_brings_the_version_before(trial):
    trial.says({"slot": NEW, "pid": PID})
    assert trial.slots.onfailure() == 0
    assert (trial.now.good, trial.now.bad, trial.now.result["outcome"]) == (OLD, [NEW], "ROLLED_BACK")
    assert trial.now.result["job"] == "j1"


def test_failing_for_good_ends_a_trial(trial):
    assert trial.slots.onfailure() == 0
    assert (trial.now.phase, trial.now.good, trial.now.bad) == ("IDLE", OLD, [NEW])


def test_a_version_that_always_ran_is_started_again_whatever_happens(machine):
    before = machine.now.seq
    assert machine.slots.onfailure() == 0
    assert (machine.now.good, machine.now.seq) == (OLD, before)


def test_a_configuration_with_errors_is_left_for_people(machine, monkeypatch):
    monkeypatch.setenv("MONITOR_EXIT_STATUS", "78")
    assert machine.slots.onfailure() == LEAVE


def test_unclean_ends_in_probation_are_counted_over_time(trial, monkeypatch):
    trial.says({"slot": NEW, "pid": PID})
    monkeypatch.setenv("SERVICE_RESULT", "watchdog")
    for _ in range(5):
        assert trial.now.good == NEW
        trial.slots.stopped()
        trial.clock.now += 180
    assert trial.now.good == OLD


def test_a_clean_end_that_nobody_asked_for_speaks_neither_for_nor_against_a_release(trial, monkeypatch):
    monkeypatch.setenv("SERVICE_RESULT", "success")
    trial.asked = False
    left = trial.now.trial.tries_left
    trial.slots.stopped()
    assert trial.now.trial.tries_left == left
    trial.says({"slot": NEW, "pid": PID})
    for _ in range(6):
        trial.slots.stopped()
    assert trial.now.phase == "PROBATION"
    assert trial.forgotten == 0
    trial.asked = True
    for _ in range(3):
        trial.slots.stopped()
    assert trial.now.phase == "IDLE"
    assert trial.forgotten == 3, "the start limit does not count what was asked for"


def test_a_probation_that_lasts_raises_the_floors_and_their_copy(machine, monkeypatch):
    third = "1.3.0-cccccccccccc"
    machine.make(third, rollback_index=7)
    machine.slots.adopt(third)
    assert machine.now.phase == "PROBATION"
    machine.clock.now += 86400
    machine.slots.check()
    assert machine.now.phase == "IDLE"
    assert json.loads(machine.places.floors.read_text())["rollback_index"] == 7


def test_an_administrator_may_go_back(trial):
    trial.says({"slot": NEW, "pid": PID})
    assert trial.slots.rollback() == 0
    assert (trial.now.good, trial.now.bad, trial.restarts) == (OLD, [], 1)
    assert trial.now.result["reason"] == "operator"


def test_a_slot_that_is_installed_by_hand_must_be_whole(machine):
    folder = machine.make("1.3.0-cccccccccccc")
    next(folder.rglob("gateway.py")).write_text("print('other')")
    with pytest.raises(Exception, match="is not what was staged"):
        machine.slots.adopt(folder.name)
    assert machine.slots.seal(folder.name) == 0
    assert machine.slots.adopt(folder.name) == 0
    assert machine.now.good == folder.name


def test_a_job_that_never_came_to_a_trial_is_kept(machine, monkeypatch):
    ask(monkeypatch, {"job": "j9", "outcome": "FAILED", "reason": "platform"})
    assert machine.slots.result() == 0
    assert machine.now.job("j9")["reason"] == "platform"
