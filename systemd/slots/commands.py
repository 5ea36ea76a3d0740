"""What `slotctl` does. Each command holds the lock, reads the state, changes it, writes it once."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from slots import collecting, manifest, service
from slots import transitions as change
from slots.choosing import NothingStarts, choose, show, usable_fault
from slots.clock import Clock
from slots.disk import kill_point, locked, read_small, replace_file, sync_folder
from slots.manifest import Damaged
from slots.places import Places
from slots.state import State, load, write, write_floors
from slots.transitions import Refused

LEAVE = 3
"""Exit status of `onfailure`: the service stays as it is."""
_CONFIG = "78"
"""Exit status of a gateway whose configuration has errors and that has no earlier one."""
_MOST_ASKED = 256 * 1024
_MOST_TOLD = 100


class Slots:
    """The commands, on one set of places."""

    def __init__(
        self,
        places: Places,
        clock: Clock,
        *,
        main_pid: Callable[[], int],
        restart: Callable[[], str],
        asked: Callable[[], bool | None] = lambda: None,
        forget_starts: Callable[[], None] = lambda: None,
    ) -> None:
        self._places, self._clock = places, clock
        self._main_pid, self._restart = main_pid, restart
        self._asked, self._forget_starts = asked, forget_starts

    def boot(self) -> int:
        """Before each start: choose the slot, count the attempt."""
        kill_point("boot.begin")
        with locked(self._places.lock):  # a lock that cannot be had keeps nobody from starting
            choice = choose(self._places, self._clock)
        for remark in choice.remarks:
            _say(remark)
        _say(f"starting {choice.slot}{' on trial' if choice.trial else ''}")
        return 0

    def stopped(self) -> int:
        """After each end: a clean one gives a start back, an unclean one counts in probation. A clean one that nobody
        asked for is neither: the gateway makes room for a trial, or ends for a fault of its own.
        """
        clean, asked = os.environ.get("SERVICE_RESULT") == "success", self._asked()
        if asked:
            self._forget_starts()
        if clean and asked is False:
            return 0
        with self._changing("stopped") as state:
            change.count_end(state, self._selected().get("slot", ""), clean=clean, clock=self._clock)
        return 0

    def check(self) -> int:
        """Each minute: a trial past its deadline ends, a probation that lasted ends."""
        late = False
        with self._changing("check") as state:
            trial = state.trial
            if trial is None:
                change.watch_probation(state, self._clock)
            elif change.is_late(trial, self._clock):
                late = self._selected().get("slot") == trial.slot
                text = f"no confirmation within {trial.confirm_s} s"
                change.end_trial(state, "deadline", text, self._clock, blame=trial.started)
                _say(f"{trial.slot} is taken back: {text}")
        return self._started_again() if late else 0

    def confirm(self) -> int:
        """The gateway says that all is well: it must be the one that was chosen, and it must be this process."""
        try:
            asked = json.loads(read_small(self._places.confirm, 64 * 1024))
            slot, pid, gates = asked["slot"], asked["pid"], asked.get("gates", {})
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return self._not_confirmed(f"a confirmation that cannot be read: {_one_line(error)}")
        main = self._main_pid()
        if pid != main:
            return self._not_confirmed(f"a confirmation by process {_one_line(pid)}, the gateway is {main}")
        wrong = self._confirm(slot, gates if isinstance(gates, dict) else {})
        return self._not_confirmed(wrong) if wrong else 0

    def keep(self) -> int:
        """An administrator confirms the running trial, whatever the gates say."""
        trial = load(self._places).state.trial
        if trial is None:
            return _refuse("nothing is being tried")
        wrong = self._confirm(trial.slot, {"by": "hand"})
        return _refuse(wrong) if wrong else 0

    def onfailure(self) -> int:
        """The service failed for good. Exit 0: start it again; 3: leave it."""
        status = os.environ.get("MONITOR_EXIT_STATUS", "")
        with self._changing("onfailure") as state:
            text = "it failed too often" if status != _CONFIG else "it does not take the configuration"
            if state.trial is not None and self._selected().get("slot") == state.trial.slot:
                change.end_trial(state, "failed", text, self._clock)
            elif state.probation is not None and state.prev:
                with contextlib.suppress(Refused):
                    change.fall_back(state, "failed", text, self._clock)
            elif status == _CONFIG:
                _say("the configuration has errors: correct it, then start the service")
                return LEAVE
        return 0

    def trial(self) -> int:
        """From the next start on, try the slot that standard input names (JSON)."""
        asked = _asked()
        slot = str(asked["slot"])
        with self._changing("trial") as state:
            if state.trial is not None and state.trial.slot == slot and state.trial.job == asked.get("job", ""):
                return 0
            wrong = usable_fault(self._places, slot)
            if wrong is not None:
                raise Refused(f"{slot}: {wrong}")
            change.begin_trial(state, asked, self._clock)
        return 0

    def result(self) -> int:
        """Keep how a job ended that never came to a trial (JSON on standard input)."""
        asked = _asked()
        with self._changing("result") as state:
            state.finish({**asked, "at": self._clock.wall_s()})
        return 0

    def floors(self) -> int:
        """Raise the floors by what standard input says (JSON); the copy first."""
        asked = {name: value for name, value in _asked().items() if isinstance(value, int)}
        with self._changing("floors") as state:
            if state.raise_floors(asked):
                write_floors(self._places, state)
                kill_point("floors.copy")
        return 0

    def adopt(self, slot: str) -> int:
        """Take a slot that somebody installed at this machine as the good one."""
        folder = self._places.slot(slot)
        try:
            manifest.check(folder)
        except Damaged as error:
            raise Refused(f"{slot}: {error}") from None
        with self._changing("adopt") as state:
            replace_file(folder / manifest.CONFIRMED, b"adopted\n")
            change.adopt(state, slot, self._clock, collecting.rollback_index(folder))
        show(self._places, slot, load(self._places).state.phase)
        return 0

    def seal(self, slot: str) -> int:
        """A staged slot (`.tmp-SLOT`) gets its mark, goes to disk as a whole, then gets its name. Where an installer
        made it under its name, it gets the mark.
        """
        folder, staged = self._places.slot(slot), self._places.releases / f".tmp-{slot}"
        where = staged if staged.is_dir() else folder
        os.sync()  # before the mark, which says that all of it is there
        replace_file(where / manifest.MARK, manifest.describe(where))
        kill_point("seal.marked")
        if where is staged:
            staged.rename(folder)
            kill_point("seal.renamed")
        sync_folder(folder.parent)
        return 0

    def whole(self, slot: str) -> int:
        """Whether a slot is what was staged."""
        try:
            manifest.check(self._places.slot(slot))
        except Damaged as error:
            raise Refused(f"{slot}: {error}") from None
        return 0

    def rollback(self) -> int:
        """An administrator wants the slot before this one."""
        with self._changing("rollback") as state:
            if state.trial is not None:
                change.end_trial(state, "operator", "taken back by hand", self._clock, blame=False)
            else:
                wrong = usable_fault(self._places, state.prev) if state.prev else "there is no slot before this one"
                if wrong is not None:
                    raise Refused(f"{state.prev or 'rollback'}: {wrong}")
                change.fall_back(state, "operator", "taken back by hand", self._clock, blame=False)
        return self._started_again()

    def gc(self) -> int:
        """Remove slots and wheels that nobody needs, and what was left unfinished."""
        with locked(self._places.updating, 0) as alone, locked(self._places.lock):
            if not alone:
                return _refuse("an update is being staged")
            for name in collecting.collect(self._places, load(self._places).state, self._selected().get("slot", "")):
                _say(f"removed {name}")
        return 0

    def status(self) -> int:
        """The state as JSON."""
        loaded = load(self._places)
        state = loaded.state
        trial = state.trial
        shown = {
            "phase": state.phase,
            "good": state.good,
            "prev": state.prev,
            "selected": self._selected().get("slot", ""),
            "trial": trial and {"slot": trial.slot, "job": trial.job, "tries_left": trial.tries_left},
            "bad": state.bad,
            "floors": state.floors,
            "result": state.result,
            "jobs": state.last_jobs,
            "source": loaded.source,
        }
        print(json.dumps(shown))
        return 0

    def _started_again(self) -> int:
        wrong = self._restart()
        return _refuse(f"the gateway is to be restarted by hand: {wrong}") if wrong else 0

    def _not_confirmed(self, text: str) -> int:
        """Say it, and keep it for the gateway's journal; a state that cannot be written refuses as well."""
        _refuse(text)
        with self._changing("refused") as state:
            state.refuse(text, self._clock.wall_s())
        return 1

    def _confirm(self, slot: object, gates: dict[str, Any]) -> str:
        """Why it did not count, else an empty text."""
        with self._changing("confirm") as state:
            trial, selected = state.trial, self._selected().get("slot")
            if trial is None and slot == state.good:
                return ""
            if trial is None or slot != trial.slot or slot != selected:
                return f"a confirmation of {_one_line(slot)}, chosen was {selected}"
            kill_point("confirm.begin")
            replace_file(self._places.slot(trial.slot) / manifest.CONFIRMED, b"confirmed\n")
            kill_point("confirm.marked")
            change.confirm(state, self._clock, gates)
        _say(f"{slot} is confirmed")
        return ""

    @contextlib.contextmanager
    def _changing(self, who: str) -> Iterator[State]:
        """The state, written at the end if it changed. Raises OSError where the lock or the disk does not let it."""
        with locked(self._places.lock) as alone:
            if not alone:
                raise OSError(None, "the lock of the state cannot be had", str(self._places.lock))
            loaded = load(self._places)
            before = repr(loaded.state)
            yield loaded.state
            state = loaded.state
            if repr(state) != before or loaded.source != "state":
                write(self._places, state, who)
                if who in {"check", "stopped"}:  # the end of a probation raises a floor
                    write_floors(self._places, state)
                show(self._places, self._selected().get("slot") or state.good, state.phase)

    def _selected(self) -> dict[str, Any]:
        try:
            found = json.loads(read_small(self._places.selected))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


_PLAIN = ("boot", "stopped", "check", "confirm", "keep", "onfailure", "trial", "result", "floors", "rollback", "gc",
          "status")  # fmt: skip
_WITH_SLOT = ("adopt", "seal", "whole")
_USAGE = f"usage: slotctl [--root DIR] {'|'.join(_PLAIN)} | slotctl [--root DIR] {'|'.join(_WITH_SLOT)} SLOT"


def main(words: Sequence[str]) -> int:
    """One command. Exit 0 done, 1 refused or impossible, 2 wrong usage."""
    rest, root = list(words), "/"
    if rest[:1] == ["--root"] and len(rest) > 1:
        root, rest = rest[1], rest[2:]
    if not (len(rest) == 1 and rest[0] in _PLAIN) and not (len(rest) == 2 and rest[0] in _WITH_SLOT):
        print(_USAGE, file=sys.stderr)
        return 2
    places = Places(root)
    slots = Slots(
        places, Clock(places), main_pid=service.main_pid, restart=service.restart, asked=service.is_asked,
        forget_starts=service.forget_starts,
    )  # fmt: skip
    os.umask(0o022)
    try:
        return int(getattr(slots, rest[0])(*rest[1:]))
    except (Refused, NothingStarts, ValueError) as error:
        return _refuse(str(error))
    except KeyError as error:
        return _refuse(f"{error} is missing")
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _asked() -> dict[str, Any]:
    raw = sys.stdin.buffer.read(_MOST_ASKED + 1)
    if len(raw) > _MOST_ASKED:
        raise ValueError("standard input is too long")
    asked = json.loads(raw)
    if not isinstance(asked, dict):
        raise ValueError("standard input is no object")  # noqa: TRY004 - told like every other wrong input
    return asked


def _one_line(said: object) -> str:
    """What somebody else wrote, as a short piece of a line."""
    text = str(said)
    return "".join(one if one.isprintable() else "?" for one in text[:_MOST_TOLD])


def _say(text: str) -> None:
    print(f"slotctl: {text}", flush=True)


def _refuse(text: str) -> int:
    print(f"slotctl: {text}", file=sys.stderr, flush=True)
    return 1
