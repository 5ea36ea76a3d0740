"""alarms: what stands, and what somebody does about it."""

from __future__ import annotations

from typing import Any

from gateway.cli import forms
from gateway.cli.commands.byhand import say_unkept, who
from gateway.cli.fitting import columns, fitted
from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session

_AWAY = ("shelved", "suppressed", "out_of_service")
_ACTIVE = ("unack_active", "ack_active")
_SERIOUS = ("high", "urgent")
_HEADER = ("alarm", "state", "priority", ">for", ">value", "text", "note")
_LEAST = {"text": 14, "note": 10}
_SPARE = (">value", "note", "priority", ">for", "text")
"""Left out where there is no room, in this order."""


def alarms(session: Session) -> int:
    """The alarms, or an act on one of them."""
    what = session.args.what
    return {"ls": _list, "ack": _ack}[what](session) if what in ("ls", "ack") else _act(session, what)


def _list(session: Session) -> int:
    if session.option("watch"):
        return _watch(session)
    stats = bool(session.option("stats"))
    answer = session.call("alarms", {"all": bool(session.option("all")), "stats": stats})
    if session.out.as_json:
        session.out.result(answer)
    elif stats:
        _print_stats(session, answer["stats"])
    else:
        _print_rows(session, answer["alarms"])
    return Exit.OK


def _watch(session: Session) -> int:
    """What stands, then one transition a line until interrupted."""
    if session.option("all") or session.option("stats"):
        raise CommandFailed("--watch shows what happens, without --all and --stats", Exit.USAGE)
    try:
        with session.client() as client:
            for item in client.stream("alarms_watch"):
                if session.out.as_json:
                    session.out.result(item)
                elif "alarms" in item:
                    _print_rows(session, item["alarms"])
                elif "entry" in item:
                    entry = item["entry"]
                    session.out.line(session.out.styled(clean(entry_line(entry)), style_of(entry)))
                else:
                    session.out.line(f"({item.get('dropped')} transitions came faster than they could be shown)")
    except KeyboardInterrupt:
        return Exit.OK
    return Exit.FAILED  # the gateway ended it


def _ack(session: Session) -> int:
    name = session.option("name")
    if (name is None) == (not session.args.everything):
        raise CommandFailed("acknowledge which one? name it, or say --all for all that wait", Exit.USAGE)
    asked = {"id": name} if name is not None else {"all": True}
    return _done(session, session.call("alarm_ack", {**asked, **_said(session)}))


def _act(session: Session, what: str) -> int:
    asked: dict[str, Any] = {"id": session.args.name, **_said(session)}
    if what == "shelve":
        asked["for_s"] = session.args.lasting
    elif what == "out-of-service":
        asked["on"] = session.args.on
    return _done(session, session.call(f"alarm_{what.replace('-', '_')}", asked))


def _said(session: Session) -> dict[str, Any]:
    return {"comment": session.args.comment, "who": who()}


def _done(session: Session, answer: dict[str, Any]) -> int:
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    until = f" until {forms.clock(answer['until'])}" if "until" in answer else ""
    for one in answer["alarms"]:
        session.out.line(clean(f"{one['key']}: {one['before']} -> {one['state']}{until}"))
    if not answer["alarms"]:
        session.out.line("no alarm waits for an acknowledgement")
    say_unkept(session, answer)
    return Exit.OK


def _print_rows(session: Session, rows: list[dict[str, Any]]) -> None:
    if not rows:
        session.out.line("no alarms")
        return
    header, cells = fitted(_HEADER, [_cells(row) for row in rows], columns(), least=_LEAST, spare=_SPARE)
    session.out.table(header, cells, [style_of(row) for row in rows])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(row["key"]),
        str(row["state"]),
        str(row["priority"]),
        forms.since(row["since"]) if row["since"] else "",
        forms.value(row["value"]) if row["value"] is not None else "",
        str(row["text"]),
        "; ".join(_remarks(row)),
    )


def _remarks(row: dict[str, Any]) -> list[str]:
    """What else matters of an alarm now."""
    by = f" by {row['who']}" if row["who"] else ""
    said = [f"back in {forms.age(row['left'])}{by}"] if row["left"] else [by.strip()] if by else []
    if row["comment"]:
        said.append(str(row["comment"]))
    if row["reasons"] and row["state"] == "suppressed":
        said.append(", ".join(row["reasons"]))
    if row["condition"] and row["state"] in _AWAY:
        said.append("its condition is active")
    if row["quality"]:
        said.append(f"input {row['quality']}")
    said += [word.replace("_", " ") for word in ("first_out", "chattering") if row[word]]
    if row["action"] and row["state"].startswith("unack"):
        said.append(f"-> {row['action']}")
    return said


def style_of(row: dict[str, Any]) -> str:
    """The style of an alarm or of an entry: what is serious and waits for somebody is seen first."""
    state = str(row.get("state", ""))
    if state == "unack_active":
        return "bad" if row.get("priority") in _SERIOUS else "uncertain"
    return "uncertain" if state.startswith("unack") else "dim" if state in (*_AWAY, "normal") else ""


def entry_line(entry: dict[str, Any]) -> str:
    """A transition in one line."""
    name = f"{entry.get('id')}@{entry.get('entity') or entry.get('device')}"
    said = [forms.clock(entry.get("ts")), name, happened(entry), entry.get("priority", ""), entry.get("text", "")]
    return "  ".join(str(text) for text in (*said, *remarks(entry)) if text)


def happened(entry: dict[str, Any]) -> str:
    """What happened to an alarm and where that left it."""
    what, state = entry.get("event"), str(entry.get("state"))
    if entry.get("kind") == "chattering":
        count = entry.get("n", 1)
        what = f"{count} transitions" if count > 1 else "active" if state in _ACTIVE else "clear"
        what = f"{what} (chattering)"
    return f"{what or entry.get('kind')} -> {state}"


def remarks(entry: dict[str, Any]) -> list[str]:
    """What else a transition says."""
    by, comment = entry.get("who"), entry.get("comment")
    return [
        f"value {forms.value(entry['value'])}" if entry.get("value") is not None else "",
        f"input {entry['quality']}" if entry.get("quality") else "",
        f"until {forms.clock(entry['until'])}" if entry.get("until") else "",
        f"by {by}{f': {comment}' if comment else ''}" if by else str(comment or ""),
    ]


def _print_stats(session: Session, stats: dict[str, Any]) -> None:
    out, rate = session.out, stats["per_10_min"]
    out.line(f"{stats['alarms']} alarms in {forms.since(stats['since'])}")
    out.line(f"in 10 minutes: {rate['now']} now, {rate['peak']} at most, {rate['average']:g} on average")
    states = ", ".join(f"{count} {state}" for state, count in stats["states"].items())
    out.line(f"states: {states or 'no alarm is configured'}")
    if stats["flood"]:
        flood = stats["flood"]
        out.line(out.styled(f"a flood since {forms.clock(flood['begin'])}: {flood['alarms']} alarms", "bad"))
    for flood in stats["floods"]:
        out.line(f"flood {forms.clock(flood['begin'])} to {forms.clock(flood['end'])}: {flood['alarms']} alarms")
    for key, text in (("stale", "active for more than 24 h"), ("chattering", "chattering")):
        if stats[key]:
            out.line(clean(f"{text}: {', '.join(stats[key])}"))
    if stats["top"]:
        out.line()
        rows = [(one["key"], str(one["count"]), f"{one['share']:g} %") for one in stats["top"]]
        out.table(("most frequent", ">times", ">share"), rows)
