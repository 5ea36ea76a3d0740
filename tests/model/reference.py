"""The journal as plain Python sets: no file, no clock, no bytes. What the real store must behave like."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from tests.model.terms import Defect, Entry, GapRecord


@dataclass
class Cursor:
    """Done numbers and waiting gap records of one consumer."""

    done: set[tuple[int, int]] = field(default_factory=set)
    gaps: list[GapRecord] = field(default_factory=list)


@dataclass
class Disk:
    """What survives a crash."""

    epoch: int = 1000
    next: int = 1
    segments: list[list[Entry]] = field(default_factory=list)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    highest_alias: int = 0
    serial: int = 0


@dataclass
class Outside:
    """The mirror: survives a restore."""

    serial: int = 0
    epoch: int = 1000
    next: int = 1
    highest_alias: int = 0
    consumers: list[str] = field(default_factory=list)
    past: dict[int, int] = field(default_factory=dict)


class ReferenceJournal:
    """Implements terms.Journal; `defect` plants one mistake."""

    def __init__(self, defect: Defect | None = None) -> None:
        self._defect = defect
        self._disk = Disk()
        self._mirror = Outside()
        self._copy: Disk | None = None
        self._full = False
        self._sent: set[int] = set()
        self._lost = 0
        self._clear()

    def _clear(self) -> None:
        self._buffer: list[tuple[int, list[int], list[int]]] = []
        self._moves: list[tuple[str, int, int, int]] = []
        self._gap_acks: list[tuple[str, GapRecord]] = []
        self._lost = 0

    # --- in

    def bind(self, tags: list[str]) -> list[int]:
        known = self._disk.aliases
        if self._defect is Defect.ALIAS_REUSED:
            for gone in known.keys() - set(tags):
                del known[gone]
            self._disk.highest_alias = max(known.values(), default=0)
        for tag in tags:
            if tag not in known:
                self._disk.highest_alias += 1
                known[tag] = self._disk.highest_alias
        self._remember()
        return [known[tag] for tag in tags]

    def produce(self, ts: int, tags: list[int], values: list[int]) -> None:
        self._buffer.append((ts, tags, values))

    def commit(self) -> bool:
        if self._full:
            self._lost += sum(len(tags) for _, tags, _ in self._buffer)
            if self._defect is Defect.NUMBERS_GIVEN_ON_FULL_DISK:
                self._disk.next += self._lost
                self._lost = 0
            self._buffer.clear()
            return False
        disk = self._disk
        for name, epoch, first, last in self._moves:
            if name in disk.cursors:
                disk.cursors[name].done |= {(epoch, n) for n in range(first, last + 1)}
        for name, gap in self._gap_acks:
            self._delete_gap(disk.cursors[name], gap)
        segment = [entry for batch in self._buffer for entry in self._entries(*batch)]
        if segment:
            disk.segments.append(segment)
        if self._lost:
            first = disk.next
            disk.next += self._lost
            self._give_up(disk.epoch, first, disk.next - 1)
        self._clear()
        self._remember()
        return True

    def _entries(self, ts: int, tags: list[int], values: list[int]) -> list[Entry]:
        """One entry, or several where a tag occurs twice."""
        entries: list[Entry] = []
        part: list[tuple[int, int]] = []
        for tag, value in [*zip(tags, values, strict=True), (-1, 0)]:
            if part and (tag == -1 or tag in [known for known, _ in part]):
                numbers, ids = zip(*part, strict=True)
                entries.append(Entry(self._disk.epoch, self._disk.next, ts, numbers, ids))
                self._disk.next += len(part)
                part = []
            part.append((tag, value))
        return entries

    def _remember(self) -> None:
        disk = self._disk
        disk.serial += 1
        past = (
            self._mirror.past
            if self._mirror.epoch == disk.epoch
            else {**self._mirror.past, self._mirror.epoch: self._mirror.next}
        )
        self._mirror = Outside(disk.serial, disk.epoch, disk.next, disk.highest_alias, list(disk.cursors), past)

    def fill_disk(self) -> None:
        self._full = True

    def free_disk(self) -> None:
        self._full = False

    def drop(self) -> None:
        if self._disk.segments:
            segment = self._disk.segments.pop(0)
            if self._defect is not Defect.DROP_WITHOUT_GAP:
                self._give_up(segment[0].epoch, segment[0].seq, segment[-1].last)
            self._remember()

    def _give_up(self, epoch: int, first: int, last: int) -> None:
        for cursor in self._disk.cursors.values():
            lost = [n for n in range(first, last + 1) if (epoch, n) not in cursor.done]
            cursor.done |= {(epoch, n) for n in lost}
            for n in lost:
                self._merge(cursor, epoch, n)

    def _merge(self, cursor: Cursor, epoch: int, n: int) -> None:
        low = high = n
        for gap in list(cursor.gaps):
            if (
                gap.epoch == epoch
                and gap.first is not None
                and gap.last is not None
                and gap.first - 1 <= n <= gap.last + 1
            ):
                low, high = min(low, gap.first), max(high, gap.last)
                cursor.gaps.remove(gap)
        cursor.gaps.append(GapRecord(epoch, low, high))

    # --- life

    def crash(self) -> None:
        if self._defect is Defect.NUMBER_REUSED_AFTER_CRASH and self._disk.segments:
            self._disk.next = self._disk.segments[-1][0].seq
            self._disk.segments.pop()
        self._clear()

    def restart(self) -> None:
        self.commit()
        self._clear()

    def copy(self) -> None:
        self.restart()
        self._copy = copy.deepcopy(self._disk)

    def restore(self) -> None:
        if self._copy is None:
            return
        self._clear()
        self._disk = disk = copy.deepcopy(self._copy)
        mirror = self._mirror
        if disk.serial >= mirror.serial:
            return
        for name in mirror.consumers:
            disk.cursors.setdefault(name, Cursor())
        if self._defect is Defect.EPOCH_KEPT_AFTER_RESTORE:
            return
        for epoch, following in {**mirror.past, mirror.epoch: mirror.next}.items():
            if epoch >= disk.epoch:
                self._give_up(epoch, disk.next if epoch == disk.epoch else 1, following - 1)
        disk.serial = mirror.serial
        disk.highest_alias = max(disk.highest_alias, mirror.highest_alias)
        disk.epoch = mirror.epoch + 1
        disk.next = 1
        self._remember()

    def step_clock(self, seconds: int) -> None:
        pass

    # --- out

    def add(self, name: str, start: str) -> None:
        disk = self._disk
        held = self.held() if start == "oldest" else set()
        epochs = {epoch for epoch, _ in self.held()} | {disk.epoch}
        done = set()
        for epoch in epochs:
            last = max([n for e, n in self.held() if e == epoch] + [disk.next - 1 if epoch == disk.epoch else 0])
            done |= {(epoch, n) for n in range(1, last + 1)}
        disk.cursors[name] = Cursor(done - held)
        self._remember()

    def forget(self, name: str) -> None:
        self._disk.cursors.pop(name, None)
        self._moves = [move for move in self._moves if move[0] != name]
        self._gap_acks = [ack for ack in self._gap_acks if ack[0] != name]
        self._remember()

    def epoch(self) -> int:
        return self._disk.epoch

    def last(self) -> int:
        return self._disk.next - 1

    def held(self) -> set[tuple[int, int]]:
        return {(e.epoch, n) for segment in self._disk.segments for e in segment for n in range(e.seq, e.last + 1)}

    def done(self, name: str) -> set[tuple[int, int]]:
        moved = {(e, n) for who, e, a, b in self._moves if who == name for n in range(a, b + 1)}
        return self._disk.cursors[name].done | moved

    def ranges(self, name: str) -> list[list[tuple[int, int]]]:
        return []  # sets have no ranges: J10 is asked of the real store

    def read(self, name: str, after: tuple[int, int], limit: int) -> list[Entry]:
        done = self.done(name)
        for segment in self._disk.segments:
            found = [
                entry
                for entry in segment
                if (entry.epoch, entry.last) > after
                and any((entry.epoch, n) not in done for n in range(entry.seq, entry.last + 1))
            ]
            if found:
                return [self._sent_as(entry) for entry in self._cut(found, limit)]
        return []

    def _cut(self, entries: list[Entry], limit: int) -> list[Entry]:
        taken = [entries[0]]
        for entry in entries[1:]:
            if entry.seq != taken[-1].last + 1 or entry.last - taken[0].seq + 1 > limit:
                break
            taken.append(entry)
        if self._defect is Defect.ENTRY_SPLIT_ON_RESEND and len(taken[0].tags) > max(1, limit):
            whole = taken[0]
            taken = [Entry(whole.epoch, whole.seq + limit, whole.ts, whole.tags[limit:], whole.values[limit:])]
        return taken

    def _sent_as(self, entry: Entry) -> Entry:
        again = entry.values[0] in self._sent
        self._sent.add(entry.values[0])
        if again and self._defect is Defect.TIME_RECOMPUTED_ON_RESEND:
            return Entry(entry.epoch, entry.seq, entry.ts + 1, entry.tags, entry.values)
        return entry

    def acknowledge(self, name: str, epoch: int, first: int, last: int) -> None:
        self._moves.append((name, epoch, first, last))

    def gaps(self, name: str) -> list[GapRecord]:
        acked = [gap for who, gap in self._gap_acks if who == name]
        return [gap for gap in self._disk.cursors[name].gaps if gap not in acked]

    def gap_acknowledged(self, name: str, gap: GapRecord) -> None:
        self._gap_acks.append((name, gap))

    def _delete_gap(self, cursor: Cursor, acked: GapRecord) -> None:
        if self._defect is Defect.GAP_DELETED_BY_ANY_ACK:
            cursor.gaps = [gap for gap in cursor.gaps if (gap.epoch, gap.first) != (acked.epoch, acked.first)]
        elif acked in cursor.gaps:
            cursor.gaps.remove(acked)

    def end(self) -> None:
        pass
