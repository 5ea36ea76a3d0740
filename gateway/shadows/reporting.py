"""Reported documents, made from the latest values when somebody looks: a reading costs nothing here.

A leaf gets a new version when a look finds another value or quality than the last look did. Values restored after a
restart are shown as uncertain/last-known with a new version (protocol.md 3.4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct, structs

from gateway.canonical import digest
from gateway.clock import Clock
from gateway.health import Health
from gateway.latest import LatestValues
from gateway.model import Device, Quality, Tag, Value
from gateway.nesting import nest
from gateway.shadows import paths
from gateway.shadows.convert import is_reported, is_state, to_document
from gateway.shadows.delta import delta
from gateway.shadows.keeper import RESERVE, Keeper
from gateway.shadows.values import ReportedLeaf, Shadow

T = TypeVar("T")
_ISSUE = "shadow_too_large"
_AT_ONCE = 200


class Document(Struct, frozen=True):
    """A reported document as it is published, and the hash of all but `polled`."""

    body: dict[str, Any]
    hash: str

    @property
    def ver(self) -> int:
        return int(self.body["ver"])


class Reporter:
    """The reported side of all devices, in memory; versions come out of the keeper's reserve."""

    def __init__(
        self,
        keeper: Keeper,
        latest: LatestValues,
        device: Callable[[str], Device | None],
        clock: Clock,
        health: Health,
        *,
        epoch: int,
        max_bytes: Callable[[], int],
    ) -> None:
        self._keeper = keeper
        self._latest = latest
        self._device = device
        self._clock = clock
        self._health = health
        self._epoch = epoch
        self._max_bytes = max_bytes
        self._leaves: dict[str, dict[str, ReportedLeaf]] = {}
        self._given: dict[str, tuple[int, str]] = {}
        """Device -> version and hash of the last document."""
        self._versions: dict[str, int] = {}
        self._read_back: dict[tuple[str, str], tuple[Value, int, float]] = {}
        """(device, tag) -> value, UTC ms, seconds of the boot clock: what came later is judged by the latter."""

    def leaves(self, device: str) -> Mapping[str, ReportedLeaf]:
        """Leaves as of the last look."""
        return self._leaves.get(device, {})

    def read_back(self, device: str, tag: str, value: Value) -> None:
        """A write was read back: what was read is reported, also where report by exception kept it back (H12)."""
        self._read_back[device, tag] = (value, self._clock.wall_ms(), self._clock.mono())

    def latest(self, tag: Tag) -> Value:
        """The tag's latest value if it is good, else None."""
        current = self._latest.current(tag)
        return current.value if current.quality < Quality.UNCERTAIN else None

    async def prepare(self, devices: Sequence[str]) -> None:
        """Reserve the versions of devices that have none yet, all in one commit."""
        waiting = [device for device in devices if device not in self._versions]
        for start in range(0, len(waiting), _AT_ONCE):
            await asyncio.gather(*(self._first_block(device) for device in waiting[start : start + _AT_ONCE]))

    async def _first_block(self, device: str) -> None:
        if not self._keeper.get(device).read_only:
            reserved = await self._keeper.reserve(device, 0)
            self._versions.setdefault(device, reserved - RESERVE)

    async def look(self, device: str) -> bool:
        """Compare with the latest values; True when a leaf changed or went."""
        if not any(self._differing(device)[1:]):
            return False
        ver = await self._next_version(device)
        new, changed, gone = self._differing(device)  # others looked and values came while a version was fetched
        if not changed and not gone:
            return False
        old = self._leaves.get(device, {})
        kept = {path: leaf for path, leaf in old.items() if path in new}
        kept.update({path: structs.replace(new[path], ver=ver) for path in changed})
        self._leaves[device] = kept
        items = [{"side": "reported", "path": path, **_shown(kept[path])} for path in changed]
        items += [{"side": "reported", "path": path, "value": None, "ver": ver} for path in gone]
        self._keeper.feed.put(device, items)
        return True

    def _differing(self, device: str) -> tuple[dict[str, ReportedLeaf], list[str], list[str]]:
        """All leaves now; paths of those that differ from the last look, and of those that went."""
        known = self._device(device)
        old = self._leaves.get(device, {})
        new = self._values(known) if known is not None else {}
        changed = sorted(path for path, leaf in new.items() if path not in old or not _equal(old[path], leaf))
        return new, changed, sorted(path for path in old if path not in new)

    def _values(self, device: Device) -> dict[str, ReportedLeaf]:
        found: dict[str, ReportedLeaf] = {}
        for tag in device.tags:
            if not is_reported(tag):
                continue
            current = self._latest.current(tag)
            value, ts, quality = current.value, current.ts or 0, current.quality
            if value is None and current.last is not None:
                value, ts = current.last
            back = self._read_back.get((device.id, tag.path))
            if back is not None:
                if self._latest.heard(tag) > back[2]:
                    del self._read_back[device.id, tag.path]
                else:
                    value, ts = back[:2]
            shown = to_document(value)
            if shown is not None:
                found[paths.shadow_path(tag.path)] = ReportedLeaf(shown, 0, ts, quality)
        return found

    async def _next_version(self, device: str) -> int:
        """A version that nobody else gets, out of a block that is on disk."""
        while True:
            given = self._versions.get(device)
            if given is not None and given < self._keeper.get(device).meta.reported_ver:
                self._versions[device] = given + 1
                return given + 1
            reserved = await self._keeper.reserve(device, given or 0)
            self._versions.setdefault(device, reserved - RESERVE)

    def version(self, device: str) -> int:
        """The last version given out in this run; 0 when there is none."""
        return self._versions.get(device, 0)

    async def document(self, device: str) -> Document | None:
        """The reported document now; None for a device that is not configured or has neither values nor wishes,
        and where a newer release has kept the shadow.

        One version names one content, local edits and states included: a receiver may go by it.
        """
        await self.look(device)
        while True:
            known, shadow = self._device(device), self._keeper.get(device)
            if known is None or not (self.leaves(device) or shadow.desired or shadow.meta.desired_ver):
                return None
            if shadow.read_only:  # which versions were given out is not known to this release
                return None
            if device in self._versions:
                body = self._body(known, shadow)
                content = digest({key: value for key, value in body.items() if key != "polled"}, 32)
                last = self._given.get(device)
                if last is None or last[0] != body["ver"] or last[1] == content:
                    self._given[device] = (body["ver"], content)
                    return Document(body, content)
            await self._next_version(device)

    def _body(self, device: Device, shadow: Shadow) -> dict[str, Any]:
        kept = {paths.shadow_path(tag.path) for tag in device.tags if tag.spec.local}
        shown = self._fitting(device, _without(self.leaves(device.id), kept))
        body: dict[str, Any] = {
            "v": 1,
            "ver": self._versions[device.id],
            "epoch": self._epoch,
            "desired_ver": shadow.meta.desired_ver,
            "polled": self._latest.polled_at(device.id),
            "state": nest({path: leaf.value for path, leaf in shown.items()}),
            "meta": {path: [leaf.ver, leaf.ts] for path, leaf in shown.items()},
        }
        body.update(_sides(shadow, shown, kept))
        body["delta"] = [path for path in delta(shadow, self.leaves(device.id), device) if path not in kept]
        return body

    def _fitting(self, device: Device, leaves: Mapping[str, ReportedLeaf]) -> Mapping[str, ReportedLeaf]:
        """Leaves that fit the limit, writable ones first; what is left out is an issue, never a flood."""
        limit = self._max_bytes()
        if paths.total((path, leaf.value) for path, leaf in leaves.items()) <= limit:
            self._health.clear(_ISSUE, device.id)
            return leaves
        writable = {paths.shadow_path(tag.path) for tag in device.tags if is_state(tag)}
        room, shown = limit, dict[str, ReportedLeaf]()
        for path in sorted(leaves, key=lambda path: path not in writable):
            room -= paths.size(path, leaves[path].value)
            if room < 0:
                break
            shown[path] = leaves[path]
        text = f"{len(leaves) - len(shown)} of {len(leaves)} leaves of the reported document are left out"
        self._health.set(
            _ISSUE,
            device.id,
            f"{text}: it may have {limit} bytes",
            "raise `shadow.max_bytes` or name fewer tags",
        )
        return shown


def _equal(one: ReportedLeaf, other: ReportedLeaf) -> bool:
    return one.value == other.value and type(one.value) is type(other.value) and one.quality == other.quality


def _shown(leaf: ReportedLeaf) -> dict[str, Any]:
    row = {"value": leaf.value, "ver": leaf.ver, "ts": leaf.ts}
    return row if leaf.quality is Quality.GOOD else {**row, "quality": leaf.quality.text}


def _without(leaves: Mapping[str, T], kept: set[str]) -> Mapping[str, T]:
    """What may leave over an uplink: all but the tags that stay here (`local`)."""
    return {path: leaf for path, leaf in leaves.items() if path not in kept} if kept else leaves


def _sides(shadow: Shadow, shown: Mapping[str, ReportedLeaf], kept: set[str]) -> dict[str, Any]:
    """The optional parts: qualities that are not good, local edits, how far each desired leaf has come."""
    found: dict[str, Any] = {}
    quality = {path: leaf.quality.text for path, leaf in shown.items() if leaf.quality is not Quality.GOOD}
    if quality:
        found["quality"] = quality
    edits = _without(shadow.edits, kept)
    if edits:
        found["local"] = {path: [edit.value, edit.base_ver, edit.n, edit.ts, edit.who] for path, edit in edits.items()}
    progress = _without(shadow.progress, kept)
    if progress:
        found["apply"] = {path: [one.phase.value, one.ver, one.code, one.text] for path, one in progress.items()}
    return found
