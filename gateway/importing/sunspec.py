"""SunSpec information models (JSON, as the SunSpec Alliance publishes them): a profile for each model.

Points lie one behind the other from the model's id on, where `base` of the profile points. A point's type gives its
size unless the model says it, and the value that means "not implemented". Groups that a point counts are drawn as often
as the person says. Source: SunSpec Device Information Model Specification, and the published model definitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from gateway.importing.draft import Draft
from gateway.importing.names import literal
from gateway.importing.report import Place
from gateway.importing.sources import Source
from gateway.importing.tagset import TagSet, Unit, connect, stem
from gateway.importing.views import View

_INVALID = {
    **dict.fromkeys(("uint16", "enum16", "bitfield16", "raw16"), 0xFFFF),
    **dict.fromkeys(("int16", "sunssf"), 0x8000),
    **dict.fromkeys(("uint32", "enum32", "bitfield32"), 0xFFFFFFFF),
    "int32": 0x80000000,
    "int64": 0x8000000000000000,
    **dict.fromkeys(("uint64", "bitfield64"), 0xFFFFFFFFFFFFFFFF),
}
"""Raw values of points that a device does not have. Accumulators have none: 0 is a count."""
_TYPES = {
    **dict.fromkeys(("uint16", "acc16", "enum16", "bitfield16", "raw16", "count"), ("uint16", 1)),
    **dict.fromkeys(("int16", "sunssf"), ("int16", 1)),
    **dict.fromkeys(("uint32", "acc32", "enum32", "bitfield32"), ("uint32", 2)),
    **dict.fromkeys(("uint64", "acc64", "bitfield64"), ("uint64", 4)),
    "int32": ("int32", 2),
    "int64": ("int64", 4),
    "float32": ("float32", 2),
    "float64": ("float64", 4),
    "ipaddr": ("bytes", 2),
    "ipv6addr": ("bytes", 8),
    "eui48": ("bytes", 4),
    "string": ("string", 0),
    "pad": ("", 1),
}
_COUNTED = (1, 2)
"""Points with which a model begins: its id and its length."""
_FIRST_BASE, _NEXT_BASE = 40002, 40070
"""Where model 1 begins behind the mark "SunS", and the one behind it."""
_REACH = 125
"""Registers of one request: a value and its scale factor have to fit in."""
_MOST_REPEATS = 1000
_MOST_REGISTERS = 65_536
_MOST_GROUPS = 20_000


class _Point(Struct, frozen=True):
    """A point of a model: `offset` from the model's id, `factors`: paths of scale factors that are in sight of it."""

    view: View
    path: str
    offset: int
    size: int
    kind: str
    raw: str
    factors: dict[str, str]


def convert(sources: Sequence[Source], views: Sequence[View], draft: Draft) -> None:
    """A profile for each model."""
    del sources
    for view in views:
        _Model(view, draft).draw()


class _Model:
    """One model on its way to a profile."""

    def __init__(self, view: View, draft: Draft) -> None:
        self._view = view
        self._draft = draft
        self._report = draft.report
        self._offset = 0
        self._id = 0
        self._groups = 0
        self._full = False
        """Nothing more has a place."""

    def draw(self) -> None:
        number, group = self._view.get("id"), self._view.get("group")
        found = number.as_whole(1, 65535) if number is not None else None
        if found is None or group is None or group.as_map() is None:
            return
        self._id = found
        name = self._draft.profile_names.new_id(f"sunspec_{self._id}", self._view.place)
        self._draft.at(self._view.place, "profiles", name)
        points = list(self._points(group, "", {}))
        tags = TagSet(self._draft, "profiles", name)
        paths: dict[str, str] = {}
        for point in points:
            path = self._add(point, tags)
            if path is not None:
                paths[point.path] = path
        self._scale(points, tags, paths)
        self._finish(name, group, tags)

    def _finish(self, name: str, group: View, tags: TagSet) -> None:
        meta = {"maker": "SunSpec Alliance", "model": f"model {self._id}", "imported": "SunSpec"}
        for key, ours in (("label", "name"), ("desc", "description"), ("name", "group")):
            found = group.get(key)
            if found is not None and found.text:
                meta[ours] = literal(found.text)
        base = _FIRST_BASE if self._id == 1 else _NEXT_BASE
        text = f"`base` is where the model begins on the device: {base}, unless the device says another one"
        self._report.guessed(self._view.place, f"{text} (params: {{base: ...}}; `fieldpost scan modbus` lists models)")
        profile: dict[str, Any] = {"params": {"base": base}, "meta": meta}
        if self._draft.options.interval:
            profile["interval"] = self._draft.options.interval
        self._draft.profiles[name] = {**profile, "tags": tags.tags}
        keys = {"unit_id": self._draft.options.unit, "params": {"base": base}}
        device = meta.get("group") or stem(self._view.file)
        connect(self._draft, "modbus", {device: Unit(name, keys)}, self._view.place)

    # --- where each point lies -----------------------------------------------------------------------------

    def _points(self, group: View, prefix: str, factors: dict[str, str]) -> Iterator[_Point]:
        """The points of a group and of the groups in it, in their order."""
        self._groups += 1
        if self._groups > _MOST_GROUPS or self._full:
            if not self._full:
                self._report.error(group.place, f"the model has more than {_MOST_GROUPS} groups")
            self._full = True
            return
        for key in ("type", "comments", "detail", "notes", "label", "desc", "name"):
            group.get(key)
        listed = group.get("points")
        entries = (listed.as_list() if listed is not None else None) or []
        own = {**factors, **{name: f"{prefix}{name}" for name in _names(entries)}}
        for entry in entries:
            point = self._point(entry, prefix, own)
            if point is not None:
                yield point
        groups = group.get("groups")
        for below in (groups.as_list() if groups is not None else None) or []:
            if below.as_map() is None:
                continue
            named = below.get("name")
            name = (named.as_text() or "") if named is not None else "group"
            times = self._times(below)
            for number in range(1, times + 1):
                if self._stopped():
                    return
                where = f"{prefix}{name}/" if times == 1 and below.get("count") is None else f"{prefix}{name}/{number}/"
                yield from self._points(below, where, own)

    def _stopped(self) -> bool:
        return self._full

    def _times(self, group: View) -> int:
        """How often a group is there."""
        count = group.get("count")
        if count is None:
            return 1
        if count.text.isdecimal() and count.text != "0" and not count.quoted:
            return count.as_whole(1, _MOST_REPEATS) or 1
        times = self._draft.options.repeat
        named = group.get("name")
        text = (
            f"the device says how often `{named.text if named else ''}` is there: {times} times, `--repeat N` for more"
        )
        self._report.guessed(count.place, text)
        return times

    def _point(self, entry: View, prefix: str, factors: dict[str, str]) -> _Point | None:
        if entry.as_map() is None:
            return None
        named, typed, sized = entry.get("name"), entry.get("type"), entry.get("size")
        name = (named.as_text() or "") if named is not None else ""
        kind = (typed.as_text() or "") if typed is not None else ""
        if not name or kind not in _TYPES:
            hint = f"known: {', '.join(_TYPES)}" if name else ""
            self._report.error(
                (typed or entry).place, f"a point needs a `name` and a known `type`, not `{kind[:40]}`", hint
            )
            return None
        raw, size = _TYPES[kind]
        given = sized.as_whole(1, _MOST_REGISTERS) if sized is not None else None
        size = given or size
        if not size or (given and raw not in {"string", "bytes", ""} and given != _TYPES[kind][1]):
            self._report.error((sized or entry).place, f"the size of `{name}` does not fit its type {kind}")
            _ = entry.data
            return None
        offset, self._offset = self._offset, self._offset + size
        if self._offset > _MOST_REGISTERS:
            if not self._full:
                self._report.error(entry.place, "the model is longer than all registers of a device")
            self._full = True
            return None
        return _Point(entry, f"{prefix}{name}", offset, size, kind, raw, factors)

    # --- what each point is --------------------------------------------------------------------------------

    def _add(self, point: _Point, tags: TagSet) -> str | None:
        view = point.view
        for key in (
            "mandatory",
            "static",
            "value",
            "label",
            "notes",
            "detail",
            "comments",
            "standards",
            "symbols",
            "sf",
        ):
            view.get(key)
        if not point.raw:  # a pad
            _ = view.data
            return None
        keys: dict[str, Any] = {"address": f"holding/0x{{base + {point.offset}:x}}", "type": point.raw}
        if point.raw in {"string", "bytes"}:
            keys["length"] = 2 * min(point.size, _REACH)
            if point.size > _REACH:
                text = f"`{point.path}` is longer than one request: its first {2 * _REACH} bytes are read"
                self._report.changed(view.place, text)
        if point.kind in _INVALID:
            keys["invalid"] = [_INVALID[point.kind]]
        if (unit := view.get("units")) is not None and unit.text:
            keys["unit"] = literal(unit.text)
        access = view.get("access")
        if access is not None and access.text.upper() == "RW":
            keys["access"] = "rw"
        if point.offset < len(_COUNTED) or point.kind == "sunssf":
            keys["hidden"] = True
        if point.path == "ID" and point.offset == 0:
            keys["expect"] = self._id
            keys.pop("invalid", None)
        self._symbols(point, keys)
        said = view.get("desc") or view.get("label")
        if said is not None and said.text:
            keys["description"] = literal(said.text.strip())
        return tags.add(point.path, keys, view.place, "/")

    def _symbols(self, point: _Point, keys: dict[str, Any]) -> None:
        """Texts of an enumeration; the bits of a bit field stay texts beside it."""
        listed = point.view.get("symbols")
        texts: dict[int, str] = {}
        for symbol in (listed.as_list() if listed is not None else None) or []:
            if symbol.as_map() is None:
                continue
            _ = symbol.data
            value, name = symbol.get("value"), symbol.get("name")
            number = value.as_whole() if value is not None else None
            if number is not None and name is not None and name.text:
                texts[number] = name.text
        if not texts:
            return
        if point.kind.startswith("enum"):
            keys["labels"] = {number: literal(text) for number, text in sorted(texts.items())}
        else:
            keys["meta"] = {f"bit {number}": literal(text) for number, text in sorted(texts.items())}

    def _scale(self, points: Sequence[_Point], tags: TagSet, paths: dict[str, str]) -> None:
        """Scale factors: points of the model, or fixed powers of ten."""
        offsets = {point.path: point.offset for point in points}
        spans: dict[str, list[int]] = {}
        for point in points:
            factor, path = point.view.get("sf"), paths.get(point.path)
            if factor is None or path is None:
                continue
            power = int(factor.text) if factor.text.lstrip("-").isdecimal() and len(factor.text) < 4 else None
            if power is not None:
                tags.tags[path]["scale"] = 10**power if power >= 0 else float(f"1e{power}")
                continue
            name = point.factors.get(factor.text, "")
            if name not in paths:
                self._report.error(factor.place, f"the model has no scale factor `{factor.text[:40]}`")
                continue
            span = spans.setdefault(name, [offsets[name], offsets[name] + 1])
            low, high = min(span[0], point.offset), max(span[1], point.offset + point.size)
            if high - low > _REACH:
                self._too_far(tags, path, factor.place)
                continue
            span[:] = [low, high]
            tags.tags[path]["scale_from"] = paths[name]

    def _too_far(self, tags: TagSet, path: str, place: Place) -> None:
        """A value that cannot come in one request with its factor."""
        del tags.tags[path]
        text = f"`{path}` lies more than {_REACH} registers from its scale factor, too far for one request: left out"
        self._report.warning(place, text)


def _names(entries: Sequence[View]) -> list[str]:
    found = (entry.get("name") for entry in entries if entry.is_map)
    return [name.text for name in found if name is not None and name.text]
