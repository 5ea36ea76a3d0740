"""Generations: complete before they are named, one pointer file, unconfirmed changes undone by a restart."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.settings.generations import MOST_BAD, GenerationError, Generations, Outcome, Trial

ONE = {"gateway.yaml": b"gateway: {id: a}\n", "channels/l.yaml": b"driver: toy\n"}
TWO = {"gateway.yaml": b"gateway: {id: b}\n"}
TRIAL = Trial(gates=("uplink:cloud",), window_s=300, hold_s=10, job="j1/1", rev=7, digest="d")


class Wall:
    """A wall clock moved by hand."""

    now = 1_795_000_000_000

    def __call__(self) -> int:
        return self.now


def active_number(generations: Generations) -> int | None:
    active = generations.active()
    return active.number if active else None


def test_a_generation_gives_back_exactly_what_was_stored(tmp_path: Path) -> None:
    generations = Generations(tmp_path, wall_ms=Wall())
    made = generations.create(ONE, note="first start", hash="00ff", source="/etc/fieldpost")
    assert (made.number, made.hash, made.time, made.note) == (1, "00ff", Wall.now, "first start")
    assert made.files() == ONE
    assert generations.active() is None
    generations.activate(made, confirm_within_s=None)
    assert Generations(tmp_path).active() == made


def test_numbers_only_grow(tmp_path: Path) -> None:
    generations = Generations(tmp_path, keep=3)
    for expected in range(1, 9):
        made = generations.create(ONE)
        generations.activate(made)
        assert made.number == expected
    assert [one.number for one in generations.list()] == [6, 7, 8]


def test_pruning_keeps_what_a_pending_change_would_go_back_to(tmp_path: Path) -> None:
    generations = Generations(tmp_path, keep=3)
    first = generations.create(ONE)
    generations.activate(first)
    for _ in range(6):
        generations.activate(generations.create(TWO), confirm_within_s=60)
    assert first.number in [one.number for one in generations.list()]
    assert generations.recover() == (7, 1)
    assert active_number(generations) == 1


def test_fl_45_an_unconfirmed_change_is_undone_by_a_restart_within_its_window(tmp_path: Path) -> None:
    generations = Generations(tmp_path, wall_ms=Wall())
    generations.activate(generations.create(ONE))
    generations.activate(generations.create(TWO), confirm_within_s=120)
    pending = generations.pending()
    assert pending is not None
    assert (pending.number, pending.previous, pending.deadline) == (2, 1, Wall.now + 120_000)
    restarted = Generations(tmp_path)
    assert restarted.recover() == (2, 1)
    assert active_number(restarted) == 1
    assert restarted.pending() is None
    assert restarted.recover() is None


def test_a_confirmed_change_stays_over_a_restart(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    generations.activate(generations.create(ONE))
    generations.activate(generations.create(TWO), confirm_within_s=120)
    generations.confirm()
    restarted = Generations(tmp_path)
    assert restarted.recover() is None
    assert active_number(restarted) == 2


def test_the_first_generation_has_nothing_to_wait_for(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    generations.activate(generations.create(ONE), confirm_within_s=120)
    assert generations.pending() is None
    with pytest.raises(GenerationError, match="no earlier generation"):
        generations.rollback()
    assert active_number(generations) == 1


def test_rollback_goes_to_the_one_before_or_to_a_named_one(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    for _ in range(4):
        generations.activate(generations.create(ONE))
    assert generations.rollback().number == 3
    assert generations.rollback().number == 2
    assert generations.rollback(4).number == 4
    with pytest.raises(GenerationError, match="kept: 1, 2, 3, 4"):
        generations.rollback(9)
    assert active_number(generations) == 4


def test_a_damaged_generation_is_told_and_never_gone_back_to(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    first = generations.create(ONE)
    generations.activate(first)
    generations.activate(generations.create(TWO))
    (first.path / "files" / "gateway.yaml").write_bytes(b"gateway: {id: x}\n")
    with pytest.raises(GenerationError, match="damaged"):
        first.files()
    with pytest.raises(GenerationError, match="damaged"):
        generations.rollback()
    assert active_number(generations) == 2


def test_fl_45_drift_names_the_files_that_differ_and_writes_nothing(tmp_path: Path) -> None:
    folder, state = tmp_path / "config", tmp_path / "state"
    for name, data in ONE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    generations = Generations(state)
    generations.activate(generations.create(ONE))
    assert not generations.drift(folder)
    (folder / "channels" / "l.yaml").write_bytes(b"driver: other\n")
    (folder / "channels" / "new.yaml").write_bytes(b"driver: toy\n")
    (folder / "gateway.yaml").unlink()
    assert list(generations.drift(folder)) == ["channels/l.yaml", "channels/new.yaml", "gateway.yaml"]
    active = generations.active()
    assert active is not None
    assert active.files() == ONE
    assert list(generations.drift(tmp_path / "gone")) == ["channels/l.yaml", "gateway.yaml"]


def test_a_state_file_of_another_release_is_not_guessed_at(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    generations.activate(generations.create(ONE))
    (tmp_path / "generations" / "state.json").write_text('{"format": 99}')
    with pytest.raises(GenerationError, match="another release"):
        generations.active()


def _change_and_die(state: Path, at: int) -> None:
    """Apply and confirm a generation; the process dies before the `at`-th call that changes the disk."""
    step = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal step
            step += 1
            if step == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in ("fsync", "open", "mkdir", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    for name in ("rename", "replace", "mkdir"):
        setattr(Path, name, counted(getattr(Path, name)))
    kept = Generations(state, keep=3)
    made = kept.create({"gateway.yaml": b"gateway: {id: new}\n", "channels/l.yaml": b"driver: toy\n"}, hash="new")
    kept.activate(made, confirm_within_s=60, trial=TRIAL)
    kept = Generations(state, keep=3)
    kept.recover()
    kept.confirm()


def _in_child(state: Path, at: int) -> int:
    """The child's wait status."""
    child = os.fork()
    if child == 0:
        try:
            _change_and_die(state, at)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def test_fl_45_a_kill_at_any_step_leaves_the_old_or_the_new_configuration(tmp_path: Path) -> None:
    seen: set[int] = set()
    for step in range(1, 300):
        state = tmp_path / str(step)
        before = Generations(state, keep=3)
        for _ in range(4):
            before.activate(before.create(ONE, hash="old"))
        status = _in_child(state, step)
        after = Generations(state, keep=3)
        after.recover()
        active = after.active()
        assert active is not None
        seen.add(active.number)
        assert active.files()["gateway.yaml"] == (
            b"gateway: {id: a}\n" if active.number == 4 else b"gateway: {id: new}\n"
        )
        assert active.hash == ("old" if active.number == 4 else "new")
        is_tried = after.pending() is not None
        assert after.remote()[0] == (0 if active.number == 4 or is_tried else 7)
        assert not [path for path in (state / "generations").iterdir() if path.name.startswith(".")]
        assert after.create(TWO).number > active.number
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
    else:
        pytest.fail("the steps never ended")
    assert seen == {4, 5}
    assert step > 15


def test_a_trial_that_waits_for_no_person_has_one_more_start(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    generations.activate(generations.create(ONE))
    generations.activate(generations.create(TWO), confirm_within_s=120, trial=TRIAL)
    again = Generations(tmp_path)
    assert again.recover() is None
    pending = again.pending()
    assert pending is not None
    assert (pending.number, pending.tries, pending.trial) == (2, 0, TRIAL)
    third = Generations(tmp_path)
    assert third.recover() == (2, 1)
    assert third.outcome("j1/1") == Outcome("j1/1", "interrupted", 7, 1, generations.get(1).hash)
    assert third.failed_before("d") is None


def test_a_trial_of_another_form_is_undone_by_a_restart(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    generations.activate(generations.create(ONE))
    generations.activate(generations.create(TWO), confirm_within_s=120, trial=TRIAL)
    state = json.loads(generations.state_file.read_bytes())
    state["pending"]["trial"] = {"gates": 5}
    generations.state_file.write_text(json.dumps(state))
    assert Generations(tmp_path).recover() == (2, 1)


def test_what_was_kept_and_what_failed_outlives_later_changes(tmp_path: Path) -> None:
    generations = Generations(tmp_path, keep=3)
    generations.activate(generations.create(ONE))
    generations.activate(generations.create(TWO), confirm_within_s=120, trial=TRIAL)
    generations.confirm()
    for number in range(MOST_BAD + 3):
        trial = replace(TRIAL, job=f"k{number}/1", rev=8, digest=f"bad{number}")
        generations.activate(generations.create(ONE), confirm_within_s=120, trial=trial)
        generations.rollback(reason="uplink:cloud", bad=True)
    generations.activate(generations.create(ONE))
    known = Generations(tmp_path)
    assert known.recover() is None
    assert known.remote() == (7, "d")
    assert known.failed_before("bad2") is None
    assert [known.failed_before(f"bad{number}") for number in range(3, MOST_BAD + 3)] == ["uplink:cloud"] * MOST_BAD


def _without_room(state: Path) -> int:
    """A start, as a child that may write no byte to any file: the number that it would run."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        try:
            generations = Generations(state)
            generations.recover()
            number = active_number(generations)
        except BaseException:
            os._exit(99)
        os._exit(number or 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_try_that_finds_no_room_to_be_counted_is_not_made(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    generations.activate(generations.create(ONE))
    generations.activate(generations.create(TWO), confirm_within_s=120, trial=TRIAL)
    assert _without_room(tmp_path) == 1
    assert Generations(tmp_path).recover() is None, "the try that was not made is still there"
    assert active_number(Generations(tmp_path)) == 2


def test_a_generation_that_finds_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    generations.activate(generations.create(ONE))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        with pytest.raises(OSError, match="too large"):
            generations.create(ONE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [one.number for one in Generations(tmp_path).list()] == [1]
    assert generations.create(TWO).number == 2
    assert not list((tmp_path / "generations").glob(".new-*"))
