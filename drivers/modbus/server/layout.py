"""Where each tag stands: places by rule that never move once given, beside those that a person gave.

What was given is kept in the gateway's store. A new tag comes behind all others of its table; the place of a tag that
is gone stays free until the tag is back, so that no HMI ever reads one tag under another's address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from drivers.modbus.address import LAST_OFFSET, Address, Table
from drivers.modbus.server.points import Form, Point, placed
from gateway.errors import PermanentError
from gateway.serving.contract import Offer

STATUS_HEAD = 10
"""Registers before those of the tags' qualities: life counter, tags, tags that are not good, seven for later."""
Kept = Mapping[str, Any]
"""`tags`: by name, table, offset, count and number of the status register; `ends`: by table, behind the last place that
was ever given.
"""


class Layout(Struct, frozen=True):
    """All points, and the rows to keep. `moved`: tags whose place went to another one by `map`."""

    points: tuple[Point, ...]
    kept: dict[str, Any]
    status: Address
    moved: tuple[str, ...]

    @property
    def status_end(self) -> int:
        """Behind the last status register."""
        return self.status.offset + STATUS_HEAD + max((point.status + 1 for point in self.points), default=0)


def lay_out(forms: Sequence[tuple[int, Offer, Form]], kept: Kept, status: Address) -> Layout:
    """Places of all tags (place, offer, form). Raises PermanentError when a table is too small."""
    maker = _Maker(kept, status, forms)
    return maker.make(forms)


class _Maker:
    def __init__(self, kept: Kept, status: Address, forms: Sequence[tuple[int, Offer, Form]]) -> None:
        self._kept = {name: list(row) for name, row in kept.get("tags", {}).items()}
        self._status = status
        own = [form for _, _, form in forms if form.address is not None]
        self._taken: dict[Table, list[tuple[int, int]]] = {table: [] for table in Table}
        for form in own:
            assert form.address is not None
            self._taken[form.address.table].append((form.address.offset, form.address.offset + form.count))
        ends = kept.get("ends", {})
        self._next = {table: int(ends.get(table.value, 0)) for table in Table}
        own_places = {offer.name for _, offer, form in forms if form.address is not None}
        self._reserved: dict[Table, list[tuple[int, int]]] = {table: [] for table in Table}
        """Places beyond the last by rule that a person gave once: the tag may come back without them."""
        for name, (table, offset, count, _) in self._kept.items():
            if name not in own_places and offset + count > self._next[Table(table)]:
                self._reserved[Table(table)].append((offset, offset + count))
        self._next_status = max((row[3] + 1 for row in self._kept.values()), default=0)
        self._moved: list[str] = []

    def make(self, forms: Sequence[tuple[int, Offer, Form]]) -> Layout:
        new = sum(offer.name not in self._kept for _, offer, _ in forms)
        room = STATUS_HEAD + self._next_status + new
        self._taken[self._status.table].append((self._status.offset, self._status.offset + room))
        points = tuple(self._point(place, offer, form) for place, offer, form in forms)
        if self._status.offset + room > LAST_OFFSET + 1:
            raise PermanentError(f"{room} status registers from {self._status.short} on end beyond the table")
        ends = {table.value: end for table, end in self._next.items()}
        return Layout(points, {"tags": self._kept, "ends": ends}, self._status, tuple(self._moved))

    def _point(self, place: int, offer: Offer, form: Form) -> Point:
        row = self._kept.get(offer.name)
        if row is None:
            number, self._next_status = self._next_status, self._next_status + 1
        else:
            number = row[3]
        address = form.address or self._by_rule(offer, form, row)
        self._kept[offer.name] = [address.table.value, address.offset, form.count, number]
        return Point(place, offer, form, address, number)

    def _by_rule(self, offer: Offer, form: Form, row: Sequence[Any] | None) -> Address:
        table = placed(None, offer, form)
        if row is not None and row[0] == table.value and row[2] == form.count:
            if _blocked(self._taken[table], row[1], form.count) is None:
                return Address(table, row[1])
            self._moved.append(offer.name)
        offset = self._next[table]
        others = (*self._taken[table], *self._reserved[table])
        while (end := _blocked(others, offset, form.count)) is not None:
            offset = end
        if offset + form.count > LAST_OFFSET + 1:
            raise PermanentError(f"there is no room for {offer.name} in the table `{table.value}`: select fewer tags")
        self._next[table] = offset + form.count
        return Address(table, offset)


def _blocked(others: Sequence[tuple[int, int]], offset: int, count: int) -> int | None:
    """Where what stands in the way ends; None when nothing does."""
    return max((end for first, end in others if first < offset + count and offset < end), default=None)
