"""check, plan, apply, confirm, rollback, generations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from gateway.cli import forms
from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.errors import ConfigError, Problem
from gateway.local.wire import NotRunning

if TYPE_CHECKING:
    from gateway.driver import DriverSpec
    from gateway.importing.report import Note
    from gateway.settings.types import GatewaySettings

_PLAN_S = 30.0
_APPLY_S = 120.0
_MOST_SHOWN = 100
"""Errors that people get at once."""


def check(session: Session) -> int:
    """Load the folder as `run` would, without touching network or state."""
    from gateway.cli.boundedimports import BoundedImports
    from gateway.settings.loader import load_tree
    from rules.expression import RuleExpressions

    given = session.option("folder")
    folder = Path(given).absolute() if given else session.config_dir
    notes: list[Any] = []

    def told(driver: str, waited_s: float) -> int:
        text = f"driver {driver!r}: its import did not end within {waited_s:g} s"
        return show_problems(session, [Problem(str(folder), 0, 0, "", text, "`fieldpost driver ls` says where")], "")

    drivers = BoundedImports(told).load
    try:
        settings = load_tree(folder, drivers, expressions=RuleExpressions(), heard=notes.extend)
    except ConfigError as err:
        return show_problems(session, err.problems, "")
    notes += _missing_libraries(folder, settings, drivers)
    devices = sum(len(channel.devices) for channel in settings.channels)
    tags = sum(len(device.tags) for channel in settings.channels for device in channel.devices)
    counts = {"channels": len(settings.channels), "devices": devices, "tags": tags, "uplinks": len(settings.uplinks)}
    if session.out.as_json:
        more = {"notes": [note_row(note) for note in notes]} if notes else {}
        session.out.result({"ok": True, "errors": [], "hash": settings.hash, **counts, **more})
    else:
        for note in notes:
            session.out.line(clean(str(note)))
        text = ", ".join(f"{count} {name[:-1] if count == 1 else name}" for name, count in counts.items())
        session.out.line(f"{folder}: ok, {text}, hash {settings.hash}")
    return Exit.OK


def _missing_libraries(folder: Path, settings: GatewaySettings, drivers: Callable[[str], DriverSpec]) -> list[Note]:
    """Channels that would not run here; the folder may be another machine's, so they are no errors."""
    from gateway.registry import missing_libraries

    found = [(each.id, missing_libraries(drivers(each.driver))) for each in settings.channels if each.enabled]
    if not any(texts for _, texts in found):
        return []
    from gateway.cli.commands.add import document_of
    from gateway.cli.editing import Changes
    from gateway.importing.report import WARNING, Note, Place

    changes = Changes(folder)
    notes = []
    for channel, texts in found:
        file, _ = (document_of(changes, channel) if texts else None) or (f"channel {channel}", 0)
        notes += [Note(Place(file), WARNING, text) for text in texts]
    return notes


def note_row(note: Any) -> dict[str, Any]:
    """A note of an import as data."""
    place = note.place
    where = {"file": place.file, "line": place.line, "column": place.column, "path": place.path}
    return {**where, "kind": note.kind, "text": note.text}


def plan(session: Session) -> int:
    """What would change, without changing it."""
    answer = _ask(session, "plan", {"folder": str(_folder(session))}, _PLAN_S)
    if not answer.get("ok", True):
        return _refused(session, answer)
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    _print_plan(session, answer)
    return Exit.OK


def apply(session: Session) -> int:
    """Make the folder the running configuration; the gateway watches it and goes back when it does harm."""
    args = {"folder": str(_folder(session)), "confirm_within_s": session.option("confirm_within")}
    answer = _ask(session, "apply", args, _APPLY_S)
    if not answer.get("ok", True):
        return _refused(session, answer)
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    _print_plan(session, answer)
    if answer.get("generation") is not None:
        session.out.line(f"generation {answer['generation']} is active, hash {answer.get('hash', '')}")
    if answer.get("restart_required"):
        session.out.line(f"only a restart brings in: {_names(answer['restart_required'])}")
    if answer.get("confirm_by"):
        session.out.line(f"it goes back at {forms.clock(answer['confirm_by'])} unless you say `fieldpost confirm`")
    elif answer.get("gates"):
        within = f" within {forms.span(answer['window_s'])}" if answer.get("window_s") else ""
        session.out.line(
            f"on trial: it goes back by itself unless these come up again{within}: {_names(answer['gates'])}"
        )
        session.out.line(
            "until then nothing else can be applied; `fieldpost confirm` or `fieldpost rollback` ends the trial"
        )
    return Exit.OK


def _ask(session: Session, op: str, args: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Ask the gateway; where none is found, a folder that is wrong is what a person wants to hear of first."""
    from gateway.settings.loader import load_tree
    from rules.expression import RuleExpressions

    try:
        return session.call(op, args, timeout_s)
    except NotRunning:
        try:
            load_tree(_folder(session), expressions=RuleExpressions())
        except ConfigError as err:
            return {"ok": False, "errors": [asdict(problem) for problem in err.problems]}
        raise


def confirm(session: Session) -> int:
    return _done(session, session.call("confirm", timeout_s=_APPLY_S), "is kept")


def rollback(session: Session) -> int:
    to = session.option("to")
    return _done(session, session.call("rollback", {} if to is None else {"to": to}, _APPLY_S), "is active again")


def generations(session: Session) -> int:
    """The configurations that can be gone back to."""
    answer = session.call("generations")
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    rows = [
        (
            "*" if row.get("active") else "",
            str(row.get("number")),
            str(row.get("hash", "")),
            _when(row.get("time")),
            str(row.get("note") or ""),
        )
        for row in answer.get("generations", [])
    ]
    session.out.table(("", ">number", "hash", "made", "note"), rows)
    return Exit.OK


def show_problems(session: Session, problems: Sequence[Problem], outcome: str = "nothing was changed") -> int:
    """Everything wrong with a configuration: one line each, in the form that editors jump to. Returns 78."""
    return _refused(session, {"ok": False, "errors": [asdict(problem) for problem in problems]}, outcome)


def _refused(session: Session, answer: dict[str, Any], outcome: str = "nothing was changed") -> int:
    if session.out.as_json:
        session.out.result(answer)
        return Exit.BAD_CONFIG
    errors = [Problem(**error) for error in answer.get("errors", [])]
    for error in errors[:_MOST_SHOWN]:
        session.out.line(clean(str(error)))
    if len(errors) > _MOST_SHOWN:
        session.out.line(f"... and {len(errors) - _MOST_SHOWN} more (all of them with --json)")
    count = len(errors)
    session.out.line(f"{count} error{'' if count == 1 else 's'}" + (f"; {outcome}" if outcome else ""))
    return Exit.BAD_CONFIG


def _print_plan(session: Session, answer: dict[str, Any]) -> None:
    lines = answer.get("lines") or ["nothing changes"]
    for line in lines:
        session.out.line(clean(str(line)))


def _done(session: Session, answer: dict[str, Any], verb: str) -> int:
    if session.out.as_json:
        session.out.result(answer)
    else:
        session.out.line(str(answer.get("text") or f"generation {answer.get('generation')} {verb}"))
    return Exit.OK


def _folder(session: Session) -> Path:
    folder = session.config_dir
    if not folder.is_dir():
        raise CommandFailed(f"{folder}: no such folder", Exit.BAD_CONFIG)
    return folder


def _names(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def _when(value: Any) -> str:
    return forms.clock(value) if isinstance(value, int | float) else str(value or "-")
