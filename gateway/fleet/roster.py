"""Gateways as a broker shows them: from retained status messages and births (protocol.md 1.3). Pure."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.fleet.document import decode
from gateway.settings.ids import is_id

_COLUMNS = ("alias", "device", "tag", "type", "unit", "access")
_MOST_PARTS = 10_000


class TagInfo(Struct, frozen=True):
    """A tag as the birth names it. `access` is r, w or rw."""

    tag: str
    type: str
    unit: str
    access: str
    alias: int


class DeviceInfo(Struct, frozen=True):
    """A device as the birth names it."""

    device: str
    driver: str
    profile: str
    tags: tuple[TagInfo, ...]


class GatewayInfo(Struct, frozen=True, kw_only=True):
    """One gateway. `online` is None when it never said so; `ts` UTC ms of its last status, None for a Will.

    `devices` and `tags` are counts, None without a whole birth. What only an online status tells is None otherwise.
    """

    id: str
    online: bool | None = None
    reason: str | None = None
    ts: int | None = None
    version: str | None = None
    release: str | None = None
    codec: str | None = None
    proof: str | None = None
    clock: str | None = None
    session: int | None = None
    epoch: int | None = None
    birth: str | None = None
    devices: int | None = None
    tags: int | None = None


class Status(Struct, frozen=True):
    """A status message, or a Will."""

    v: int
    online: bool
    session: int
    epoch: int
    boot: str | None = None
    version: str | None = None
    release: str | None = None
    codec: str | None = None
    proof: str | None = None
    birth: str | None = None
    clock: str | None = None
    ts: int | None = None
    reason: str | None = None


class _Birth(Struct, frozen=True):
    v: int
    hash: str
    version: str | None = None
    parts: int = 1
    part: int | None = None
    devices: list[list[str]] | None = None
    columns: list[str] | None = None
    tags: list[list[Any]] | None = None


class _Known:
    """What is known of one gateway."""

    def __init__(self) -> None:
        self.status: Status | None = None
        self.replaced: set[int] = set()
        self.birth: _Birth | None = None
        self.parts: dict[int, _Birth] = {}

    def take_status(self, new: Status) -> bool:
        """Whether it is news. A late Will, or what a broker kept of an earlier connection, is not."""
        known = self.status
        if known is None or new.epoch == known.epoch:
            if known is not None and new.session < known.session:
                return False
        elif new.epoch in self.replaced or (not new.online and new.epoch < known.epoch):
            return False
        else:
            self.replaced.add(known.epoch)
        self.status = new
        return new != known

    def rows(self) -> list[list[Any]] | None:
        """All rows of the birth; None while something of it is missing."""
        birth = self.birth
        if birth is None:
            return None
        if birth.tags is not None:
            return birth.tags
        parts = [self.parts.get(number) for number in range(1, birth.parts + 1)]
        if any(part is None or part.hash != birth.hash for part in parts):
            return None
        return [row for part in parts if part is not None for row in part.tags or ()]

    def devices(self) -> list[DeviceInfo] | None:
        rows = self.rows()
        if rows is None or self.birth is None:
            return None
        place = {name: number for number, name in enumerate(self.birth.columns or _COLUMNS)}
        tags: dict[str, list[TagInfo]] = {row[0]: [] for row in self.birth.devices or () if row}
        for row in rows:
            device, tag = _tag_row({name: row[at] for name, at in place.items() if at < len(row)})
            if tag is not None:
                tags.setdefault(device, []).append(tag)
        found = []
        kinds = {row[0]: (*row[1:3], "", "") for row in self.birth.devices or () if row}
        for device, those in sorted(tags.items()):
            driver, profile, *_ = kinds.get(device, ("", ""))
            found.append(DeviceInfo(device, driver, profile, tuple(sorted(those, key=_by_tag))))
        return found

    def aliases(self) -> dict[int, tuple[str, str, str]]:
        """Alias -> (device, tag, type), as the codec `native` needs it."""
        devices = self.devices() or []
        return {tag.alias: (device.device, tag.tag, tag.type) for device in devices for tag in device.tags}


def _tag_row(cells: dict[str, Any]) -> tuple[str, TagInfo | None]:
    """The device of a row, and its tag; None for a tag that was removed, and for what is no row."""
    device, alias = str(cells.get("device", "")), cells.get("alias")
    if not cells.get("access") or not isinstance(alias, int):
        return device, None
    tag, type_, unit, access = (str(cells.get(name, "")) for name in ("tag", "type", "unit", "access"))
    return device, TagInfo(tag, type_, unit, access, alias)


def _by_tag(tag: TagInfo) -> str:
    return tag.tag


class Roster:
    """Fed with messages below `fp/1/{tenant}/{gateway}/`: status, birth and its parts.

    `ignored` counts what was none of them: garbage is not told, but it is seen.
    """

    def __init__(self) -> None:
        self.ignored = 0
        self._known: dict[str, _Known] = {}

    def take(self, topic: str, payload: bytes) -> bool:
        """Whether this changed what is known."""
        _, _, _, gateway, *rest = (*topic.split("/"), "", "", "", "")
        kind = "/".join(part for part in rest if part)
        if not is_id(gateway):
            self.ignored += 1
            return False
        if kind == "status":
            return self._status(gateway, payload)
        return self._birth(gateway, kind, payload)

    def _status(self, gateway: str, payload: bytes) -> bool:
        if not payload:  # taken out of the broker by hand
            known = self._known.get(gateway)
            changed = known is not None and known.status is not None
            if known is not None:
                known.status = None
            return changed
        status = decode(payload, Status)
        if status is None:
            self.ignored += 1
            return False
        return self._known.setdefault(gateway, _Known()).take_status(status)

    def _birth(self, gateway: str, kind: str, payload: bytes) -> bool:
        if not payload:
            return False
        birth = decode(payload, _Birth)
        if birth is None or not 0 < birth.parts <= _MOST_PARTS:
            self.ignored += 1
            return False
        known = self._known.setdefault(gateway, _Known())
        if kind == "birth":
            known.birth = birth
        elif birth.part is not None and kind == f"birth/{birth.part}" and 0 < birth.part <= _MOST_PARTS:
            known.parts[birth.part] = birth
        else:
            self.ignored += 1
            return False
        return True

    def complete(self, gateway: str) -> bool:
        """Whether status and birth of a gateway are there."""
        known = self._known.get(gateway)
        return known is not None and known.status is not None and known.rows() is not None

    def gateways(self) -> list[GatewayInfo]:
        """All that said something, by id."""
        found = [self.gateway(name) for name in sorted(self._known)]
        return [each for each in found if each is not None]

    def gateway(self, name: str) -> GatewayInfo | None:
        known = self._known.get(name)
        if known is None or (known.status is None and known.birth is None):
            return None
        status, devices = known.status, known.devices()
        birth = known.birth
        info = GatewayInfo(
            id=name,
            version=birth.version if birth is not None else None,
            birth=birth.hash if birth is not None else None,
            devices=None if devices is None else len(devices),
            tags=None if devices is None else sum(len(device.tags) for device in devices),
        )
        return info if status is None else _with(info, status)

    def devices(self, name: str) -> list[DeviceInfo] | None:
        """The devices of a gateway; None without a whole birth."""
        known = self._known.get(name)
        return None if known is None else known.devices()

    def aliases(self, name: str) -> dict[int, tuple[str, str, str]]:
        """Alias -> (device, tag, type) of a gateway's birth."""
        known = self._known.get(name)
        return {} if known is None else known.aliases()


def _with(info: GatewayInfo, status: Status) -> GatewayInfo:
    return replace(
        info,
        online=status.online,
        reason=status.reason,
        ts=status.ts,
        version=status.version or info.version,
        release=status.release,
        codec=status.codec,
        proof=status.proof,
        clock=status.clock,
        session=status.session,
        epoch=status.epoch,
    )
