"""Plain data as YAML in one line, quoted wherever a reader could take it for something else."""

from __future__ import annotations

import json
import re
from typing import Any

from gateway.settings.yaml_reader import scalar_from_text

_PLAIN = re.compile(r"[\w°/](?:[\w°²³/. +-]*[\w°²³/.+-])?")
_WORDS = {"", "null", "true", "false", "yes", "no", "on", "off"}


def entry(key: str, value: Any) -> str:
    return f"{flow(key)}: {flow(value)}"


def flow(value: Any) -> str:
    """Data in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(entry(key, each) for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS and scalar_from_text(value) == value:
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())
