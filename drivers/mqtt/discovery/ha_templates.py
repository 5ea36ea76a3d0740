"""Home Assistant's templates, as far as they only pick a value: everything else is not understood, and said so."""

from __future__ import annotations

import json
import re
from typing import Any

from drivers.mqtt.commands import MARK
from drivers.mqtt.jsonpath import PathError, parse, write

_VALUE = re.compile(
    r"\{\{-?\s*value_json(?P<place>(?:\s*\.\s*\w+|\s*\[\s*(?:-?\d+|'[^'\\]*'|\"[^\"\\]*\")\s*\])*)"
    r"(?P<filters>(?:\s*\|\s*(?:float|is_defined)\s*(?:\(\s*\))?)*)"
    r"(?:\s*(?P<sign>[*/])\s*(?P<number>\d+(?:\.\d+)?))?\s*-?\}\}\s*"
)
_WHOLE = re.compile(r"\{\{-?\s*value(?:\s*\|\s*(?:float|string|is_defined)\s*(?:\(\s*\))?)*\s*-?\}\}\s*")
_COMMAND = re.compile(r"\{\{-?\s*value(?:\s*\|\s*(?:float|int|string)\s*(?:\(\s*\))?)*\s*-?\}\}")
_SPACE = re.compile(r"\s*(\.|\[|\])\s*")


class NotUnderstood(ValueError):
    """A template that does more than pick a value."""


def value_keys(template: Any) -> dict[str, Any]:
    """A tag's keys that do what a value template does: `path`, or `format: plain`; `scale`. Raises NotUnderstood."""
    if template is None:
        return {"format": "plain"}
    text = template.strip() if isinstance(template, str) else ""
    if _WHOLE.fullmatch(text):
        return {"format": "plain"}
    match = _VALUE.fullmatch(text)
    if match is None:
        raise NotUnderstood(f"the template {template!r}")
    try:
        path = write(parse("$" + _SPACE.sub(r"\1", match["place"])))
    except PathError as error:
        raise NotUnderstood(f"the template {template!r}") from error
    keys: dict[str, Any] = {"path": path}
    if match["sign"]:
        number = float(match["number"])
        if number == 0:
            raise NotUnderstood(f"the template {template!r}")
        keys["scale"] = number if match["sign"] == "*" else 1 / number
    return keys


def payload_of(template: Any) -> Any:
    """A command's payload that does what a command template does; None for the value alone. Raises NotUnderstood."""
    if template is None:
        return None
    if not isinstance(template, str):
        raise NotUnderstood(f"the template {template!r}")
    filled = _COMMAND.sub(MARK, template.strip())
    if "{{" in filled or "{%" in filled or (MARK in template):
        raise NotUnderstood(f"the template {template!r}")
    if filled == MARK:
        return None
    try:
        structure = json.loads(filled.replace(MARK, f'"{MARK}"'))
    except ValueError:
        return filled
    return structure if isinstance(structure, dict | list) else filled
