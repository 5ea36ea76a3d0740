"""The tables of docs/reference/alarms.md, from what the code works by."""

from __future__ import annotations

from rules.alarms.catalogue import CATALOGUE
from rules.alarms.machine import BENEATH, EVENTS, LATCHED, STATES, TABLE, Cell


def transition_table() -> str:
    """A table in Markdown: a line for each event, a column for each state."""
    head = ["event", *(f"`{state}`" for state in STATES)]
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [_line([f"`{event}`", *(_shown(state, event) for state in STATES)]) for event in EVENTS]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(state: str, event: str) -> str:
    text = _words(TABLE[state, event])
    other = LATCHED.get((state, event))
    return text if other is None else f"{text}; latches: {_words(other)}"


def _words(cell: Cell) -> str:
    if cell.refused:
        return f"refused: {cell.refused}"
    if cell.to == BENEATH:
        return "*beneath*"
    if cell.to:
        return f"**{cell.to}**"
    return "told" if cell.told else "–"


def catalogue_table() -> str:
    """The system alarms as a table in Markdown."""
    lines = [_line(["id", "group", "priority", "text", "action"]), _line(["---"] * 5)]
    lines += [_line([f"`{one.id}`", one.group, one.priority, one.text, one.action]) for one in CATALOGUE.values()]
    return "\n".join(lines) + "\n"
