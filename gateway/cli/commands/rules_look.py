"""rules ls, show, why: the rules of the running gateway, and why something happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.cli import forms
from gateway.cli.commands.alarms import happened, remarks, style_of
from gateway.cli.output import clean
from gateway.cli.session import Exit, Session

_SHOWN = 5
_WHY_S = 120.0

Row = dict[str, Any]


def list_rules(session: Session) -> int:
    """Rules with their phase, and the tags without an address."""
    answer = session.call("rules")
    out = session.out
    if out.as_json:
        out.result(answer)
        return Exit.OK
    rows = answer["rules"]
    if rows:
        cells = [(row["id"], _phase(row), str(row["when"]), _remark(row)) for row in rows]
        out.table(("rule", "phase", "when", ""), cells, [_style(row) for row in rows])
    else:
        out.line("no rules")
    if answer["virtuals"]:
        out.line()
        tags = [
            (row["tag"], forms.value(row["value"]), row["quality"], row["kind"], str(row["expression"]))
            for row in answer["virtuals"]
        ]
        styles = [forms.quality_style(row["quality"]) for row in answer["virtuals"]]
        out.table(("virtual tag", ">value", "quality", "kind", "expression"), tags, styles)
    return Exit.OK


def show_rule(session: Session) -> int:
    """One rule or alarm."""
    answer = session.call("rule_show", {"name": session.args.name, "last": _SHOWN}, _WHY_S)
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    _print_head(session, answer)
    _print_inputs(session, "it looks at", answer["inputs"])
    if answer["runs"]:
        session.out.line()
        rows = [_run_cells(run) for run in answer["runs"]]
        session.out.table(("last runs", "condition since", ">lasted", "what it did"), rows)
    return Exit.OK


def why(session: Session) -> int:
    """From an alarm, or a run of a rule, back to the readings."""
    answer = session.call("rule_why", {"name": session.args.name, "last": session.args.last}, _WHY_S)
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    _print_head(session, answer)
    if not answer["runs"]:
        session.out.line()
        session.out.line("the journal holds no time at which it was active")
    for run in answer["runs"]:
        session.out.line()
        _print_run(session, run)
    return Exit.OK


def _phase(row: Row) -> str:
    """The phase of a rule with how long, or until when a delay runs."""
    due = max(0, row["due"] - forms.now_ms()) if row["due"] else 0
    if row.get("held"):
        return f"{row['state']}, {forms.age(row.get('left'))} to go once its inputs are good"
    if row["state"] == "by_clock":
        return f"by the clock, next in {forms.age(due)}" if row["due"] else "by the clock"
    if row["due"]:
        return f"{row['state']}, {forms.age(due)} to go"
    return f"{row['state']} for {forms.since(row['since'])}" if row["since"] else str(row["state"])


def _remark(row: Row) -> str:
    running = f"sequence {row['sequence']} runs" if row["sequence"] else ""
    said = [row["fault"], "dry run" if row["dry_run"] else "", running, row["description"]]
    return "; ".join(text for text in said if text)


def _style(row: Row) -> str:
    return {"stopped": "bad", "pending": "uncertain", "ending": "uncertain", "active": "bold"}.get(row["state"], "")


def _print_head(session: Session, answer: Row) -> None:
    """What is asked about, and how it is now."""
    out, rule, alarm = session.out, answer["rule"], answer["alarm"]
    if rule:
        out.line(out.styled(clean(f"rule {rule['id']}: {_phase(rule)}"), _style(rule)))
        for text in _parts(answer.get("details", {}), {name: rule[name] for name in ("when", "until")}):
            out.line(clean(f"  {text}"))
        if _remark(rule):
            out.line(clean(f"  {_remark(rule)}"))
    if alarm:
        head = f"alarm {alarm['key']}: {alarm['state']}, {alarm['priority']}, {alarm['text']}".rstrip(", ")
        out.line(out.styled(clean(head), style_of(alarm)))
        own = {} if rule else answer.get("details", {})
        for text in _parts(own, {"limit": alarm["limit"], "active": answer["on"], "over": answer["off"]}):
            out.line(clean(f"  {text}"))
        if alarm["action"]:
            out.line(clean(f"  -> {alarm['action']}"))


def _parts(details: Row, written: Row) -> Iterator[str]:
    """Conditions and whether they are true now, delays, steps, and what windows hold; a line each."""
    conditions = {row["name"]: row for row in details.get("conditions", ())}
    for name, text in (written | {name: row["text"] for name, row in conditions.items()}).items():
        if text:
            yield f"{name}: {text}{_now(conditions[name]) if name in conditions else ''}"
    for name in ("for", "on_delay", "off_delay"):
        if details.get(name):
            yield f"{name}: {forms.age(details[name])}"
    if details.get("on_bad"):
        yield f"on_bad: {details['on_bad']}"
    for name in ("start", "end"):
        if details.get(name):
            yield f"{name}: {'; '.join(details[name])}"
    for row in details.get("windows", ()):
        yield from _window(row)


def _now(condition: Row) -> str:
    said = {True: "true", False: "false", None: f"not known, as {condition['because']}"}[condition["now"]]
    return f"   (now {said})"


def _window(row: Row) -> Iterator[str]:
    wide = f"{row['samples']} samples" if row.get("samples") else forms.age(row["size"])
    hop = f", {forms.age(row['hop'])}" if row.get("hop") else ""
    for figure, value in row["values"].items():
        yield f"{figure}({row['tag']}, {wide}{hop}) is {'not known' if value is None else forms.value(value)}"


def _print_inputs(session: Session, title: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    session.out.line()
    cells = [(row["tag"], forms.value(row["value"]), row["quality"], forms.clock_ms(row["ts"])) for row in rows]
    session.out.table(
        (title, ">value", "quality", "time"), cells, [forms.quality_style(row["quality"]) for row in rows]
    )


def _print_run(session: Session, run: Row) -> None:
    """One activation, in the order of a question and its answers."""
    out, begin = session.out, run["begin"]
    active = begin.get("t_active") or begin["ts"]
    began = begin.get("t_cond") or active
    text = begin.get("text") or next((row["text"] for row in run["transitions"] if row.get("text")), "")
    what = begin.get("event") or begin.get("what")
    out.line(out.styled(clean(f"{forms.clock_ms(active)}  {what}  {text}".rstrip()), "bold"))
    waited = f", {forms.age(active - began)} before" if active > began else ""
    out.line(f"  its condition began {forms.clock_ms(began)}{waited}")
    _print_inputs(session, "it looked at", run["inputs"])
    if run["readings"]:
        out.line()
        cells = [
            (forms.clock_ms(row["ts"]), row["tag"], forms.value(row["value"]), row["quality"])
            for row in run["readings"]
        ]
        styles = [
            forms.quality_style(row["quality"]) or ("dim" if row["ts"] < began else "") for row in run["readings"]
        ]
        out.table(("readings", "tag", ">value", "quality"), cells, styles)
        if run["left_out"]:
            out.line(out.styled(f"({run['left_out']} more readings in between)", "dim"))
    _print_actions(session, run)
    if run["transitions"]:
        out.line()
        out.line(out.styled("the alarm", "dim"))
        for entry in run["transitions"]:
            text = "  ".join(text for text in (forms.clock_ms(entry["ts"]), happened(entry), *remarks(entry)) if text)
            out.line(out.styled(clean(f"  {text}"), style_of(entry)))


def _print_actions(session: Session, run: Row) -> None:
    """What the rule did, and how it ended."""
    found = [(row["ts"], _event(row), "bad" if row["what"] in ("failed", "cut") else "") for row in run["events"]]
    found += [(row["ts"], action_text(row), "" if _is_well(row) else "bad") for row in run["actions"]]
    if not found:
        return
    session.out.line()
    session.out.line(session.out.styled("the rule", "dim"))
    for ts, text, style in sorted(found, key=lambda row: row[0]):
        session.out.line(session.out.styled(clean(f"  {forms.clock_ms(ts)}  {text}"), style))


def _event(row: Row) -> str:
    return f"{row['what']}{': ' + row['text'] if row.get('text') else ''}"


def _is_well(row: Row) -> bool:
    return row.get("state", "ok") in ("ok", "dry_run", "superseded")


def action_text(row: Row) -> str:
    """An audit entry of a rule's action in one line: what, where, how it ended."""
    where = ".".join(str(row[key]) for key in ("device", "tag") if row.get(key))
    where = where or str(row.get("topic") or row.get("host") or "")
    said = [str(row.get("what", "")), str(row.get("op") or ""), where]
    if "new" in row:
        said.append(
            f"{forms.value(row['old'])} -> {forms.value(row['new'])}" if "old" in row else forms.value(row["new"])
        )
    said += [str(one) for one in row.get("values", ())]
    said += [", ".join(row["to"])] if row.get("to") else []
    said += [str(row["message"])] if row.get("message") else []
    result = [str(row[key]) for key in ("state", "code") if key in row]
    result += ["dry run"] if row.get("dry_run") and row.get("state") != "dry_run" else []
    result += [str(row["text"])] if row.get("text") else []
    return "  ".join(text for text in (*said, f"({' '.join(result)})" if result else "") if text)


def _run_cells(run: Row) -> tuple[str, ...]:
    begin = run["begin"]
    active = begin.get("t_active") or begin["ts"]
    ends = [row["ts"] for row in run["events"] if row["what"] == "ended"]
    ends += [row["ts"] for row in run["transitions"] if row.get("event") == "clear"]
    began = begin.get("t_cond")
    lasted = forms.age(min(ends) - begin["ts"]) if ends else "" if begin.get("what") == "ran" else "not over"
    counts = [action_text(row) for row in run["actions"]]
    more = f" and {len(counts) - 1} more" if len(counts) > 1 else ""
    return (
        forms.clock_ms(active),
        forms.clock_ms(began) if began else "",
        lasted,
        f"{counts[0]}{more}" if counts else "",
    )
