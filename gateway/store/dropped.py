"""Which numbers of the event stream the store itself has dropped, and why.

Gap records tell consumers, and go when they are acknowledged; these rows stay. They are what tells a segment that
retention took from one that somebody removed (gateway/chain.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.errors import StoreDamaged
from gateway.store import rows

if TYPE_CHECKING:
    from gateway.store.attempt import Attempt

TABLE = "dropped"
KEPT = ("event",)
MAX_RANGES = 64


def note(attempt: Attempt, stream: str, epoch: int, first: int, last: int, why: str) -> None:
    """Remember first..last, within the transaction that drops them."""
    if stream not in KEPT:
        return
    key = rows.key("row", TABLE, name(stream, epoch))
    raw = attempt.tx.get(key)
    try:
        known = [] if raw is None else rows.unpack(raw)
    except StoreDamaged:
        known = []  # what it explained counts as missing from now on
    attempt.put(key, merged(known, first, last, why))


def name(stream: str, epoch: int) -> str:
    """The row's name in its table."""
    return f"{stream}/{epoch}"


def merged(known: list[list[Any]], first: int, last: int, why: str) -> list[list[Any]]:
    """The ranges [first, last, why] with one more, in order. Adjacent ones with one reason melt together; above
    MAX_RANGES the two that are nearest to each other do, whatever is between them.
    """
    found: list[list[Any]] = []
    for low, high, reason in sorted([*known, [first, last, why]]):
        if found and found[-1][2] == reason and low <= found[-1][1] + 1:
            found[-1][1] = max(found[-1][1], high)
        else:
            found.append([low, high, reason])
    while len(found) > MAX_RANGES:
        near = min(range(1, len(found)), key=lambda i: found[i][0] - found[i - 1][1])
        found[near - 1 : near + 1] = [[found[near - 1][0], found[near][1], found[near][2]]]
    return found
