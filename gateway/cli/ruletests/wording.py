"""Effects as people write them in a test, so that what came can be copied into it."""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@+-]*( [A-Za-z0-9_./@+-]+)*\Z")
_WORDS = {"true", "false", "null"}
_ON_TAGS = ("write", "desired", "set")
_ALARM = ("state", "event")
_TEXT_OF = {"publish": "payload", "webhook": "body"}
_NAME_OF = {"publish": "topic", "webhook": "url", "command": "op"}


def item_text(item: Any) -> str:
    """Plain data in YAML's flow form, on one line."""
    if isinstance(item, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {item_text(value)}" for key, value in item.items()) + "}"
    if isinstance(item, list):
        return "[" + ", ".join(item_text(value) for value in item) + "]"
    return _scalar(item)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and value not in _WORDS and not value[0].isdigit():
        return value
    return json.dumps(value, ensure_ascii=False)


def effect_text(line: dict[str, Any]) -> str:
    """A line of outcomes as an item of `expect`."""
    if line["kind"] == "alarm":
        return item_text({"alarm": line["id"], **{name: line[name] for name in _ALARM}})
    if line["kind"] == "rule":
        return item_text({name: line[name] for name in ("rule", "what", "text") if name in line})
    kind = line["what"]
    if kind in _ON_TAGS:
        return item_text({kind: line.get("values", {})})
    text = line.get("text", "")
    if kind in _NAME_OF:
        named = {_NAME_OF[kind]: line.get(_NAME_OF[kind], "")}
        if kind == "command":
            named |= {name: line[name] for name in ("device", "args") if name in line}
        elif text:
            named |= {_TEXT_OF[kind]: text}
        return item_text({kind: named})
    return item_text({kind: text})


def moment(ms: int) -> str:
    """A time of a test as it is written in one: `11s`, `90m`, `2h`, `1.5s`."""
    for unit, size in (("h", 3_600_000), ("m", 60_000)):
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".") + "s"
