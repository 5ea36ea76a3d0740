"""Paths into JSON: `meters[0].power`, `["switch:0"].apower`, `sensors[id=3].value`, `list[-1]`."""

from __future__ import annotations

import re
from typing import Any, Final

Step = str | int | tuple[str, str]  # a key, a position, or the element of a list whose key has this value

LONGEST: Final = 512
_STEP: Final = re.compile(
    r"""\.?(?:
        (?P<key>[^.\[\]"=\s][^.\[\]"=]*)
        |\[(?P<index>-?\d{1,6})\]
        |\["(?P<quoted>(?:[^"\\]|\\["\\])+)"\]
        |\[(?P<name>[^\]=\["]+)=(?P<wanted>[^\]]*)\]
    )""",
    re.VERBOSE,
)


class Nothing:
    """What a path leads to where nothing is: not the same as a null."""


NOTHING: Final = Nothing()


def compiled(text: str) -> tuple[Step, ...]:
    """The steps of a path; `$` alone is the whole document. Raises ValueError with the place that is wrong."""
    if len(text) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters")
    at = 1 if text == "$" or text.startswith(("$.", "$[")) else 0
    steps: list[Step] = []
    while at < len(text):
        found = _STEP.match(text, at)
        dotted = text[at] == "."
        if found is None or (not steps and dotted and at == 0) or (steps and not dotted and found["key"]):
            raise ValueError(f"{text!r} is no path from {text[at:]!r} on")
        steps.append(_step(found))
        at = found.end()
    return tuple(steps)


def _step(found: re.Match[str]) -> Step:
    if (key := found["key"]) is not None:
        return key.rstrip()
    if found["index"] is not None:
        return int(found["index"])
    if (quoted := found["quoted"]) is not None:
        return re.sub(r"\\(.)", r"\1", quoted)
    return found["name"].strip(), found["wanted"].strip()


def pick(document: Any, steps: tuple[Step, ...]) -> Any:
    """What is there, or NOTHING."""
    at = document
    for step in steps:
        if isinstance(step, tuple):
            at = _with_key(at, *step)
        elif isinstance(step, int) and isinstance(at, list):
            at = at[step] if -len(at) <= step < len(at) else NOTHING
        elif isinstance(step, str) and isinstance(at, dict):
            at = at.get(step, NOTHING)
        else:
            return NOTHING
        if at is NOTHING:
            return NOTHING
    return at


def _with_key(at: Any, name: str, wanted: str) -> Any:
    """The first element of a list that has `wanted` under this key, compared as text."""
    if isinstance(at, list):
        for element in at:
            if isinstance(element, dict) and name in element and word(element[name]) == wanted:
                return element
    return NOTHING


def word(value: Any) -> str:
    """A JSON scalar as text, as a document writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def joined(path: str, step: str | int) -> str:
    """A path that goes one step further; `compiled` understands it."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", step):
        return f"{path}.{step}" if path else step
    escaped = step.replace("\\", "\\\\").replace('"', '\\"')
    return f'{path}["{escaped}"]'
