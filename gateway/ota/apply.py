"""The updater, a short process of root without network: `-m gateway.ota.apply`. Verify what lies in the inbox, stage it
as a slot, have it tried at the next start. Whatever happens before the last step, the old version runs on.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec.structs import replace

from gateway.ota.allowing import Allowed
from gateway.ota.anchors import anchors
from gateway.ota.assembling import check_space, stage
from gateway.ota.composing import Plan, plan
from gateway.ota.places import Places, kill_point
from gateway.ota.release import Machine, ReleaseRefused, check_fit, parse_release, this_machine
from gateway.ota.request import Request, read_request
from gateway.ota.slots import SlotsError, SlotsView, ask, look, own_slot
from gateway.ota.trust import Floors, Trust, Verified, verify
from gateway.ota.waiver import Waiver
from gateway.ota.waiver import take as take_waiver
from gateway.ota.wheels import WheelStore
from gateway.release import version
from gateway.store.segments import FORMAT as STORE_SCHEMA
from gateway.store.segments import READS as STORE_READS

Verify = Callable[[Path, Trust, Path, str], Verified]
_FULL = {errno.ENOSPC, errno.EDQUOT}


def run(places: Places, check: Verify = verify) -> int:
    """Do what the request says. 0: the release is tried next, or it was done before; 1: refused, the reason is kept."""
    try:
        if not places.request.exists():
            return 0  # taken away before it was looked at
        request = read_request(places.request)
    except (ReleaseRefused, OSError) as error:  # OSError: a folder that the group of the gateway may not enter
        print(f"update: {error}", file=sys.stderr)
        return 1
    view = look(places)
    if view.job(request.job) is not None or (view.trial is not None and view.trial.job == request.job):
        print(f"update: job {request.job} is known")
        return 0
    kill_point("apply.recorded")
    try:
        with alone(places):
            planned = _stage(places, request, view, check, take_waiver(places, request.job))
        _begin(places, request, planned)
    except ReleaseRefused as error:
        return _failed(places, request, error.reason, str(error))
    except SlotsError as error:
        return _failed(places, request, "slots", str(error))
    except OSError as error:
        reason = "disk" if error.errno in _FULL else "system"
        return _failed(places, request, reason, f"{error.filename or 'staging'}: {error.strerror or error}")
    print(f"update: {planned.slot} is tried at the next start")
    return 0


def _stage(places: Places, request: Request, view: SlotsView, check: Verify, waiver: Waiver | None) -> Plan:
    """A complete slot in its place. Raises ReleaseRefused, SlotsError, OSError."""
    if view.trial is not None:
        raise ReleaseRefused("busy", f"{view.trial.slot} is being tried")
    with tempfile.TemporaryDirectory(prefix=".inbox-", dir=places.base) as name:
        trust = replace(anchors(places, view), stale_timestamp=waiver is not None)
        verified = check(places.inbox, trust, Path(name), request.target)
        kill_point("apply.verified")
        if verified.stale and (waiver is None or waiver.timestamp != verified.floors.timestamp):
            raise ReleaseRefused("expired", "the expired timestamp is another one than was accepted")
        ask(places, "floors", asked={field: getattr(verified.floors, field) for field in Floors.__struct_fields__})
        machine, good = _machine(places, view), places.releases / view.good
        planned = plan(verified, good, places.wheels, machine, Allowed(places))
        _check(view, planned, machine)
        if is_whole(places, planned.slot):
            return planned  # staged before the power went, or tried and taken back by hand
        check_space(planned.release, places.base)
        store = WheelStore(places.wheels)
        wheels = {wheel.file: store.keep(wheel, planned.wheels[wheel.file]) for wheel in planned.release.files}
        stage(places, planned, wheels)
    ask(places, "seal", planned.slot)
    kill_point("apply.sealed")
    return planned


def is_whole(places: Places, slot: str) -> bool:
    """Whether the slot is there already. One that a power cut damaged makes room."""
    if not (places.releases / slot).exists():
        return False
    try:
        ask(places, "whole", slot)
    except SlotsError:
        gone = places.releases / f".tmp-gone-{slot}"
        (places.releases / slot).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        return False
    return True


def _check(view: SlotsView, planned: Plan, machine: Machine) -> None:
    if planned.slot == view.good:
        raise ReleaseRefused("installed", f"{planned.slot} runs already")
    if planned.slot in view.bad:
        raise ReleaseRefused("bad", f"{planned.slot} was tried here and failed")
    check_fit(planned.release, machine)


def _machine(places: Places, view: SlotsView) -> Machine:
    """This machine, with the version of the slot that a failure would go back to."""
    running = version()
    with contextlib.suppress(OSError, ReleaseRefused):
        running = parse_release((places.releases / view.good / "release.json").read_bytes()).version
    return this_machine(running, STORE_SCHEMA, view.floors.get("rollback_index", 0), STORE_READS)


def _begin(places: Places, request: Request, planned: Plan) -> None:
    """The commit point."""
    limits = planned.release.health
    asked = {"slot": planned.slot, "job": request.job, "tries": limits.tries, "confirm_s": limits.confirm_s}
    kill_point("apply.before-commit")
    _still_wanted(places, request)
    asked |= {"soak_s": limits.soak_s, "rollback_index": planned.release.rollback_index}
    ask(places, "trial", asked={**asked, "waived": "timestamp" if planned.stale else ""})
    kill_point("apply.committed")


def _still_wanted(places: Places, request: Request) -> None:
    """Whoever asked may have taken the request away. Raises ReleaseRefused."""
    try:
        wanted = read_request(places.request).job == request.job
    except ReleaseRefused:
        wanted = False
    if not wanted:
        raise ReleaseRefused("cancelled", "the request was taken away before it was tried")


def _failed(places: Places, request: Request, reason: str, text: str) -> int:
    """Keep why a job failed; being installed already is what was wanted."""
    outcome = {"installed": "SUCCEEDED", "cancelled": "CANCELLED"}.get(reason, "FAILED")
    print(f"update: job {request.job} {outcome.lower()}: {text}", file=sys.stderr)
    with contextlib.suppress(SlotsError):
        ask(places, "result", asked={"job": request.job, "outcome": outcome, "reason": reason, "text": text})
    return 0 if outcome == "SUCCEEDED" else 1


@contextlib.contextmanager
def alone(places: Places) -> Iterator[None]:
    """Nobody else stages or collects; what a kill left is gone."""
    places.releases.mkdir(parents=True, exist_ok=True)
    places.updating.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(places.updating, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ReleaseRefused("busy", "another update is being staged") from None
        for left in (*places.releases.glob(".tmp-*"), *places.base.glob(".inbox-*"), *places.base.glob(".trust-*")):
            shutil.rmtree(left, ignore_errors=True)
        try:
            yield
        finally:
            for left in places.releases.glob(".tmp-*"):
                shutil.rmtree(left, ignore_errors=True)
    finally:
        os.close(handle)


def main() -> int:
    """Entry of fieldpost-update.service."""
    os.umask(0o022)
    own = own_slot()
    return run(own[0] if own else Places())


if __name__ == "__main__":
    sys.exit(main())
