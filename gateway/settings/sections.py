"""One section of a file: kernel keys apart from a driver's, reserved and unknown keys refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from gateway.settings.convert import fields_of, show, to_struct
from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.reserved import later

S = TypeVar("S")
NO_WORDS: Mapping[str, str] = {}


def mapping_at(value: Any, origin: Origin, problems: Problems, *, what: str) -> dict[str, Any] | None:
    """`value` if it is a mapping; None means it is empty (reported) or something else (reported)."""
    if isinstance(value, dict):
        return value
    if value is None:
        problems.at_key(origin, f"{what} is empty", "write its keys below, or remove it")
    else:
        problems.at(origin, f"{what} must be a mapping (key: value), not {show(value)}")
    return None


def refuse_unknown(
    layers: Layers,
    known: Collection[str],
    problems: Problems,
    *,
    what: str,
    reserved: Mapping[str, str] = NO_WORDS,
    hints: Mapping[str, str] = NO_WORDS,
) -> None:
    """Report each key that is neither known nor reserved, and each reserved one as coming later. `hints`: where words
    that people expect here belong.
    """
    words = set(known)
    if layers.values.keys() <= words:
        return
    for key in layers.values:
        if key in words:
            continue
        if key in reserved:
            problems.at_key(layers.origin(key), later(key, reserved[key]), "remove it for now")
        else:
            hint = hints.get(key) or did_you_mean(key, words)
            problems.at_key(layers.origin(key), f"unknown key `{key}` in {what}", hint)


def section(
    struct: type[S],
    values: dict[str, Any],
    origin: Origin,
    problems: Problems,
    *,
    what: str,
    reserved: Mapping[str, str] = NO_WORDS,
) -> S | None:
    """A section that only the kernel reads, as `struct`. None when anything in it is wrong (all of it reported)."""
    layers = Layers(values, origin)
    known = fields_of(struct)
    refuse_unknown(layers, known, problems, what=what, reserved=reserved)
    return to_struct(struct, {k: v for k, v in values.items() if k in known}, layers, problems, where=what)
