"""Just enough of JSON Schema to check our own schemas: every keyword that they use, and an error for any other."""

from __future__ import annotations

import re
from typing import Any

_NOTES = {"$schema", "title"}
_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


def faults(value: Any, schema: dict[str, Any], path: str = "$") -> list[str]:
    """What in `value` the schema refuses."""
    found: list[str] = []
    for word, rule in schema.items():
        if word in _NOTES:
            continue
        found += [
            f"{path}: {fault}" if not fault.startswith("$") else fault
            for fault in _word(word, rule, value, schema, path)
        ]
    return found


def _word(word: str, rule: Any, value: Any, schema: dict[str, Any], path: str) -> list[str]:
    match word:
        case "type":
            names = rule if isinstance(rule, list) else [rule]
            return [] if any(_is(value, name) for name in names) else [f"is no {rule}"]
        case "properties":
            below = value if isinstance(value, dict) else {}
            return [fault for key in below if key in rule for fault in faults(below[key], rule[key], f"{path}.{key}")]
        case "additionalProperties":
            extra = [key for key in value if key not in schema.get("properties", {})] if isinstance(value, dict) else []
            if rule is False:
                return [f"has the unknown key {key}" for key in extra]
            return [fault for key in extra for fault in faults(value[key], rule, f"{path}.{key}")]
        case "required":
            return [f"lacks {key}" for key in rule if isinstance(value, dict) and key not in value]
        case "anyOf":
            return [] if any(not faults(value, one, path) for one in rule) else ["fits no alternative"]
        case "enum":
            return [] if value in rule else [f"is none of {rule}"]
        case "const":
            return [] if value == rule else [f"is not {rule}"]
        case "pattern":
            return [] if not isinstance(value, str) or re.search(rule, value) else [f"does not match {rule}"]
        case "items":
            items = value if isinstance(value, list) else []
            return [fault for index, item in enumerate(items) for fault in faults(item, rule, f"{path}[{index}]")]
        case "minItems" | "maxItems" if isinstance(value, list):
            return [] if (len(value) >= rule) == (word == "minItems") or len(value) == rule else [f"{word} is {rule}"]
        case "minimum" | "maximum" | "exclusiveMinimum" if isinstance(value, int | float):
            fine = {"minimum": value >= rule, "maximum": value <= rule, "exclusiveMinimum": value > rule}
            return [] if fine[word] else [f"{word} is {rule}"]
        case "minItems" | "maxItems" | "minimum" | "maximum" | "exclusiveMinimum":
            return []
    raise AssertionError(f"the keyword {word} is not known here")


def _is(value: Any, name: str) -> bool:
    if name in {"integer", "number"}:
        return isinstance(value, int if name == "integer" else int | float) and not isinstance(value, bool)
    return isinstance(value, _TYPES[name])
