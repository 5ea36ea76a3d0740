"""slotctl as a process: killed at every point, with torn files and missing slots, there is always one that starts."""

import json
import signal
import subprocess
import sys

import pytest

from slots import manifest
from slots.clock import Clock
from slots.disk import locked
from tests.support.slots import PYTHON, SLOT_EXEC, SLOTCTL, SlotBox

STATE = ("state-begin", "state-tmp", "state-bak", "state-rename", "state-done")
OLD, NEW = "1.1.0-aaaaaaaaaaaa", "1.2.0-bbbbbbbbbbbb"


@pytest.fixture
def box(tmp_path):
    """A machine on which OLD runs and NEW is staged."""
    made = SlotBox(tmp_path)
    made.make(OLD)
    made.make(NEW, rollback_index=4)
    assert made.run("adopt", OLD) == 0, made.output
    assert made.run("boot") == 0, made.output
    return made


def _try(box, slot=NEW, **more):
    return box.run("trial", asked={"slot": slot, "job": "j1", "tries": 3, "confirm_s": 600, **more})


def _forget_the_boot(box):
    """What a reboot leaves: /run is empty."""
    for path in (box.places.selected, box.places.boot, box.places.watch):
        path.unlink(missing_ok=True)


def test_a_tried_version_that_never_confirms_is_given_up_after_its_starts(box):
    assert _try(box) == 0, box.output
    for left in (2, 1, 0):
        assert box.run("boot") == 0
        assert box.selected["slot"] == NEW
        assert box.loaded().state.trial.tries_left == left
        assert box.run("stopped", env={"SERVICE_RESULT": "exit-code"}) == 0
    assert box.run("boot") == 0
    state = box.loaded().state
    assert box.selected["slot"] == OLD
    assert (state.phase, state.good, state.bad) == ("IDLE", OLD, [NEW])
    assert (state.result["outcome"], state.result["reason"], state.result["job"]) == ("ROLLED_BACK", "tries", "j1")
    assert _try(box, job="j2") == 1
    assert "was tried and failed" in box.output


@pytest.mark.parametrize("point", STATE)
def test_a_kill_while_a_trial_is_written_leaves_the_old_version_or_a_counted_trial(box, point):
    assert box.run("trial", asked={"slot": NEW, "job": "j1"}, kill_at=f"trial.{point}") == -signal.SIGKILL
    committed = point in {"state-rename", "state-done"}
    assert box.loaded().state.phase == ("TRIAL" if committed else "IDLE")
    _forget_the_boot(box)
    assert box.run("boot") == 0, box.output
    assert box.selected["slot"] == (NEW if committed else OLD)
    assert box.run("trial", asked={"slot": NEW, "job": "j1"}) == 0, "redelivery reaches the new version"
    assert box.run("boot") == 0
    assert box.selected["slot"] == NEW


BOOT = ("begin", "read", *STATE, "before-selected", "selected")


@pytest.mark.parametrize("point", BOOT)
def test_a_kill_while_a_slot_is_chosen_costs_at_most_one_attempt(box, point):
    assert _try(box) == 0
    assert box.run("boot", kill_at=f"boot.{point}") == -signal.SIGKILL
    _forget_the_boot(box)
    assert box.run("boot") == 0, box.output
    assert box.selected["slot"] == NEW
    counted = point in BOOT[BOOT.index("state-rename") :]
    assert box.loaded().state.trial.tries_left == (1 if counted else 2)
    assert box.places.current.resolve() == box.places.slot(NEW).resolve()


@pytest.mark.parametrize("point", ["begin", "marked", *STATE])
def test_a_kill_while_it_is_confirmed_is_made_good_by_the_next_confirmation(box, point):
    assert _try(box) == 0
    assert box.run("boot") == 0
    assert box.run("keep", kill_at=f"confirm.{point}") == -signal.SIGKILL
    _forget_the_boot(box)
    assert box.run("boot") == 0, box.output
    assert box.selected["slot"] == NEW
    if box.loaded().state.trial is not None:
        assert box.run("keep") == 0, box.output
    state = box.loaded().state
    assert (state.good, state.prev, state.phase) == (NEW, OLD, "PROBATION")
    assert state.result["outcome"] == "SUCCEEDED"


@pytest.mark.parametrize("point", STATE)
@pytest.mark.parametrize("reason", ["rollback", "onfailure"])
def test_a_kill_while_going_back_leaves_a_version_that_starts(box, point, reason):
    assert _try(box) == 0
    assert box.run("boot") == 0
    assert box.run("keep") == 0
    assert box.run(reason, kill_at=f"{reason}.{point}") == -signal.SIGKILL
    _forget_the_boot(box)
    assert box.run("boot") == 0, box.output
    done = point in {"state-rename", "state-done"}
    assert box.selected["slot"] == (OLD if done else NEW)
    assert box.loaded().source == "state"


def test_a_torn_state_is_taken_from_its_copy_and_healed(box):
    assert _try(box) == 0
    path = box.places.state
    path.write_bytes(path.read_bytes()[:200])
    _forget_the_boot(box)
    assert box.run("boot") == 0
    assert "state from backup" in box.output
    assert box.selected["slot"] == OLD
    assert box.loaded().source == "state"


def test_without_both_states_the_slot_that_was_confirmed_last_starts_and_floors_hold(box):
    assert box.run("floors", asked={"snapshot": 7, "time": 1_790_000_000}) == 0
    assert _try(box) == 0
    assert box.run("boot") == 0
    assert box.run("keep") == 0
    box.make("9.9.9-cccccccccccc")
    for name in ("state.json", "state.json.bak"):
        (box.places.state.parent / name).unlink()
    _forget_the_boot(box)
    assert box.run("boot") == 0, box.output
    assert box.selected["slot"] == NEW, "a slot that was never confirmed is not chosen"
    state = box.loaded().state
    assert state.floors["snapshot"] == 7
    assert state.floors["time"] == 1_790_000_000


def test_a_machine_without_any_slot_says_so(tmp_path):
    made = SlotBox(tmp_path)
    assert made.run("boot") == 1
    assert "state.json is missing" in made.output
    assert "Traceback" not in made.output


def test_the_link_for_people_is_made_again(box):
    box.places.current.unlink()
    assert box.run("boot") == 0
    assert box.places.current.resolve() == box.places.slot(OLD).resolve()


def _remove(folder):
    folder.rename(folder.with_name(".gone"))


def _cut_mark(folder):
    mark = folder / manifest.MARK
    mark.write_bytes(mark.read_bytes()[:-4])


def _zero_a_file(folder):
    path = next(folder.rglob("gateway.py"))
    path.write_bytes(bytes(path.stat().st_size))


def _break_python(folder):
    (folder / "venv/bin/python3").unlink()
    (folder / "venv/bin/python3").symlink_to("/usr/bin/python3.4")


def _other_python(folder):
    library = next(folder.glob("venv/lib/python*"))
    library.rename(library.with_name("python3.4"))
    (folder / manifest.MARK).write_bytes(manifest.describe(folder))


@pytest.mark.parametrize("harm", [_remove, _cut_mark, _zero_a_file, _break_python, _other_python])
def test_a_tried_slot_that_is_not_what_was_staged_is_never_started(box, harm):
    assert _try(box) == 0
    harm(box.places.slot(NEW))
    assert box.run("boot") == 0
    state = box.loaded().state
    assert box.selected["slot"] == OLD
    assert (state.result["outcome"], state.bad) == ("ROLLED_BACK", []), "staged again it may be whole"
    assert state.result["reason"] in {"damaged", "interpreter"}


@pytest.mark.parametrize("harm", [_remove, _cut_mark, _break_python])
def test_a_good_slot_that_cannot_start_makes_room_for_the_one_before(box, harm):
    assert _try(box) == 0
    assert box.run("boot") == 0
    assert box.run("keep") == 0
    harm(box.places.slot(NEW))
    assert box.run("boot") == 0, box.output
    assert box.selected["slot"] == OLD
    assert box.loaded().state.good == OLD


def test_a_slot_is_not_tried_when_it_is_incomplete(box):
    _cut_mark(box.places.slot(NEW))
    assert _try(box) == 1
    assert "cut short" in box.output
    assert box.loaded().state.phase == "IDLE"


@pytest.mark.parametrize("name", ["../../etc", ".tmp-x", "", "a/b"])
def test_names_that_are_no_slots_are_refused(box, name):
    assert _try(box, slot=name) == 1
    assert "is no name of a slot" in box.output


def test_slot_exec_becomes_the_chosen_python(box):
    argv = [
        str(PYTHON),
        "-I",
        "-S",
        str(SLOT_EXEC),
        "--root",
        str(box.root),
        "-I",
        "-c",
        "import sys; print(sys.prefix)",
    ]
    run = lambda: subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout.strip()  # noqa: E731
    assert run() == str(box.places.slot(OLD) / "venv")
    assert _try(box) == 0
    assert run() == str(box.places.slot(OLD) / "venv"), "chosen at a start, not in between"
    assert box.run("boot") == 0
    assert run() == str(box.places.slot(NEW) / "venv")
    _forget_the_boot(box)
    assert run() == str(box.places.slot(OLD) / "venv"), "nothing was chosen yet: the good one"


def test_what_nobody_needs_is_collected(box):
    kept, unneeded = "a" * 64, "b" * 64
    box.make("1.0.0-dddddddddddd")
    third = box.make("1.3.0-eeeeeeeeeeee", wheels=(kept,))
    (box.places.releases / ".tmp-1.4.0").mkdir()
    for sha in (kept, unneeded):
        (box.places.wheels / f"{sha}.whl").write_text("x")
    assert _try(box) == 0
    assert box.run("boot") == 0
    assert box.run("keep") == 0
    assert _try(box, slot=third.name, job="j2") == 0
    assert box.run("gc") == 0, box.output
    assert {path.name for path in box.places.releases.iterdir()} == {OLD, NEW, third.name}
    assert [path.name for path in box.places.wheels.iterdir()] == [f"{kept}.whl"]


def test_what_installers_of_before_left_is_collected_once_a_slot_is_good(box):
    old = box.places.releases / "20260301-101500-4711"
    (old / "bin").mkdir(parents=True)
    (old / "bin/python").symlink_to("/usr/bin/python3")
    assert box.run("gc") == 0, box.output
    assert not old.exists()
    assert box.places.slot(OLD).is_dir()
    assert f"removed {old.name}" in box.output


def test_nothing_is_collected_where_nobody_knows_what_is_good(tmp_path):
    bare = SlotBox(tmp_path)
    old = bare.places.releases / "20260301-101500-4711"
    old.mkdir()
    assert bare.run("gc") == 0, bare.output
    assert old.is_dir()


def test_an_update_that_is_being_staged_is_not_collected(box):
    left = box.places.releases / ".tmp-1.4.0"
    left.mkdir()
    with locked(box.places.updating, 0) as alone:
        assert alone
        assert box.run("gc") == 1
    assert left.is_dir()


def test_the_units_command_line_is_a_program_of_its_own(box):
    argv = [str(PYTHON), "-I", "-S", str(SLOTCTL), "--root", str(box.root), "status"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
    shown = json.loads(done.stdout)
    assert (shown["phase"], shown["good"], shown["selected"], shown["source"]) == ("IDLE", OLD, OLD, "state")


def test_somebody_looks_each_minute_only_while_a_release_is_new(box):
    assert not box.places.watch.exists()
    assert _try(box) == 0
    assert box.places.watch.exists()
    _forget_the_boot(box)
    assert box.run("boot") == 0
    assert box.places.watch.exists()
    assert box.run("keep") == 0
    assert box.places.watch.exists(), "it is on probation"
    for _ in range(3):
        assert box.run("stopped", env={"SERVICE_RESULT": "success"}) == 0
    assert box.loaded().state.phase == "IDLE"
    assert not box.places.watch.exists()


def test_the_boot_is_the_same_until_run_is_empty(box):
    first = Clock(box.places).boot_id()
    assert Clock(box.places).boot_id() == first
    _forget_the_boot(box)
    assert Clock(box.places).boot_id() != first


def test_wrong_words_show_the_usage(box):
    assert box.run("explode") == 2
    assert box.run("adopt") == 2
    assert "usage: slotctl" in box.output


def test_nothing_of_it_needs_more_than_the_standard_library(box):
    """Run as the units run it: isolated and without site-packages. What it loads is then the standard library's."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import slots.commands;"
        "print([n for n in sys.modules if n.split('.')[0] not in {*sys.stdlib_module_names, 'slots', '__main__'}])"
    )
    argv = [sys.executable, "-I", "-S", "-c", script, str(SLOT_EXEC.parent)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
