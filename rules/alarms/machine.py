"""The life cycle of an alarm as one table: what each event does in each state (ISA-18.2). Pure; printed in
docs/reference/alarms.md.

Shelved, suppressed and out of service are places where an alarm is put away: nobody is told of it there. Its condition
is followed underneath, and what is underneath says where it goes when it is taken out again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

NORMAL = "normal"
UNACK_ACTIVE = "unack_active"
ACK_ACTIVE = "ack_active"
UNACK_RTN = "unack_rtn"
UNACK_LATCHED = "unack_latched"
ACK_LATCHED = "ack_latched"
SHELVED = "shelved"
SUPPRESSED = "suppressed"
OUT_OF_SERVICE = "out_of_service"

STATES = (
    NORMAL,
    UNACK_ACTIVE,
    ACK_ACTIVE,
    UNACK_RTN,
    UNACK_LATCHED,
    ACK_LATCHED,
    SHELVED,
    SUPPRESSED,
    OUT_OF_SERVICE,
)
"""In the order of the columns of the table."""
AWAY = frozenset((SHELVED, SUPPRESSED, OUT_OF_SERVICE))
ACTIVE = frozenset((UNACK_ACTIVE, ACK_ACTIVE))
ANNOUNCED = frozenset((UNACK_ACTIVE, ACK_ACTIVE, UNACK_RTN, UNACK_LATCHED, ACK_LATCHED))
"""States in which somebody is to look at the alarm."""
UNACKED = frozenset((UNACK_ACTIVE, UNACK_RTN, UNACK_LATCHED))

EVENTS = (
    "active",
    "clear",
    "ack",
    "reset",
    "shelve",
    "unshelve",
    "suppress",
    "unsuppress",
    "out_of_service",
    "in_service",
    "bad",
    "good",
)

BENEATH = "beneath"
"""Where a cell leads that depends on what is underneath."""


class Beneath(NamedTuple):
    """What is underneath an alarm that is put away. `condition`: it is active. `latch`: it was announced, latches, and
    nobody has reset it. `suppressed`: a reason to suppress it holds.
    """

    condition: bool = False
    latch: bool = False
    suppressed: bool = False

    @property
    def state(self) -> str:
        """Where the alarm is when nothing keeps it away. One that is active is announced anew, whoever acknowledged it
        before; a latch needs its reset, however long it was away.
        """
        if self.suppressed:
            return SUPPRESSED
        if self.condition:
            return UNACK_ACTIVE
        return UNACK_LATCHED if self.latch else NORMAL


class Cell(NamedTuple):
    """One cell of the table: the state it leads to (empty: the same), whether people are told, or why it is refused."""

    to: str = ""
    told: bool = False
    refused: str = ""


class Step(NamedTuple):
    """What an event does to an alarm: its state afterwards, whether that is told, or why it is refused."""

    state: str
    told: bool
    refused: str


def _to(state: str) -> Cell:
    return Cell(state, told=True)


def _no(why: str) -> Cell:
    return Cell(refused=why)


_STAY = Cell()
_TOLD = Cell(told=True)
_NEVER = _no("there is nothing to acknowledge")
_ACKED = _no("it is acknowledged already")
_STILL = _no("its condition is still active")
_NO_LATCH = _no("there is nothing to reset")
_ACK_FIRST = _no("it must be acknowledged first")
_IS_SHELVED = _no("it is shelved")
_IS_SUPPRESSED = _no("it is suppressed")
_IS_OUT = _no("it is out of service")
_IS_OUT_ALREADY = _no("it is out of service already")
_NOT_SHELVED = _no("it is not shelved")
_NOT_OUT = _no("it is not out of service")

_ACTIVE = _to(UNACK_ACTIVE)
_TAKEN_OUT = _to(BENEATH)

# Columns as in STATES: normal, unack_active, ack_active, unack_rtn, unack_latched, ack_latched, shelved, suppressed,
# out_of_service.
_GRID: Mapping[str, tuple[Cell, ...]] = {
    "active": (_ACTIVE, _STAY, _STAY, _ACTIVE, _ACTIVE, _ACTIVE, _STAY, _STAY, _STAY),
    "clear": (_STAY, _to(UNACK_RTN), _to(NORMAL), _STAY, _STAY, _STAY, _STAY, _STAY, _STAY),
    "ack": (
        _NEVER,
        _to(ACK_ACTIVE),
        _ACKED,
        _to(NORMAL),
        _to(ACK_LATCHED),
        _ACKED,
        _IS_SHELVED,
        _IS_SUPPRESSED,
        _IS_OUT,
    ),
    "reset": (
        _NO_LATCH,
        _STILL,
        _STILL,
        _NO_LATCH,
        _ACK_FIRST,
        _to(NORMAL),
        _IS_SHELVED,
        _IS_SUPPRESSED,
        _IS_OUT,
    ),
    "shelve": (*(_to(SHELVED),) * 6, _TOLD, _to(SHELVED), _IS_OUT),
    "unshelve": (*(_NOT_SHELVED,) * 6, _TAKEN_OUT, _NOT_SHELVED, _NOT_SHELVED),
    "suppress": (*(_to(SUPPRESSED),) * 6, _STAY, _STAY, _STAY),
    "unsuppress": (*(_STAY,) * 6, _STAY, _TAKEN_OUT, _STAY),
    "out_of_service": (*(_to(OUT_OF_SERVICE),) * 8, _IS_OUT_ALREADY),
    "in_service": (*(_NOT_OUT,) * 8, _TAKEN_OUT),
    "bad": (_STAY, _TOLD, _TOLD, *(_STAY,) * 6),
    "good": (_STAY, _TOLD, _TOLD, *(_STAY,) * 6),
}

TABLE: Mapping[tuple[str, str], Cell] = {
    (state, event): cell for event, row in _GRID.items() for state, cell in zip(STATES, row, strict=True)
}
"""(state, event): what happens."""

LATCHED: Mapping[tuple[str, str], Cell] = {
    (UNACK_ACTIVE, "clear"): _to(UNACK_LATCHED),
    (ACK_ACTIVE, "clear"): _to(ACK_LATCHED),
}
"""The cells that differ for an alarm that latches."""


def cell(state: str, event: str, *, latched: bool = False) -> Cell:
    """The cell of the table. Raises KeyError for a word that is no state or no event."""
    return LATCHED.get((state, event), TABLE[state, event]) if latched else TABLE[state, event]


def step(state: str, event: str, *, latched: bool = False, beneath: Beneath | None = None) -> Step:
    """What `event` does to an alarm in `state`. `beneath` is what holds after the event: an `unsuppress` is given only
    when the last reason is gone, a `clear` has `condition` False.
    """
    found = cell(state, event, latched=latched)
    to = found.to or state
    if to == BENEATH:
        to = (beneath or Beneath()).state
    return Step(to, found.told, found.refused)


def keeps_latch(state: str, *, latched: bool) -> bool:
    """Whether an alarm that is put away out of `state` still needs a reset."""
    return state in (UNACK_LATCHED, ACK_LATCHED) or (latched and state in ACTIVE)
