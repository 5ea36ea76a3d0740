"""What a test expects, read and checked: each item of `expect` becomes fields that a line of outcomes must have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway import lossless
from gateway.cli.rulebooks import Loaded
from gateway.cli.ruletests.cases import Expected
from gateway.cli.ruletests.tagvalues import value_fault, value_of
from gateway.cli.ruletests.wording import item_text
from gateway.settings.convert import show
from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Origin, Problems

Fields = dict[str, Any]

_STATES = (
    "normal",
    "unack_active",
    "ack_active",
    "unack_rtn",
    "unack_latched",
    "ack_latched",
    "shelved",
    "suppressed",
    "out_of_service",
)
_PHASES = ("failed", "cut", "skipped")
_ON_TAGS = ("write", "desired", "set")
_SHORT = {"publish": "topic", "webhook": "url", "log": "text", "command": "op", "notify": "text"}
"""What a plain text means for each kind of step."""
_LONG = {
    "publish": {"topic": "topic", "payload": "text", "uplink": "uplink", "retain": "retain"},
    "webhook": {"url": "url", "body": "text", "method": "method"},
    "log": {"text": "text", "level": "level"},
    "command": {"op": "op", "device": "device", "args": "args"},
    "notify": {"text": "text", "to": "to"},
}


class Expectations:
    """Reads `expect` lists for one configuration."""

    def __init__(self, loaded: Loaded, problems: Problems) -> None:
        self._loaded = loaded
        self._problems = problems

    def read(self, items: list[Any], origin: Origin) -> tuple[Expected, ...]:
        """The items that are right; the rest is reported."""
        found = [self._item(item, origin.child(number)) for number, item in enumerate(items)]
        return tuple(item for item in found if item is not None)

    def _item(self, item: Any, place: Origin) -> Expected | None:
        if not isinstance(item, dict) or not item:
            self._problems.at(place, f"an effect is a mapping, not {show(item)}", "write {write: {pump.run: true}}")
            return None
        kinds: dict[str, Callable[[Mapping[str, Any], Origin], Fields | None]] = {
            **dict.fromkeys(_ON_TAGS, self._assigned),
            **dict.fromkeys(_SHORT, self._told),
            "alarm": self._alarm,
            "rule": self._rule,
        }
        kind = next((name for name in kinds if name in item), None)
        if kind is None:
            first = next(iter(item))
            self._problems.at_key(place.child(first), f"unknown effect `{first}`", did_you_mean(first, kinds))
            return None
        wanted = kinds[kind](item, place)
        line = place.document.locate(place.path)[0]
        return None if wanted is None else Expected(wanted, item_text(item), line)

    def _assigned(self, item: Mapping[str, Any], place: Origin) -> Fields | None:
        kind = next(name for name in _ON_TAGS if name in item)
        written = item[kind]
        if not isinstance(written, dict) or not written:
            self._problems.at(place.child(kind), f"`{kind}` takes tags and values", "write {pump.run: true}")
            return None
        values: Fields = {}
        for name, value in written.items():
            where = place.child(kind, name)
            tag = self._loaded.find(name, where, self._problems)
            if tag is None:
                continue
            fault = value_fault(tag, value)
            if fault:
                self._problems.at(where, f"`{name}` {fault}, not {show(value)}")
            else:
                values[name] = lossless.to_json(value_of(tag, value))
        more = self._more(item, {kind}, place)
        return None if more is None else {"kind": "action", "what": kind, "values": values, **more}

    def _told(self, item: Mapping[str, Any], place: Origin) -> Fields | None:
        kind = next(name for name in _SHORT if name in item)
        written, names = item[kind], _LONG[kind]
        if isinstance(written, str):
            fields = {_SHORT[kind]: written}
        elif isinstance(written, dict):
            for key in written.keys() - names.keys():
                self._unknown(key, names, place.child(kind, key))
            fields = {names[key]: value for key, value in written.items() if key in names}
        else:
            self._problems.at(place.child(kind), f"`{kind}` is a text or a mapping, not {show(written)}")
            return None
        more = self._more(item, {kind}, place)
        return None if more is None else {"kind": "action", "what": kind, **fields, **more}

    def _alarm(self, item: Mapping[str, Any], place: Origin) -> Fields | None:
        for key in item.keys() - {"alarm", "state", "event", "text", "value"}:
            self._unknown(key, ("alarm", "state", "event", "text", "value"), place.child(key))
            return None
        name, state = item["alarm"], item.get("state")
        if not isinstance(name, str) or not self._loaded.has_alarm(name, place.child("alarm"), self._problems):
            return None
        if state is not None and state not in _STATES:
            hint = did_you_mean(str(state), _STATES)
            self._problems.at(place.child("state"), f"there is no alarm state `{state}`", hint)
            return None
        id_, at, entity = name.partition("@")
        fields: Fields = {"kind": "alarm", "id": id_} | ({"entity": entity} if at else {})
        return fields | {key: item[key] for key in ("state", "event", "text", "value") if key in item}

    def _rule(self, item: Mapping[str, Any], place: Origin) -> Fields | None:
        for key in item.keys() - {"rule", "what", "text"}:
            self._unknown(key, ("rule", "what", "text"), place.child(key))
            return None
        name, what = item["rule"], item.get("what")
        if not isinstance(name, str) or not self._loaded.has_rule(name, place.child("rule"), self._problems):
            return None
        if what not in _PHASES:
            self._problems.at(place, f"`what` says how the rule went wrong: {', '.join(_PHASES)}")
            return None
        return {"kind": "rule", "rule": name, "what": what} | ({"text": item["text"]} if "text" in item else {})

    def _more(self, item: Mapping[str, Any], known: set[str], place: Origin) -> Fields | None:
        """What may stand beside a step: whose it is."""
        for key in item.keys() - known - {"rule"}:
            self._unknown(key, (*known, "rule"), place.child(key))
            return None
        if "rule" not in item:
            return {}
        name = item["rule"]
        if not isinstance(name, str) or not self._loaded.has_rule(name, place.child("rule"), self._problems):
            return None
        return {"rule": name}

    def _unknown(self, key: str, known: Any, place: Origin) -> None:
        self._problems.at_key(place, f"unknown key `{key}` of an effect", did_you_mean(key, known))
