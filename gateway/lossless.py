"""Values of tags as JSON carries them without loss. What JSON has no form for is an object, which no value is:
`{"hex": "00ff"}` for bytes, `{"float": "nan"}` for what is no number.
"""

from __future__ import annotations

import math
from typing import Any

from gateway.model import Value


def to_json(value: Value) -> Any:
    """`value` for any JSON writer."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def from_json(item: Any) -> Value:
    """The value of what `to_json` gave. Raises ValueError for anything else."""
    if item is None or isinstance(item, bool | int | float | str):
        return item
    if isinstance(item, dict) and len(item) == 1:
        if isinstance(item.get("hex"), str):
            return bytes.fromhex(item["hex"])
        if item.get("float") in {"nan", "inf", "-inf"}:
            return float(item["float"])
    raise ValueError(f"{item!r:.60} is no value of a tag")
