"""The slot of a start. Whatever is damaged, full or missing, a version that starts is chosen if there is one."""

from __future__ import annotations

import contextlib
import json
import subprocess
from dataclasses import dataclass, field

from slots import manifest
from slots.clock import Clock
from slots.disk import kill_point, replace_file
from slots.manifest import Damaged
from slots.places import Places
from slots.state import State, Trial, confirmed_slots, load, write, write_floors
from slots.transitions import end_trial, fall_back, is_late, new_boot

_INTERPRETER_S = 20


@dataclass
class Choice:
    """The slot that starts now, and what is worth saying about it."""

    slot: str
    trial: bool = False
    remarks: list[str] = field(default_factory=list)


class NothingStarts(Exception):
    """No slot on this machine can be started."""


def choose(places: Places, clock: Clock) -> Choice:
    """Decide, count the attempt, write the choice down. Raises NothingStarts, OSError where /run cannot be written."""
    loaded = load(places)
    kill_point("boot.read")
    start = _Start(places, loaded.state, clock)
    if loaded.source != "state":
        start.remarks.append(f"state from {loaded.source}: {loaded.remark}")
    choice = start.trial() or start.known_good()
    if loaded.source in {"backup", "slots"} and not start.written:
        start.save()
    kill_point("boot.before-selected")
    _select(places, choice)
    kill_point("boot.selected")
    show(places, choice.slot, load(places).state.phase)
    return choice


class _Start:
    """One decision: the state it stands on, what is worth saying, whether it wrote."""

    def __init__(self, places: Places, state: State, clock: Clock) -> None:
        self._places, self._state, self._clock = places, state, clock
        self.remarks: list[str] = []
        self.written = False

    def trial(self) -> Choice | None:
        """The slot on trial, if it may be tried once more and the attempt could be counted before it is made."""
        trial = self._state.trial
        if trial is None:
            return None
        new_boot(trial, self._clock)
        over = _over(self._places, trial, self._clock)
        if over is not None:
            reason, text, blame = over
            end_trial(self._state, reason, text, self._clock, blame=blame)
            self.remarks.append(f"{trial.slot} is not tried any more: {text}")
            self.save()
            return None
        trial.tries_left -= 1
        try:
            write(self._places, self._state, "boot")
        except OSError as error:
            trial.tries_left += 1
            self.remarks.append(f"the attempt cannot be counted ({error.strerror}), so it is not made")
            return None
        self.written = True
        return Choice(trial.slot, trial=True, remarks=self.remarks)

    def known_good(self) -> Choice:
        """The slot that ran before; where that cannot start, the one before it, else any that was confirmed once."""
        state = self._state
        wrong = usable_fault(self._places, state.good)
        if wrong is None:
            return Choice(state.good, remarks=self.remarks)
        self.remarks.append(f"{state.good or 'no slot'}: {wrong}")
        if state.prev not in {"", *state.bad} and usable_fault(self._places, state.prev) is None:
            fall_back(state, "damaged", wrong, self._clock, blame=False)
            self.save()
            return Choice(state.good, remarks=self.remarks)
        for name in reversed(confirmed_slots(self._places)):
            if name != state.good and usable_fault(self._places, name) is None:
                state.prev, state.good, state.probation = state.good, name, None
                self.save()
                return Choice(name, remarks=self.remarks)
        raise NothingStarts("; ".join(self.remarks))

    def save(self) -> None:
        """Write the state if that is possible: what starts does not depend on it."""
        self.written = True
        try:
            write(self._places, self._state, "boot")
            write_floors(self._places, self._state)
        except OSError as error:
            self.remarks.append(f"the state cannot be written: {error.strerror}")


def _over(places: Places, trial: Trial, clock: Clock) -> tuple[str, str, bool] | None:
    """Why a trial is over before this start: reason, text, and whether the slot is to blame."""
    if trial.tries_left <= 0:
        return "tries", f"{trial.tries} starts without a confirmation", True
    if is_late(trial, clock):
        return "deadline", f"no confirmation within {trial.confirm_s} s", trial.started
    try:
        if trial.started:
            manifest.read(places.slot(trial.slot))
        else:
            manifest.check(places.slot(trial.slot))
    except Damaged as error:
        return "damaged", str(error), False  # the disk's fault: staged again it may be whole
    wrong = interpreter_fault(places, trial.slot)
    return None if wrong is None else ("interpreter", wrong, False)


def usable_fault(places: Places, slot: str) -> str | None:
    """Why a slot cannot be started, or None."""
    try:
        manifest.read(places.slot(slot))
    except (Damaged, ValueError) as error:
        return str(error)
    return interpreter_fault(places, slot)


def interpreter_fault(places: Places, slot: str) -> str | None:
    """Why a slot's Python does not run it, or None: an upgrade of the system may have taken its version away."""
    python = places.python(slot)
    script = "import sys; print('lib/python%d.%d/site-packages' % sys.version_info[:2])"
    try:
        done = subprocess.run(  # noqa: S603 - a path of ours
            [str(python), "-I", "-S", "-c", script], capture_output=True, text=True, timeout=_INTERPRETER_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"its Python does not start: {error}"
    if done.returncode:
        return f"its Python ends with {done.returncode}"
    library = done.stdout.strip()
    if not (places.slot(slot) / "venv" / library).is_dir():
        return f"its packages are not those of the Python that it finds ({library})"
    return None


def _select(places: Places, choice: Choice) -> None:
    places.selected.parent.mkdir(parents=True, exist_ok=True)
    body = {"slot": choice.slot, "python": str(places.python(choice.slot)), "trial": choice.trial}
    replace_file(places.selected, json.dumps(body).encode())


def show(places: Places, slot: str, phase: str) -> None:
    """`current`, for people, and the mark that somebody should look each minute: nothing ends where these fail."""
    with contextlib.suppress(OSError):
        if phase == "IDLE":
            places.watch.unlink(missing_ok=True)
        elif places.watch.parent.is_dir():
            places.watch.touch()
    wanted = f"releases/{slot}"
    with contextlib.suppress(OSError):
        if places.current.is_symlink() and str(places.current.readlink()) == wanted:
            return
        fresh = places.current.with_name(".current.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(wanted)
        fresh.replace(places.current)
