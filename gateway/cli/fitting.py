"""Tables that fit the terminal: long texts are shortened, then columns are left out. Pure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_GAP = 2

Rows = list[tuple[str, ...]]


def columns() -> int:
    """How wide the terminal is, or $COLUMNS; 0 where neither says it: then nothing needs to fit."""
    return shutil.get_terminal_size((0, 0)).columns if os.environ.get("COLUMNS") or os.isatty(1) else 0


def fitted(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, least: Mapping[str, int], spare: Sequence[str]
) -> tuple[tuple[str, ...], Rows]:
    """Header and rows within `width` characters, if that can be. `least`: columns that may be shortened, and how far;
    `spare`: columns that may be left out, the first one first. Names as in `header`.
    """
    names = list(header)
    cells = [list(row) for row in rows]
    for spared in ("", *spare):
        if spared:
            place = names.index(spared)
            names.pop(place)
            for row in cells:
                row.pop(place)
        wanted = [max(len(name.lstrip(">")), *(len(row[place]) for row in cells)) for place, name in enumerate(names)]
        limits = _limits(names, wanted, width, least)
        if limits is not None:
            break
    else:
        limits = [min(size, least.get(name, size)) for name, size in zip(names, wanted, strict=True)]
    return tuple(names), [tuple(_short(cell, limits[place]) for place, cell in enumerate(row)) for row in cells]


def _limits(names: Sequence[str], wanted: Sequence[int], width: int, least: Mapping[str, int]) -> list[int] | None:
    """How wide each column may be; None where they do not fit."""
    over = sum(wanted) + _GAP * (len(wanted) - 1) - width
    limits = list(wanted)
    while width and over > 0:
        room = [limits[place] - least[name] if name in least else 0 for place, name in enumerate(names)]
        place = max(range(len(names)), key=lambda one: (room[one], limits[one]))
        if room[place] <= 0:
            return None
        limits[place] -= 1
        over -= 1
    return limits


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + _ELLIPSIS
