"""The words of a message: fields of an alarm, templates, and the usual form of each way. Pure.

Fields are what is kept while a message waits; it gets its words when it leaves, so that it can say what happened since.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from gateway.model import Value
from gateway.notifying.ports import News
from gateway.rulebook import NOTIFY_FIELDS

Fields = dict[str, Any]

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_NOTE = "note"
"""Field of what is added to `text`, for templates without it."""
_LONGEST = 4000
_SUBJECT = 150


def fields_of(news: News, gateway: str) -> Fields:
    """What a message may say of an alarm."""
    spec = news.spec
    return {
        "gateway": gateway,
        "id": spec.id,
        "entity": spec.entity,
        "tag": spec.tag,
        "event": news.event,
        "state": news.state,
        "priority": spec.priority,
        "text": (news.text or spec.text or spec.id)[:_LONGEST],
        "action": spec.action[:_LONGEST],
        "limit": spec.limit,
        "value": _plain(news.value),
        "quality": news.quality,
        "time": _iso(news.when.wall),
        "active_since": _iso(news.t_active) if news.t_active else "",
        "who": news.who,
        "comment": news.comment,
    }


def said(text: str, who: str, gateway: str, wall_ms: int) -> Fields:
    """A message that is about no alarm: somebody's own words."""
    empty = dict.fromkeys(NOTIFY_FIELDS, "")
    return {**empty, "gateway": gateway, "text": text[:_LONGEST], "who": who, "time": _iso(wall_ms)}


def with_count(fields: Fields, held_back: int, repetition: tuple[int, int] | None) -> Fields:
    """Fields that say how many messages nobody got, and that this one was told before."""
    note = "" if repetition is None else " (told again, {} of {})".format(*repetition)
    if held_back:
        note += f" ({held_back} more message{'s were' if held_back > 1 else ' was'} held back)"
    return {**fields, "text": fields["text"] + note, _NOTE: note.strip()} if note else fields


def body(template: str, fields: Fields, *, as_json: bool) -> str:
    """The words of a message. Without a template: a JSON object of all fields, or lines for a person to read."""
    if template:
        text = render(template, fields)
        note = fields.get(_NOTE, "") if "{text}" not in template and not _is_json(template) else ""
        return f"{text}\n{note}" if note else text
    if as_json:
        given = {name: value for name, value in fields.items() if name != _NOTE and value not in ("", None)}
        return json.dumps(given, ensure_ascii=False)
    return _lines(fields)


def render(template: str, fields: Fields) -> str:
    """`template` with its `{fields}` filled in. In a template that is JSON, texts are escaped as JSON wants it."""
    as_json = _is_json(template)

    def fill(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        text = _shown(fields.get(match[1], match[0]))
        return json.dumps(text, ensure_ascii=False)[1:-1] if as_json else text

    return _PLACE.sub(fill, template)


def _is_json(template: str) -> bool:
    """Whether a template makes a JSON object or array: its first brace is a doubled one."""
    return template.lstrip()[:2] == "{{" or template.lstrip()[:1] == "["


def subject(fields: Fields) -> str:
    """One line that says it all."""
    name = f"{fields['priority']} {fields['entity']} {fields['id']} {fields['state']}: " if fields["id"] else ""
    line = " ".join(f"[{fields['gateway'] or 'fieldpost'}] {name}{fields['text']}".split())
    return line if len(line) <= _SUBJECT else line[: _SUBJECT - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _lines(fields: Fields) -> str:
    """All that is known, a line each."""
    rows = [str(fields["text"]), ""]
    names = ("entity", "id", "state", "priority", "value", "quality", "limit", "time", "active_since", "who", "comment")
    rows += [
        f"{name.replace('_', ' ')}: {_shown(fields[name])}" for name in names if fields.get(name) not in ("", None)
    ]
    if fields["action"]:
        rows += ["", f"What to do: {fields['action']}"]
    return "\n".join(rows) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _plain(value: Value) -> Any:
    """As JSON carries it."""
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _iso(wall_ms: int) -> str:
    return datetime.fromtimestamp(wall_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
