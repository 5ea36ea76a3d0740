"""What the demo shows: pure text from answers of the gateway. No terminal, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.cli import forms
from gateway.cli.output import Output, clean

_BLOCK = 50
_GAP = 2


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the demo."""

    seconds: float
    status: Mapping[str, Any]
    tags: Sequence[Mapping[str, Any]]
    broker: str
    broker_running: bool
    received: str = ""
    notice: str = ""
    hints: Sequence[str] = field(default_factory=tuple)


def screen(view: View, width: int, height: int, out: Output) -> list[str]:
    """Lines for a terminal of this size; values give way first when it is small."""
    head = [out.styled(_fit(_headline(view), width), "bold"), ""]
    foot = ["", *(_styled_fit(text, style, width, out) for text, style in _footer(view))]
    room = max(3, height - len(head) - len(foot))
    return [*head, *_values(view.tags, width, room, out), *foot]


def lines(view: View) -> list[str]:
    """The same for a pipe or a log: one line per device, one for uplinks, one for the journal."""
    parts: dict[str, list[str]] = {}
    for row in view.tags:
        parts.setdefault(str(row["device"]), []).append(_inline(row))
    stamp = _running(view.seconds)
    texts = [f"{device}: {', '.join(values)}" for device, values in parts.items()]
    texts += [_uplink_line(view), _broker_line(view), _journal_line(view)]
    if view.received:
        texts.append(view.received)
    return [clean(f"{stamp} {text}") for text in texts]


def received(streams: Sequence[Mapping[str, Any]]) -> str:
    """What a consumer at the broker has, from the report of its ledger: the proof, running along."""
    readings = [row for row in streams if row["stream"] == "telemetry"]
    count = sum(row["received"] for row in readings)
    missing = sum(last - first + 1 for row in streams for first, last in row["missing"])
    again = sum(row["duplicates"] for row in streams)
    return f"proof    a consumer at the broker has {count} readings, {missing} missing, {again} came twice"


def is_live(tags: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every device has brought a good value."""
    return bool(tags) and all(row.get("quality") == "good" for row in tags)


def _values(tags: Sequence[Mapping[str, Any]], width: int, room: int, out: Output) -> list[str]:
    columns = _columns(_blocks(tags), max(1, (width + _GAP) // (_BLOCK + _GAP)))
    tall = max((len(column) for column in columns), default=0)
    shown = min(tall, room if tall <= room else room - 1)
    text = []
    for number in range(shown):
        cells = [column[number] if number < len(column) else ("", "") for column in columns]
        text.append(
            (" " * _GAP).join(_styled_fit(cell, style, min(_BLOCK, width), out, pad=True) for cell, style in cells)
        )
    if shown < tall:
        text.append(out.styled(_fit("... more values than this window has lines", width), "dim"))
    return text


def _blocks(tags: Sequence[Mapping[str, Any]]) -> list[list[tuple[str, str]]]:
    """Per device its heading and rows, as text and style."""
    blocks: dict[str, list[tuple[str, str]]] = {}
    for row in tags:
        block = blocks.setdefault(str(row["device"]), [(str(row["device"]), "bold")])
        value = str(row["label"]) if row.get("label") else forms.value(row.get("value"))
        quality = str(row.get("quality"))
        unit, old = row.get("unit") or "", forms.age(row.get("age"))
        text = f"  {row['tag']!s:<18.18}{value:>10.10} {unit:<5.5}{quality:<8.8}{old:>6}"
        block.append((clean(text), forms.quality_style(quality)))
    return list(blocks.values())


def _columns(blocks: list[list[tuple[str, str]]], count: int) -> list[list[tuple[str, str]]]:
    """Blocks in order, each column filled to about its share."""
    total = sum(len(block) for block in blocks)
    columns: list[list[tuple[str, str]]] = [[]]
    for block in blocks:
        if len(columns) < count and columns[-1] and len(columns[-1]) + len(block) / 2 > total / count:
            columns.append([])
        columns[-1] += block
    return columns


def _headline(view: View) -> str:
    channels = view.status.get("channels", {})
    states = [state for channel in channels.values() for state in channel.get("devices", {}).values()]
    online = sum(state == "online" for state in states)
    ready = "ready" if view.status.get("ready") else "starting"
    counts = f"{online} of {len(states)} devices online, {len(view.tags)} tags"
    return f"Fieldpost demo  {_running(view.seconds)}  gateway {ready}, {counts}"


def _footer(view: View) -> list[tuple[str, str]]:
    issues = view.status.get("issues", [])
    rows = [
        (_uplink_line(view), "" if _all_online(view) else "uncertain"),
        (_broker_line(view), "" if view.broker_running else "uncertain"),
        (_journal_line(view), ""),
    ]
    if view.received:
        rows.append((view.received, ""))
    rows += [(f"issue    {issue.get('entity')}: {issue.get('text')}", "bad") for issue in issues[:3]]
    if view.notice:
        rows.append((view.notice, "bold"))
    return rows + [(hint, "dim") for hint in view.hints]


def _all_online(view: View) -> bool:
    return all(uplink.get("state") == "online" for uplink in view.status.get("uplinks", {}).values())


def _uplink_line(view: View) -> str:
    texts = []
    for name, uplink in view.status.get("uplinks", {}).items():
        backlog = uplink.get("backlog") or {}
        waiting = f"{backlog.get('readings', 0)} readings wait"
        if backlog.get("oldest"):
            waiting += f", the oldest for {forms.since(backlog['oldest'])}"
        texts.append(f"{name} {uplink.get('state')} for {forms.since(uplink.get('since'))}, {waiting}")
    return f"uplink   {'; '.join(texts) or 'none'}"


def _broker_line(view: View) -> str:
    return f"broker   {'running' if view.broker_running else 'STOPPED'}: {view.broker}"


def _journal_line(view: View) -> str:
    journal = view.status.get("journal", {})
    streams = [
        f"{name} {state.get('oldest')}..{state.get('last')}" + (f", {state['gaps']} gaps" if state.get("gaps") else "")
        for name, state in journal.get("streams", {}).items()
        if state.get("last")
    ]
    return f"journal  {'; '.join(streams) or 'empty'}; {forms.size(journal.get('bytes', 0))} on disk"


def _inline(row: Mapping[str, Any]) -> str:
    value = str(row["label"]) if row.get("label") else forms.value(row.get("value"))
    unit = f" {row['unit']}" if row.get("unit") else ""
    quality = "" if row.get("quality") == "good" else f" [{row.get('quality')}, {forms.age(row.get('age'))} old]"
    return f"{row['tag']} {value}{unit}{quality}"


def _running(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _fit(text: str, width: int) -> str:
    flat = clean(text)
    return flat if len(flat) <= width else flat[: max(0, width - 1)] + "\N{HORIZONTAL ELLIPSIS}"


def _styled_fit(text: str, style: str, width: int, out: Output, *, pad: bool = False) -> str:
    fitted = _fit(text, width)
    return out.styled(fitted.ljust(width) if pad else fitted, style)
