"""`fieldpost ota`: updates of this machine. Works on files and slotctl, so it needs no running gateway."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.atomic import replace_file
from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.errors import GatewayError
from gateway.ota.places import Places
from gateway.ota.quorum import quorum_of, told
from gateway.ota.slots import SlotsView, ask, look, own_slot

_POLL_S = 0.5
_WORDS = {"confirm": "keep", "rollback": "rollback", "gc": "gc"}


def ota(session: Session) -> int:
    """One action."""
    own = own_slot()
    places = own[0] if own else Places()
    action = session.args.action
    if action == "install":
        return _install(session, places)
    if action == "status":
        return _status(session, places, _look(places))
    if action == "history":
        return _history(session, _look(places))
    _need_root(action)
    said = ask(places, _WORDS[action])
    if session.out.as_json:
        session.out.result({"ok": True, "said": said.splitlines()})
    else:
        session.out.line(clean(said) or "done")
    return Exit.OK


def _need_root(action: str) -> None:
    if os.geteuid() != 0:
        raise CommandFailed(f"`fieldpost ota {action}` changes what starts next: run it as root")


def _look(places: Places) -> SlotsView:
    view = look(places)
    if not view.phase:
        raise CommandFailed(f"this machine has no release slots: {places.state} is missing")
    return view


def _status(session: Session, places: Places, view: SlotsView) -> int:
    live, drivers = _live(session), _drivers(places.releases / view.good)
    trust, metadata = quorum_of(places.cache / "root.json", places.factory_root), _metadata(places)
    if session.out.as_json:
        trial = view.trial
        shown = trial and {"slot": trial.slot, "job": trial.job, "tries_left": trial.tries_left}
        session.out.result(
            {
                "phase": view.phase,
                "running": live.get("slot", ""),
                "good": view.good,
                "prev": view.prev,
                "drivers": drivers,
                "trial": shown,
                "gates": live.get("gates", {}),
                "held_s": live.get("held_s", 0),
                "scripts": live.get("scripts", []),
                "bad": list(view.bad),
                "floors": dict(view.floors),
                "metadata": metadata,
                "trust": {role: list(counts) for role, counts in trust.items()},
                "result": dict(view.result),
            }
        )
        return Exit.OK
    out = session.out
    out.line(f"phase    {view.phase.lower()}")
    out.line(f"running  {live.get('slot') or 'not known: no gateway answers'}")
    out.line(f"good     {view.good}")
    out.line(f"before   {view.prev or '-'}")
    for driver in drivers:
        out.line(f"driver   {driver}")
    if view.trial is not None:
        out.line(f"tried    {view.trial.slot}, {view.trial.tries_left} of {view.trial.tries} starts left")
        for name, verdict in live.get("gates", {}).items():
            out.line(f"  {name:<9}{clean(str(verdict))}")
    if live.get("scripts"):
        out.line(f"checks   {clean(', '.join(live['scripts']))}")
    for slot in view.bad:
        out.line(f"failed   {slot}")
    out.line(f"trust    {told(trust) or 'nobody: no release can be installed'}")
    if metadata:
        out.line(f"metadata {metadata['version']}, {_expiry(metadata)}")
    if view.result:
        out.line(f"last     {_sentence(view.result, live.get('why', {}))}")
    return Exit.OK


def _metadata(places: Places) -> dict[str, Any]:
    """The timestamp that was trusted last: its version, and until when it holds."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        signed = json.loads((places.cache / "timestamp.json").read_bytes())["signed"]
        return {"version": int(signed["version"]), "expires": clean(str(signed["expires"]))}
    return {}


def _expiry(metadata: Mapping[str, Any]) -> str:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return f"{'holds until' if metadata['expires'] > now else 'expired'} {metadata['expires']}"


def _drivers(slot: Path) -> list[str]:
    """Driver packages in a slot, as VENDOR/NAME VERSION."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        packages = json.loads((slot / "drivers.json").read_bytes())["packages"]
        return [clean(f"{one['vendor']}/{one['name']} {one['version']}") for one in packages]
    return []


def _live(session: Session) -> dict[str, Any]:
    """The running gateway's part; nothing where none runs."""
    with contextlib.suppress(GatewayError, OSError):
        return dict(session.call("ota"))
    return {}


def _history(session: Session, view: SlotsView) -> int:
    why = _live(session).get("why", {})
    if session.out.as_json:
        known = [{"why": why[row["job"]]} if row.get("job") in why else {} for row in view.last_jobs]
        session.out.result({"jobs": [{**row, **more} for row, more in zip(view.last_jobs, known, strict=True)]})
        return Exit.OK
    for row in view.last_jobs:
        when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(int(row.get("at", 0))))
        session.out.line(f"{when}  {clean(str(row.get('job') or '-')):<16}  {_sentence(row, why)}")
    if not view.last_jobs:
        session.out.line("no update was made")
    return Exit.OK


def _sentence(row: Mapping[str, Any], why: Mapping[str, str] = MappingProxyType({})) -> str:
    """How a job ended. `why`: the gates that were not passed, by job."""
    words = [str(row.get("outcome", "")).lower().replace("_", " "), str(row.get("slot", "")), str(row.get("text", ""))]
    if row.get("job") in why:
        words.append(f"({why[row['job']]})")
    if row.get("waived"):
        words.append(f"(an expired {row['waived']} was accepted)")
    return clean(" ".join(word for word in words if word))


def _install(session: Session, places: Places) -> int:
    from gateway.cli.commands.ota_target import install_target, target_of

    target = target_of(session.args.file)
    if target and session.args.accept_stale_timestamp:
        raise CommandFailed("--accept-stale-timestamp is for a bundle in a file", Exit.USAGE)
    if target:
        return install_target(session, places, target)
    from gateway.ota.request import asking, check_job

    _need_root("install")
    if any(importlib.util.find_spec(name) is None for name in ("tuf", "installer")):
        raise CommandFailed("the release that runs cannot install others: it was made without the extra `ota`")
    job = session.option("job") or f"local-{secrets.token_hex(4)}"
    check_job(job)
    view = _look(places)
    if view.trial is not None:
        raise CommandFailed(f"{view.trial.slot} is being tried: wait, or end it with `fieldpost ota rollback`")
    file = Path(session.args.file)
    if not file.is_file():
        raise CommandFailed(f"{file}: no such file", Exit.USAGE)
    with contextlib.ExitStack() as held:
        with _as_owner(places.home):
            held.enter_context(asking(places, job))
        _bring(places, file)
        _accept(session, places, job)
        with _as_owner(places.home):
            replace_file(places.request, json.dumps({"job": job}).encode())  # systemd sees it and starts the updater
    if session.args.no_wait:
        return _said(session, job, "requested", {})
    return _follow(session, places, job, float(session.args.wait))


def _bring(places: Places, file: Path) -> None:
    """A bundle's files into the inbox."""
    from gateway.ota.bundle import unpack

    with file.open("rb") as bundle, _as_owner(places.home):
        fresh = places.inbox.with_name(".inbox.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        unpack(bundle, fresh)
        shutil.rmtree(places.inbox, ignore_errors=True)
        fresh.rename(places.inbox)


def _accept(session: Session, places: Places, job: str) -> None:
    """Leave word for the updater where root alone can."""
    from gateway.ota.waiver import Waiver, give, timestamp_version

    waiver = None
    if session.args.accept_stale_timestamp:
        waiver = Waiver(job, timestamp_version(places.inbox / "metadata"))
    try:
        give(places, waiver)
    except OSError as error:
        raise CommandFailed(f"{places.waiver}: {error.strerror}") from None


@contextlib.contextmanager
def _as_owner(folder: Path) -> Iterator[None]:
    """Write as the user to whom a folder belongs: as root, links that this user lays would be followed anywhere."""
    owner = folder.stat()
    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    if owner.st_uid == uid:
        yield
        return
    os.setgroups([])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    before = os.umask(0o027)  # the updater reads it by the group
    try:
        yield
    finally:
        os.umask(before)
        os.seteuid(uid)
        os.setegid(gid)
        os.setgroups(groups)


def _follow(session: Session, places: Places, job: str, wait_s: float) -> int:
    """Tell each step until the job has ended."""
    end, told = time.monotonic() + wait_s, ""
    while time.monotonic() < end:
        view = look(places)
        row = view.job(job)
        if row is not None:
            return _said(session, job, str(row["outcome"]).lower(), row)
        tried = view.trial is not None and view.trial.job == job
        step = f"trying {view.trial.slot}" if tried and view.trial else "verifying and staging"
        if step != told and not session.out.as_json:
            session.out.line(step)
        told = step
        time.sleep(_POLL_S)
    return _said(session, job, "timeout", {"text": "it has not ended; `fieldpost ota status` says where it is"})


def _said(session: Session, job: str, state: str, row: Mapping[str, Any]) -> int:
    good = state in {"succeeded", "requested"}
    if session.out.as_json:
        session.out.result({"ok": good, "job": job, "state": state, **{k: v for k, v in row.items() if k != "job"}})
    else:
        session.out.line(
            f"{job}: {_sentence(row) if row.get('outcome') else ' '.join([state, str(row.get('text', ''))])}"
        )
    return Exit.OK if good else Exit.FAILED
