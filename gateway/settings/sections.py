"""One section of a file: kernel keys apart from a driver's, reserved and unknown keys refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from gateway.settings.convert import fields_of, show, to_struct
from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.reserved import later

S = TypeVar("S")
NO_WORDS: Mapping[str, str] = {}


def mapping_at(value: Any, origin: Origin, problems: Problems, *, what: str, form: str = "") -> dict[str, Any] | None:
    """`value` if it is a mapping; None means it is empty or something else (reported). `form`: the right one."""
    if isinstance(value, dict):
        return value
    if value is None:
        problems.at_key(origin, f"{what} is empty", "write its keys below, or remove it")
    else:
        problems.at(origin, f"{what} must be a mapping (key: value), not {show(value)}", spaced(value) or form)
    return None


def mapping_of_ids(data: Any, origin: Origin, problems: Problems, kind: str, form: str) -> dict[str, Any] | None:
    """The `kind` (rules or alarms) of a file by their ids. A heading `rules:` above them is refused."""
    found = mapping_at(data, origin, problems, what="the file", form=f"a file is a mapping of {kind} by id: {form}")
    if found is None or list(found) != [kind] or not _holds_sections(found[kind]):
        return found
    message = f"`{kind}` on top is not needed: a file is a mapping of {kind} by id"
    problems.at_key(origin.child(kind), message, f"remove the line `{kind}:` and move all below it to the left")
    return None


def _holds_sections(value: Any) -> bool:
    below = list(value.values()) if isinstance(value, dict) else value
    return isinstance(below, list) and bool(below) and all(isinstance(each, dict) for each in below)


def spaced(value: Any) -> str:
    """The hint for `when:pump.run`, which is a text for YAML; empty for anything else."""
    match = re.match(r"(\w+):(\S.*)", value) if isinstance(value, str) else None
    return f"a space is missing after the colon: write {match[1]}: {match[2]}" if match else ""


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
    hints: Mapping[str, str] = NO_WORDS,
    forms: Mapping[str, str] = NO_WORDS,
) -> S | None:
    """A section that only the kernel reads, as `struct`. None when anything in it is wrong (all of it reported).

    `hints`: as of refuse_unknown; `forms`: as of to_struct.
    """
    layers = Layers(values, origin)
    known = fields_of(struct)
    refuse_unknown(layers, known, problems, what=what, reserved=reserved, hints=hints)
    return to_struct(struct, {k: v for k, v in values.items() if k in known}, layers, problems, where=what, forms=forms)
