"""What happens to the state: each function changes a State in memory, writing it makes it count."""

from __future__ import annotations

from typing import Any

from slots.clock import Clock
from slots.state import Probation, State, Trial

PROBATION_S = 24 * 3600
CLEAN_ENDS = 3
UNCLEAN_ENDS = 5


class Refused(Exception):
    """A transition that the state does not allow; the text is for people."""


def begin_trial(state: State, asked: dict[str, Any], clock: Clock) -> None:
    """The commit point: from the next start on, `slot` is tried. Raises Refused."""
    slot, job = asked["slot"], asked.get("job", "")
    if state.trial is not None:
        raise Refused(f"{state.trial.slot} is being tried")
    if not state.good:
        raise Refused("there is no slot to go back to")
    if slot == state.good:
        raise Refused(f"{slot} runs already")
    if slot in state.bad:
        raise Refused(f"{slot} was tried and failed")
    tries, confirm_s = int(asked.get("tries", 3)), int(asked.get("confirm_s", 600))
    state.trial = Trial(
        slot=slot,
        job=job,
        tries=tries,
        tries_left=tries,
        confirm_s=confirm_s,
        deadline_s=clock.boottime_s() + confirm_s,
        boot_id=clock.boot_id(),
        soak_s=int(asked.get("soak_s", 0)),
        rollback_index=int(asked.get("rollback_index", 0)),
        waived=str(asked.get("waived", "")),
    )


def new_boot(trial: Trial, clock: Clock) -> None:
    """The deadline starts afresh at each boot, as nobody knows how long the power was off; the tries bound it. One that
    is further away than it can be is of another boot too.
    """
    if trial.boot_id != clock.boot_id() or trial.deadline_s - clock.boottime_s() > trial.confirm_s:
        trial.boot_id = clock.boot_id()
        trial.deadline_s = clock.boottime_s() + trial.confirm_s


def is_late(trial: Trial, clock: Clock) -> bool:
    """Whether the time for a confirmation is over."""
    return trial.boot_id == clock.boot_id() and clock.boottime_s() >= trial.deadline_s


def end_trial(state: State, reason: str, text: str, clock: Clock, *, blame: bool = True) -> None:
    """Back to the slot before. `blame`: the slot is not tried again by itself."""
    trial = state.trial
    assert trial is not None
    state.trial = None
    if blame:
        state.blame(trial.slot)
    result = _result(trial.job, "ROLLED_BACK", reason, text, trial.slot, state.good, clock)
    state.finish({**result, **_waived(trial)})


def confirm(state: State, clock: Clock, gates: dict[str, Any]) -> None:
    """The tried slot is the good one from now on, watched for a while; the one before stays."""
    trial = state.trial
    assert trial is not None
    state.prev, state.good, state.trial = state.good, trial.slot, None
    state.probation = Probation(clock.boottime_s(), clock.boot_id(), rollback_index=trial.rollback_index)
    result = _result(trial.job, "SUCCEEDED", "", "", state.good, state.prev, clock)
    state.finish({**result, "gates": gates, **_waived(trial)})


def adopt(state: State, slot: str, clock: Clock, rollback_index: int) -> None:
    """Somebody at the machine installed `slot`: it runs from the next start on, watched as after a confirmation."""
    if slot != state.good:
        state.prev, state.good = state.good, slot
        state.probation = None
        if state.prev:
            state.probation = Probation(clock.boottime_s(), clock.boot_id(), rollback_index=rollback_index)
    state.trial = None
    state.bad = [one for one in state.bad if one != slot]


def fall_back(state: State, reason: str, text: str, clock: Clock, *, blame: bool = True) -> None:
    """The slot before runs again, though this one was confirmed. Raises Refused where there is none."""
    if not state.prev or state.prev in state.bad:
        raise Refused("there is no slot before this one")
    job = str(state.result.get("job", "")) if state.result.get("slot") == state.good else ""
    left = state.good
    state.good, state.prev, state.probation = state.prev, left, None
    if blame:
        state.blame(left)
    state.finish(_result(job, "ROLLED_BACK", reason, text, left, state.good, clock))


def count_end(state: State, selected: str, *, clean: bool, clock: Clock) -> bool:
    """The service ended. Returns whether the state changed. A clean end gives a trial its start back: somebody rebooted
    the machine or stopped the service. At most as often as it has tries, else it would never be over.
    """
    trial, probation = state.trial, state.probation
    if trial is not None and selected == trial.slot:
        if not clean or trial.given_back >= trial.tries or trial.tries_left >= trial.tries:
            return False
        trial.tries_left += 1
        trial.given_back += 1
        return True
    if probation is None or selected != state.good:
        return False
    if clean:
        probation.clean += 1
        if probation.clean >= CLEAN_ENDS:
            end_probation(state)
        return True
    probation.unclean += 1
    if probation.unclean >= UNCLEAN_ENDS:
        text = f"it ended {probation.unclean} times by itself after it was confirmed"
        try:
            fall_back(state, "unclean", text, clock)
        except Refused:
            probation.unclean = 0
    return True


def watch_probation(state: State, clock: Clock) -> bool:
    """End a probation that lasted. Returns whether the state changed. A new boot counts its time from its own start."""
    probation = state.probation
    if probation is None:
        return False
    if probation.boot_id != clock.boot_id():
        probation.boot_id, probation.since_s = clock.boot_id(), clock.boottime_s()
        return True
    if clock.boottime_s() - probation.since_s < PROBATION_S:
        return False
    end_probation(state)
    return True


def end_probation(state: State) -> None:
    """It held: what is older than its rollback index is not installed any more."""
    assert state.probation is not None
    state.raise_floors({"rollback_index": state.probation.rollback_index})
    state.probation = None


def _waived(trial: Trial) -> dict[str, str]:
    return {"waived": trial.waived} if trial.waived else {}


def _result(job: str, outcome: str, reason: str, text: str, slot: str, other: str, clock: Clock) -> dict[str, Any]:
    result = {"job": job, "outcome": outcome, "slot": slot, "other": other, "at": clock.wall_s()}
    if reason:
        result |= {"reason": reason, "text": text}
    return result
