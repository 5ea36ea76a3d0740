"""discovered: what was seen and is not configured, and what becomes of it."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Any

from gateway.cli import forms
from gateway.cli.editing import Changes, finish
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.cli.splicing import Merge, block
from gateway.library import defines
from gateway.local.wire import OpError

_HEADER = ("id", "name", "state", "rule", "device", ">seen", ">times", "says of itself")
_STYLES = {"pending": "uncertain", "approved": "good", "rejected": "dim", "seen": "dim", "known": "dim"}
_LONGEST = 60


def discovered(session: Session) -> int:
    """One action of many; the list without one."""
    actions = {"ls": _list, "approve": _approve, "reject": _each, "forget": _each, "export": _export}
    return actions[session.args.what](session)


def _list(session: Session) -> int:
    asked = {
        word: session.option(key) for word, key in (("channel", "channel"), ("state", "only")) if session.option(key)
    }
    answer = session.call("discovered_list", asked)
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    rows = answer["discovered"]
    if not rows:
        session.out.line("nothing was discovered")
        return Exit.OK
    session.out.table(_HEADER, [_cells(row) for row in rows], [_STYLES.get(str(row["state"]), "") for row in rows])
    for row in rows:
        if row.get("why"):
            session.out.line(f"{row['id']}: {row['why']}")
        odd = (row.get("properties") or {}).get("not_understood")
        if odd:
            session.out.line(f"{row['id']}: not understood: {odd}")
    if answer.get("left_out"):
        session.out.line(f"the list is full: {answer['left_out']} times something more was seen and found no place")
    if any(row["state"] == "pending" for row in rows):
        session.out.line("next: fieldpost discovered approve ID, or reject ID")
    return Exit.OK


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    words = [f"{key} {value}" for key, value in (row.get("properties") or {}).items()]
    words += [f"{row['tags']} tags"] if row.get("tags") else []
    said = ", ".join(words)
    return (
        str(row["id"]),
        str(row.get("name") or "-"),
        str(row["state"]),
        str(row.get("watch") or "-"),
        str(row.get("device") or (f"({row['suggested']})" if row.get("suggested") else "-")),
        forms.since(row.get("last")),
        str(row.get("count", 0)),
        said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…",
    )


def _approve(session: Session) -> int:
    args = session.args
    if session.option("as_") and len(args.name) > 1:
        raise CommandFailed("--as names one device: approve the others without it", Exit.USAGE)
    done = []
    for name in args.name:
        asked = {"id": name, "who": getpass.getuser()}
        asked |= {
            word: session.option(key) for word, key in (("as", "as_"), ("profile", "profile")) if session.option(key)
        }
        try:
            done.append(session.call("discovered_approve", asked, 120.0))
        except OpError as error:
            if len(args.name) == 1:
                raise
            raise CommandFailed(_refused(args.name, len(done), str(error))) from error
        if not session.out.as_json:
            session.out.line(
                f"{done[-1]['id']} is the device {done[-1]['device']} of channel {done[-1]['channel']} now"
            )
    _tell(session, done)
    if not session.out.as_json:
        session.out.line("it is in no file of the configuration folder yet: fieldpost discovered export --write")
    return Exit.OK


def _refused(names: list[str], done: int, why: str) -> str:
    """What became of several: those before the refused one are in, those behind it were not tried."""
    before, behind = ", ".join(names[:done]), ", ".join(names[done + 1 :])
    text = f"{names[done]} is not approved: {why}; approved: {before or 'none'}"
    return f"{text}; not tried: {behind}" if behind else text


def _each(session: Session) -> int:
    what = session.args.what
    done = []
    for name in session.args.name:
        done.append(session.call(f"discovered_{what}", {"id": name, "who": getpass.getuser()}, 120.0))
        if not session.out.as_json:
            gone = f", and the device {done[-1]['device']} is gone" if "device" in done[-1] else ""
            session.out.line(f"{done[-1]['id']} is {'rejected' if what == 'reject' else 'forgotten'}{gone}")
    _tell(session, done)
    return Exit.OK


def _tell(session: Session, done: list[dict[str, Any]]) -> None:
    """As JSON: the answer to one, or a list of those to several."""
    if session.out.as_json:
        session.out.result(done[0] if len(done) == 1 else {"ok": True, "done": done})


def _export(session: Session) -> int:
    """The devices that came in, as a change of the configuration folder."""
    found = session.call("discovered_export", {})
    changes = Changes(session.config_dir)
    from gateway.cli.commands.add import devices_of, document_of

    for name, profile in found["profiles"].items():
        if not any(file.startswith("profiles/") and defines(text, name) for file, text in changes.after.items()):
            changes.add(f"profiles/{name}.yaml", "\n".join(block(name, profile, 0, 0)) + "\n")
    for channel, devices in found["channels"].items():
        place = document_of(changes, channel)
        if place is None:
            raise CommandFailed(f"there is no channel {channel} in {changes.folder}: apply the folder first")
        file, document = place
        written = devices_of(changes, file, document)
        fresh = {name: keys for name, keys in devices.items() if name not in written}
        if fresh:
            changes.edit(file, Merge(devices=Merge(fresh)), document)
    finish(session, changes, found)
    return Exit.OK
