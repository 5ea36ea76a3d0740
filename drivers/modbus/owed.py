"""What a line without transaction numbers still owes: answers that did not come in time, and may come later.

An RTU answer says its unit and function code, nothing else. A request whose answer is late must therefore not be
followed by one that this answer could be taken for. Until the older answer has come, or a newer one of another kind
has proved that it never will (a unit answers in the order it was asked), such a request is ambiguous.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.errors import DeviceUnavailable

HORIZON_S = 20.0
"""After so long without a sign nobody answers any more."""


class Unsettled(DeviceUnavailable):
    """Nothing was asked: an older answer may still come and could not be told apart. Time will tell."""


class _Debt(Struct):
    """Answers of one unit to one function code."""

    count: int
    sent: float
    until: float


class Owed:
    """Debts by unit and function code. Times on the clock of the event loop, in seconds."""

    def __init__(self) -> None:
        self._debts: dict[int, dict[int, _Debt]] = {}
        self.lateness: dict[int, float] = {}
        """The longest time in seconds that a unit was seen to take for an answer that came too late."""

    def note(self, unit: int, code: int, sent: float, now: float) -> None:
        """A request of `sent` was given up."""
        debts = self._debts.setdefault(unit, {})
        known = debts.get(code)
        count = 1 if known is None or known.until <= now else min(known.count + 1, 16)
        debts[code] = _Debt(count, sent, now + HORIZON_S)

    def paid(self, unit: int, code: int, now: float) -> float | None:
        """An answer came that nobody waits for. Returns how late it was when it belongs to a debt."""
        debt = self._debts.get(unit, {}).get(code)
        if debt is None:
            return None
        debt.count -= 1
        if debt.count <= 0:
            self._drop(unit, code)
        late = now - debt.sent
        self.lateness[unit] = max(late, self.lateness.get(unit, 0.0))
        return late

    def is_ambiguous(self, unit: int, code: int, now: float) -> bool:
        """Whether an answer with this code may be an older request's."""
        debt = self._debts.get(unit, {}).get(code)
        if debt is not None and debt.until <= now:
            self._drop(unit, code)
            return False
        return debt is not None

    def is_older(self, unit: int, code: int, moment: float) -> bool:
        """Whether the last request that was given up was sent before that moment."""
        debt = self._debts.get(unit, {}).get(code)
        return debt is None or debt.sent <= moment

    def settled(self, unit: int, kept: int | None = None) -> None:
        """A later answer came: nothing older follows. `kept`: a function code whose debt stays."""
        debts = self._debts.pop(unit, None)
        if debts and kept in debts:
            self._debts[unit] = {kept: debts[kept]}

    def is_open(self, unit: int) -> bool:
        """Whether the unit owes anything."""
        return unit in self._debts

    def _drop(self, unit: int, code: int) -> None:
        debts = self._debts[unit]
        del debts[code]
        if not debts:
            del self._debts[unit]
