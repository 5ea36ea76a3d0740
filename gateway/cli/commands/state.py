"""status, devices, reads, journal, uplink."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from gateway.cli import forms
from gateway.cli.commands.alarms import entry_line as alarm_line
from gateway.cli.commands.alarms import style_of
from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session

_AWAY_STATES = {"offline", "demoted", "unknown"}
"""States of devices that do not answer, or never did."""
_BAD_STATES = {"offline", "failed", "demoted", "backing_off", "refused", "unauthorized"}


def status(session: Session) -> int:
    """Whether all is well. With --ready the exit status says it to a health check."""
    answer = session.call("status", timeout_s=10.0)
    if session.out.as_json:
        session.out.result(answer)
    else:
        _print_status(session, answer)
    return Exit.OK if answer.get("ready") or not session.args.ready else Exit.FAILED


def devices(session: Session) -> int:
    name = session.option("device")
    answer = session.call("devices", {"device": name} if name else {})
    rows = answer.get("devices", [])
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    extra = [key for key in ("polls", "errors", "overruns", "rtt_ms", "last_error") if any(key in row for row in rows)]
    cells = [
        (
            row["device"],
            str(row.get("channel", "")),
            str(row.get("state", "")),
            *(_kinds(row.get(key)) if key == "errors" else _plain(row.get(key)) for key in extra),
        )
        for row in rows
    ]
    styles = ["bad" if row.get("state") in _BAD_STATES else "" for row in rows]
    heads = [key.replace("_", " ") if key == "last_error" else f">{key.replace('_', ' ')}" for key in extra]
    session.out.table(("device", "channel", "state", *heads), cells, styles)
    _print_callable(session, answer)
    return Exit.OK


def _print_callable(session: Session, answer: dict[str, Any]) -> None:
    """What `fieldpost command call` finds at a device."""
    rows = [
        (each["command"], each["access"], ", ".join(map(_member, each["tags"])), each.get("description", ""))
        for each in answer.get("commands", [])
    ]
    rows += [(each.get("method", ""), "method", "", str(each.get("text", ""))) for each in answer.get("methods", [])]
    if rows:
        session.out.line("")
        session.out.table(("command", "access", "tags", ""), rows)


def _member(item: dict[str, Any]) -> str:
    return f"{item['tag']}={item['default']}" if "default" in item else str(item["tag"])


def _kinds(errors: Any) -> str:
    """Errors by kind: `timeout 3, link 1`."""
    return (
        ", ".join(f"{kind} {count}" for kind, count in errors.items()) if isinstance(errors, dict) else _plain(errors)
    )


def reads(session: Session) -> int:
    """The read plan: how few requests bring all tags, and what they cost on the wire."""
    device = session.option("device")
    if session.option("forget"):
        return _forget_reads(session, device)
    answer = session.call("reads", {"device": device} if device else {})
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    for name, plan in answer.get("devices", {}).items():
        session.out.line(f"{name}: {len(plan.get('requests', []))} requests, {_plain(plan.get('cycle_ms'))} ms a cycle")
        rows = plan.get("requests", [])
        keys = list(dict.fromkeys(key for row in rows for key in row))
        if rows:
            session.out.table(
                [key.replace("_", " ") for key in keys], [[_plain(row.get(key)) for key in keys] for row in rows]
            )
        for row in plan.get("learned", []):
            text = f"learned {forms.clock(row.get('ts'))}: {row.get('what')} ({row.get('reason')})"
            session.out.line(f"  {clean(text)}")
    for name, bus in answer.get("channels", {}).items():
        cycle, predicted = _plain(bus.get("cycle_ms")), _plain(bus.get("predicted_ms"))
        busy = f"{bus.get('load', 0.0):.0%}"
        session.out.line(f"channel {name}: all once in {cycle} ms (predicted {predicted} ms), wire {busy} busy")
    return Exit.OK


def _forget_reads(session: Session, device: str | None) -> int:
    answer = session.call("reads_forget", {"device": device} if device else {})
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    for name, count in answer.get("forgotten", {}).items():
        if count or device:
            session.out.line(f"{name}: {count} facts forgotten; everything is asked again")
    return Exit.OK


_ENTRIES = 20


def journal(session: Session) -> int:
    """Streams, gaps, and the latest entries of one stream; with --format its readings for another system."""
    if session.option("format"):
        from gateway.cli.commands.eventfile import export_events

        return export_events(session)
    for name in ("output", "quality"):
        if session.option(name):
            raise CommandFailed(f"--{name} goes with --format edgex", Exit.USAGE)
    args: dict[str, Any] = {
        "stream": session.option("stream"),
        "limit": session.option("limit") or _ENTRIES,
        "since_ms": None,
    }
    since = session.option("since")
    if since is not None:
        args["since_ms"] = int((time.time() - since) * 1000)
        args["stream"] = args["stream"] or "event"
    answer = session.call("journal", args)
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    if "bytes" in answer:
        session.out.line(f"{forms.size(answer['bytes'])} on disk, epoch {answer.get('epoch', '-')}")
    _print_streams(session, answer.get("streams", {}))
    _print_gaps(session, answer.get("gaps", []))
    for entry in answer.get("entries", []):
        session.out.line(_styled_entry(session, entry))
    return Exit.OK


def uplink(session: Session) -> int:
    """Uplinks with their backlog; `forget NAME` gives up what one has not delivered."""
    if session.args.action == "forget":
        return _forget(session)
    answer = session.call("uplink")
    if session.out.as_json:
        session.out.result(answer)
    else:
        _print_uplinks(session, answer.get("uplinks", {}))
    return Exit.OK


def _forget(session: Session) -> int:
    if not session.args.name:
        raise CommandFailed("which one? write `fieldpost uplink forget NAME`", Exit.USAGE)
    answer = session.call("uplink_forget", {"name": session.args.name}, 60.0)
    if session.out.as_json:
        session.out.result(answer)
    else:
        session.out.line(
            f"uplink {session.args.name} is forgotten; what it had not delivered is not kept for it any more"
        )
    return Exit.OK


def _print_status(session: Session, answer: dict[str, Any]) -> None:
    out = session.out
    config = answer.get("config", {})
    ready = out.styled("ready", "good") if answer.get("ready") else out.styled("not ready", "bad")
    name = answer.get("gateway", "fieldpost")
    drift = ", the folder is another one: see `fieldpost plan`" if config.get("drift") else ""
    rev = f", revision {config['rev']} from afar" if config.get("rev") else ""
    generation = f"generation {config.get('generation')}{rev}{drift}"
    out.line(f"{clean(str(name))}: {ready}, version {answer.get('version')}, {generation}")
    pending = config.get("pending")
    if pending:
        needs = "it needs `fieldpost confirm`" if pending.get("needs_confirm") else "waiting for it to come up"
        out.line(
            out.styled(
                f"generation {pending.get('generation')} is on trial for {forms.age(pending.get('left'))}: {needs}",
                "uncertain",
            )
        )
    if config.get("restart_required"):
        out.line(out.styled(f"restart to bring in: {', '.join(config['restart_required'])}", "uncertain"))
    if answer.get("job"):
        from gateway.cli.commands.jobs import line

        out.line(out.styled(line(answer["job"]), "uncertain"))
    out.line()
    _print_channels(session, answer.get("channels", {}))
    if answer.get("uplinks"):
        out.line()
        _print_uplinks(session, answer["uplinks"])
    if answer.get("servers"):
        out.line()
        _print_servers(session, answer["servers"])
    out.line()
    _print_streams(session, answer.get("journal", {}).get("streams", {}))
    _print_alarms(session, answer.get("alarms", {}), answer.get("rules", {}))
    _print_issues(session, answer.get("issues", []))


def _print_alarms(session: Session, alarms: Mapping[str, Any], rules: Mapping[str, Any]) -> None:
    """Alarms that stand or wait for somebody, and rules that were stopped; nothing while there are none."""
    out, lines = session.out, []
    words = {"active": "active", "unacked": "not acknowledged", "away": "put away"}
    counts = ", ".join(f"{alarms[key]} {text}" for key, text in words.items() if alarms.get(key))
    if counts:
        lines.append((f"alarms: {counts} (`fieldpost alarms`)", ""))
    worst = alarms.get("worst")
    if worst:
        how = f"{worst['state']}, {worst['priority']}, for {forms.since(worst['since'])}"
        lines.append((f"  {worst['key']}: {how}: {worst['text']}", style_of(worst)))
    lines += [(f"rule {name} is stopped (`fieldpost rules show {name}`)", "bad") for name in rules.get("stopped", [])]
    if lines:
        out.line()
    for text, style in lines:
        out.line(out.styled(clean(text), style))


def _print_channels(session: Session, channels: Mapping[str, Any]) -> None:
    rows, styles = [], []
    for name, channel in channels.items():
        states = channel.get("devices", {})
        away = [f"{device} {state}" for device, state in states.items() if state in _AWAY_STATES]
        rows.append((name, str(channel.get("state")), f"{len(states) - len(away)}/{len(states)}", ", ".join(away)))
        bad = not _BAD_STATES.isdisjoint((channel.get("state"), *states.values()))
        styles.append("bad" if bad else "")
    session.out.table(("channel", "state", "devices", ""), rows, styles)


def _print_uplinks(session: Session, uplinks: Mapping[str, Any]) -> None:
    rows, styles = [], []
    for name, uplink_state in uplinks.items():
        backlog = uplink_state.get("backlog") or {}
        rows.append(
            (
                name,
                str(uplink_state.get("state")),
                forms.since(uplink_state.get("since")),
                str(backlog.get("readings", 0)),
                forms.size(backlog.get("bytes", 0)),
                forms.since(backlog.get("oldest")),
                str(uplink_state.get("proof") or "-"),
                str(uplink_state.get("error") or uplink_state.get("last_error") or ""),
            )
        )
        styles.append("" if uplink_state.get("state") == "online" else "bad")
    session.out.table(("uplink", "state", ">for", ">backlog", ">size", ">oldest", "proof", ""), rows, styles)


def _print_servers(session: Session, servers: Mapping[str, Any]) -> None:
    rows, styles = [], []
    for name, server in servers.items():
        clients = [str(client.get("who")) for client in server.get("clients", [])]
        tags, writable = server.get("tags", 0), server.get("writable", 0)
        offers = f"{tags} tags, {writable} writable" if writable else f"{tags} tags"
        place = f"{server.get('kind')} {server.get('listen')}"
        rows.append((name, str(server.get("state")), place, offers, str(len(clients)), ", ".join(clients[:3])))
        styles.append("" if server.get("state") == "listening" else "bad")
    session.out.table(("server", "state", "", "offers", ">clients", ""), rows, styles)


def _print_streams(session: Session, streams: Mapping[str, Any]) -> None:
    rows = [
        (name, _plain(state.get("oldest")), _plain(state.get("last")), _plain(state.get("gaps")))
        for name, state in streams.items()
    ]
    session.out.table(("stream", ">oldest", ">last", ">gaps"), rows)


def _print_gaps(session: Session, gaps: list[dict[str, Any]]) -> None:
    if not gaps:
        return
    keys = list(dict.fromkeys(key for gap in gaps for key in gap))
    rows = [[forms.clock(gap[key]) if key in {"t0", "t1"} else _plain(gap.get(key)) for key in keys] for gap in gaps]
    session.out.line()
    session.out.table(keys, rows)


def _print_issues(session: Session, issues: list[dict[str, Any]]) -> None:
    session.out.line()
    if not issues:
        session.out.line("no open issues")
    for issue in issues:
        head = f"{issue.get('entity')}: {issue.get('text')} (for {forms.since(issue.get('since'))})"
        session.out.line(session.out.styled(clean(head), "bad"))
        if issue.get("repair"):
            session.out.line(f"  -> {clean(str(issue['repair']))}")


def _styled_entry(session: Session, entry: dict[str, Any]) -> str:
    """An entry of an alarm as `alarms --watch` has it, any other with all of its fields."""
    if entry.get("kind") not in ("alarm", "chattering"):
        return clean(_entry_line(entry))
    return session.out.styled(clean(f"{entry.get('seq', '-'):>8}  {alarm_line(entry)}"), style_of(entry))


def _entry_line(entry: Mapping[str, Any]) -> str:
    rest = {key: item for key, item in entry.items() if key not in {"seq", "ts", "kind", "hash", "prev"}}
    details = " ".join(f"{key}={_plain(item)}" for key, item in rest.items())
    return f"{entry.get('seq', '-'):>8}  {forms.clock(entry.get('ts'))}  {entry.get('kind', ''):<8} {details}"


def _counts(item: Any) -> str:
    """Counters by kind as `refused 3, timeout 1`; a number as it is."""
    if isinstance(item, dict):
        return ", ".join(f"{kind} {count}" for kind, count in item.items()) or "0"
    return _plain(item)


def _plain(item: Any) -> str:
    if isinstance(item, dict | list):
        return json.dumps(item, ensure_ascii=False)
    return forms.value(item)
