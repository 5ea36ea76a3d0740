"""Values of type `object`: a list or a map as one value (an OPC UA structure or array, a part of a JSON document).

Inside the gateway and on disk such a value is its JSON text: compared, kept and measured like any text, and nobody can
change it under another's hands. People and programs at the gateway see the list or map.
"""

from __future__ import annotations

import json
from typing import Any


def to_text(value: Any) -> str:
    """A list or map as its value. Raises ValueError for anything else, and for what JSON does not know."""
    if not isinstance(value, dict | list):
        raise ValueError(f"a list or a map is wanted; got {_shown(value)}")  # noqa: TRY004 - one error for all that does not fit
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error


def from_text(text: str) -> Any:
    """The list or map of a value. Raises ValueError."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict | list):
        raise ValueError(f"a list or a map is wanted; got {_shown(value)}")  # noqa: TRY004 - one error for all that does not fit
    return value


def holds(value: object, wanted: object) -> bool:
    """Whether a value is what was wanted of it: a map holds all that the wanted one names, and may hold more - writing
    some fields of a structure leaves the others as they are. Lists are alike element by element.
    """
    if not isinstance(value, str) or not isinstance(wanted, str):
        return value == wanted
    try:
        return _holds(from_text(value), from_text(wanted))
    except ValueError:
        return value == wanted


def _holds(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(value, dict):
        return all(key in value and _holds(value[key], each) for key, each in wanted.items())
    if isinstance(wanted, list) and isinstance(value, list):
        return len(value) == len(wanted) and all(map(_holds, value, wanted))
    return bool(value == wanted)


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _shown(value: object) -> str:
    return repr(value)[:60]
