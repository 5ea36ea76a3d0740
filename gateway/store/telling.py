"""What the store tells people: issues, and the events that belong to an opening."""

from __future__ import annotations

import logging
from typing import Any

from gateway.health import Health
from gateway.store.recovery import Report

_ENTITY = "store"

_log = logging.getLogger("fieldpost.store")


class Telling:
    """Issues of entity `store`. Without a Health nothing is told but events."""

    def __init__(self, health: Health | None) -> None:
        self._health = health
        self._dropped = self._unstored = 0
        self._by_disk = False

    def opened(self, report: Report, checkpoint: str, ts: int) -> list[dict[str, Any]]:
        """Issues of an opening; returns the entries for stream `event`."""
        told: list[tuple[str, str, str]] = []
        why = "; ".join(report.notes)
        if report.quarantined:
            told.append(
                (
                    "store_quarantined",
                    f"the journal was damaged ({why}) and was moved to {report.quarantined}; a new one has begun",
                    "check the disk; remove the moved directory when it is not needed",
                )
            )
        elif report.restored:
            told.append(
                (
                    "store_restored",
                    f"{why}; a new epoch has begun so that no number is used twice",
                    "nothing has to be done; do not copy a store back",
                )
            )
        elif report.created and report.earlier:
            text = "the journal was gone or its file was no journal; a new one has begun, and what it held is lost"
            told.append(("store_missing", text, "find out what removed or overwrote it"))
        if report.damaged:
            n = len(report.damaged)
            told.append(("store_damaged", f"{n} unreadable segments are lost", "check the disk"))
        if checkpoint:
            told.append(("values_damaged", f"last values could not be restored: {checkpoint}", "check the disk"))
        for id_, text, repair in told:
            _log.warning("%s -> %s", text, repair)  # nobody listens to issues yet while the store is being opened
            self._set(id_, text, repair)
        return [
            {"ts": ts, "kind": "issue", "id": id_, "entity": _ENTITY, "text": text, "repair": repair, "state": "set"}
            for id_, text, repair in told
        ]

    def damaged(self, stream: str, epoch: int, first: int) -> None:
        self._set(
            "store_damaged",
            f"a segment of {stream} (epoch {epoch}, from number {first}) is unreadable and lost",
            "check the disk",
        )

    def room(self, *, full: bool) -> None:
        if full:
            self._set(
                "store_full",
                "there is no room for the journal: new readings are only counted",
                "free the disk or make store.journal.max_bytes smaller",
            )
        elif self._health is not None:
            self._health.clear("store_full", _ENTITY)

    def lost(self, dropped: int, unstored: int, *, full: bool = False) -> None:
        """Counters since start; an issue while they grow past what was told. `full`: the file system had no room."""
        self._by_disk = self._by_disk or (full and (dropped, unstored) != (self._dropped, self._unstored))
        if (dropped, unstored) == (self._dropped, self._unstored):
            return
        self._dropped, self._unstored = dropped, unstored
        self._set(
            "store_dropped",
            f"{dropped} readings or entries were dropped before they were delivered, {unstored} found no room"
            + (": the file system is full" if self._by_disk else ""),
            "free space on the disk, then repair the uplink"
            if self._by_disk
            else "repair the uplink or make store.journal.max_bytes larger",
        )

    def _set(self, id_: str, text: str, repair: str) -> None:
        if self._health is not None:
            self._health.set(id_, _ENTITY, text, repair)
