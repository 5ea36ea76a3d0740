"""Tags of one profile or device in the making, and the profile and channel that a list without a connection becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from gateway.importing.draft import MOST_TAGS, Draft
from gateway.importing.names import Names, literal
from gateway.importing.report import Place
from gateway.settings.positions import Key

_INTERVAL = "1s"


class TagSet:
    """Tags by path. `root`: the draft's path of what they belong to."""

    def __init__(self, draft: Draft, *root: Key) -> None:
        self.tags: dict[str, dict[str, Any]] = {}
        self.full = False
        """There are as many as a channel may have: nothing more is taken."""
        self._draft = draft
        self._root = root
        self._names = Names(draft.report, "tag")
        self._lines: dict[str, int] = {}

    def expect(self, names: Iterable[str], separator: str = "") -> None:
        """The names of all tags that may come: those that can stay as they are do."""
        self._names.expect(names, separator)

    def add(self, name: str, keys: dict[str, Any], place: Place, separator: str = "", shown: str = "") -> str | None:
        """A tag with these keys; its path, or None where the name is there already, which is reported.

        `separator` parts folders in the name. `shown`: the name as people wrote it, where `name` is put together.
        """
        if len(self.tags) >= MOST_TAGS:
            if not self.full:
                self._draft.report.error(place, f"a channel may have {MOST_TAGS} tags", "split it")
            self.full = True
            return None
        if not name.strip():
            self._draft.report.error(place, "a tag has no name")
            return None
        if name in self._lines:
            where = f"line {self._lines[name]}" if self._lines[name] != place.line else "this line"
            self._draft.report.error(place, f"the tag `{name[:80]}` stands in {where} too")
            return None
        self._lines[name] = place.line
        path = self._names.path_of(name, place, separator)
        if path != (name.replace(separator, "/") if separator else name):
            keys["meta"] = {"name": literal(shown or name), **keys.get("meta", {})}
        self.tags[path] = keys
        self._draft.at(place, *self._root, "tags", path)
        return path


class Unit(Struct, frozen=True):
    """A device of a list: the id of its profile, and the keys of the device in its channel."""

    profile: str
    keys: dict[str, Any]


def connect(draft: Draft, driver: str, units: dict[str, Unit], place: Place) -> None:
    """Put devices of a list into the channel that the person named; without a URL there are profiles only.

    `units`: device names, as people know them, to what they are.
    """
    options = draft.options
    if not options.url:
        if options.channel or options.device:
            draft.report.warning(place, "no channel is made: `--url` says where the devices are")
        return
    channel = _channel(draft, driver, stem(place.file), place)
    devices = draft.channels[channel]["devices"]
    for name, unit in units.items():
        is_named = bool(options.device) and len(units) == 1
        device = draft.device_names.id_of(options.device, place) if is_named else draft.device_names.new_id(name, place)
        if device in devices:
            draft.report.error(place, f"the channel has two devices `{device}`", "import the lists one by one")
            continue
        devices[device] = {**unit.keys, "profile": unit.profile}
        if options.interval:
            devices[device]["interval"] = options.interval
        draft.at(place, "channels", channel, "devices", device)


def _channel(draft: Draft, driver: str, name: str, place: Place) -> str:
    where: dict[str, Any] = {"url": draft.options.url}
    if draft.options.url.startswith("/dev/"):
        where = {"serial": {"port": draft.options.url}}
    for known, data in draft.channels.items():
        if data["driver"] == driver and all(data.get(key) == value for key, value in where.items()):
            return str(known)
    channel = draft.channel_names.new_id(draft.options.channel or name, place)
    draft.channels[channel] = {"driver": driver, **where, "devices": {}}
    draft.at(place, "channels", channel)
    return channel


def usual_interval(tags: dict[str, dict[str, Any]]) -> str:
    """The interval that most tags have; it is taken off these, so that it can be said once for all of them."""
    counted = Counter(str(keys["interval"]) for keys in tags.values() if "interval" in keys)
    if not counted:
        return ""
    usual = counted.most_common(1)[0][0]
    for keys in tags.values():
        if keys.get("interval") == usual:
            del keys["interval"]
    return usual


def stem(file: str) -> str:
    """A file's name without folder and ending: what a list is called."""
    name = file.rpartition("/")[2]
    return name.rpartition(".")[0] or name


__all__ = ["TagSet", "Unit", "connect", "stem", "usual_interval"]
