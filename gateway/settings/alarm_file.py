"""Alarms of a tree: alarms/*.yaml, those of profiles and devices, those of rules. Each becomes an AlarmSpec."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.rulebook import AlarmSpec
from gateway.settings.convert import fields_of, to_struct
from gateway.settings.expression_places import Places, known_names, tag_at
from gateway.settings.ids import ID_RULE, did_you_mean, is_id, suggest_id
from gateway.settings.inventory import Entry
from gateway.settings.limit_alarms import KINDS, NUMERIC, Limit, LimitMaker, Watched, number
from gateway.settings.matching import Matching
from gateway.settings.other_words import ALARM, FORMS, RULE_ALARM
from gateway.settings.positions import Layers, Origin
from gateway.settings.rule_keys import AlarmKeys, RuleAlarmKeys
from gateway.settings.sections import mapping_at, mapping_of_ids, refuse_unknown, section
from gateway.settings.texts import only_texts

GATEWAY = "gateway"
"""The entity of an alarm that belongs to no device."""
MAX_DELAY_S = 24 * 3600.0
_ONE_OF = ("issue", *KINDS, "when")
_LIMIT = "add `tag: pump.speed` and `above: 1400`, or `when: EXPRESSION`"
_LIMIT_FORM = "write pump_fast: {tag: pump.speed, above: 1400}"
_ISSUES = "docs/reference/issues.md has them all: device_offline, disk_low, uplink_offline"
_EXPRESSIONS = ("when", "until", "suppress")
_FOR_TAGS = {"deadband": NUMERIC, "until": ("when",), "on_bad": (*KINDS, "when")}


class _Here(Struct, frozen=True):
    """An alarm on its way: its id, where it was written, whose tags short names mean, and whose alarm it is."""

    id: str
    layers: Layers
    device: str
    entity: str
    what: str


class Alarms:
    """Reads alarms. (id, entity) is unique over all of them."""

    def __init__(self, places: Places, matching: Matching, notify: list[str]) -> None:
        self._places = places
        self._problems = places.problems
        self._matching = matching
        self._notify = notify
        self._taken: dict[tuple[str, str], Origin] = {}
        self.specs: list[AlarmSpec] = []
        self.quiet: list[str] = []
        """Issues that make no alarm."""

    def read(self, data: Any, origin: Origin) -> None:
        """One document of alarms/*.yaml."""
        alarms = mapping_of_ids(data, origin, self._problems, "alarms", _LIMIT_FORM)
        if alarms is None or not self._places.usable(origin):
            return
        for name, value in alarms.items():
            place = origin.child(name)
            if not is_id(name):
                self._problems.at_key(place, f"`{name}` is not an id: {ID_RULE}", suggest_id(name))
            values = mapping_at(value, place, self._problems, what=f"alarm `{name}`", form=_LIMIT_FORM)
            if values is not None:
                self._read(name, Layers(values, place))

    def read_device(self, entry: Entry) -> None:
        """The alarms of a device and its profile."""
        for name, layers in entry.alarms.items():
            if self._places.usable(layers.origin()):
                self._make(_Here(name, layers, entry.id, entry.id, f"alarm `{name}`"), of_device=True)

    def _read(self, name: str, layers: Layers) -> None:
        keys = layers.values
        if "profile" not in keys and "devices" not in keys:
            self._make(_Here(name, layers, "", GATEWAY, f"alarm `{name}`"))
            return
        names = to_struct(
            _Template,
            {k: keys[k] for k in ("profile", "devices") if k in keys},
            layers,
            self._problems,
            where=f"alarm `{name}`",
        )
        if names is None or (names.profile is None and names.devices is None):
            return
        for entry in self._matching.devices(names.profile, names.devices, layers.origin()):
            self._make(_Here(name, layers, entry.id, entry.id, f"alarm `{name}`"))

    def _make(self, here: _Here, *, of_device: bool = False) -> None:
        layers = here.layers
        known = set(fields_of(AlarmKeys)) - ({"profile", "devices"} if of_device else set())
        refuse_unknown(layers, known, self._problems, what=here.what, hints=ALARM)
        values = {key: value for key, value in layers.values.items() if key in known}
        values = only_texts(values, _EXPRESSIONS, layers, self._problems)
        keys = to_struct(AlarmKeys, values, layers, self._problems, where=here.what, forms=FORMS)
        kind = self._kind(here)
        if keys is None or not kind:
            return
        self._check_fitting(kind, here)
        self._check_delays(keys, here)
        for made in self._specs(kind, keys, here):
            self._add(made, keys, here, kind)

    def _kind(self, here: _Here) -> str:
        layers = here.layers
        written = [key for key in _ONE_OF if key in layers.values]
        for extra in written[1:]:
            message = f"`{written[0]}` and `{extra}` are two alarms"
            self._problems.at_key(layers.origin(extra), message, "write each under an id of its own, or use `levels`")
        if not written and not layers.values.keys() <= fields_of(AlarmKeys).keys():
            return ""  # an unknown key may be a misspelt limit
        if not written:
            self._problems.at_key(layers.origin(), f"{here.what} has no limit and no condition", _LIMIT, spoils=True)
            return ""
        if written[0] in KINDS and "tag" not in layers.values:
            hint = "add `tag: speed`" if here.device else "add `tag: pump.speed`"
            self._problems.at_key(layers.origin(), f"{here.what} names no tag", hint, spoils=True)
            return ""
        if written[0] not in KINDS and "tag" in layers.values:
            hint = "remove `tag`, or write a limit: above: 1400"
            self._problems.at_key(layers.origin("tag"), f"`{written[0]}` does not watch a tag", hint, spoils=True)
        return written[0]

    def _check_fitting(self, kind: str, here: _Here) -> None:
        for key, kinds in _FOR_TAGS.items():
            if key in here.layers.values and kind not in kinds:
                place = here.layers.origin(key)
                self._problems.at_key(place, f"`{key}` means nothing with `{kind}`", f"remove `{key}`", spoils=True)

    def _check_delays(self, keys: Any, here: _Here) -> None:
        for key in ("on_delay", "off_delay"):
            if getattr(keys, key) > MAX_DELAY_S:
                place = here.layers.origin(key)
                self._problems.at(place, f"`{key}` is at most 24h", "write 10s", spoils=True)

    # --- by kind --------------------------------------------------------------------------------------------------

    def _specs(self, kind: str, keys: AlarmKeys, here: _Here) -> list[tuple[AlarmSpec, Limit | None]]:
        if kind == "issue":
            return self._of_issue(keys, here)
        if kind == "when":
            return self._of_condition(keys, here)
        return self._of_tag(kind, keys, here)

    def _of_issue(self, keys: AlarmKeys, here: _Here) -> list[tuple[AlarmSpec, Limit | None]]:
        issue = keys.issue or ""
        known = self._places.issues
        if issue not in known:
            hint = did_you_mean(issue, known)
            hint = hint if hint.startswith("did you mean") else _ISSUES
            place = here.layers.origin("issue")
            self._problems.at(place, f"`{issue}` is no id of an issue", hint, spoils=True)
            return []
        if not keys.enabled and not here.device:
            self.quiet.append(issue)
        return [(AlarmSpec(here.id, here.entity, device=here.device, issue=issue), None)]

    def _of_condition(self, keys: AlarmKeys, here: _Here) -> list[tuple[AlarmSpec, Limit | None]]:
        if keys.when is None:
            return []
        on = self._condition("when", keys.when, here)
        off = keys.until is None or self._condition("until", keys.until, here)
        if not on or not off:
            return []
        if keys.until is not None and not self._places.ending(
            keys.when, keys.until, here.layers.origin("until"), here.device
        ):
            return []
        spec = AlarmSpec(here.id, here.entity, on=keys.when, off=keys.until or "", device=here.device)
        return [(spec, None)]

    def _condition(self, key: str, text: str, here: _Here) -> bool:
        origin = here.layers.origin(key)
        checked = self._places.condition(text, origin, here.device, what=f"`{key}`")
        if checked is not None and not checked.tags:
            self._problems.at(origin, f"`{key}` reads no tag: it never changes", "name a tag", spoils=True)
            return False
        return checked is not None

    def _of_tag(self, kind: str, keys: AlarmKeys, here: _Here) -> list[tuple[AlarmSpec, Limit | None]]:
        tag = self._watched(keys, here)
        if tag is None:
            return []
        other = self._other(here, tag) if kind == "deviation" else ""
        device = tag.name.partition(".")[0]
        found: list[tuple[AlarmSpec, Limit | None]] = []
        for limit in LimitMaker(tag, keys, here.layers, self._problems).limits(kind, other):
            origin = here.layers.origin(kind)
            if all(self._places.condition(text, origin, device, what=kind) for text in (limit.on, limit.off) if text):
                spec = AlarmSpec(
                    here.id + limit.suffix,
                    device,
                    on=limit.on,
                    off=limit.off,
                    device=device,
                    tag=tag.path,
                    limit=limit.said,
                )
                found.append((spec, limit))
        return found

    def _watched(self, keys: AlarmKeys, here: _Here) -> Watched | None:
        if keys.tag is None:
            return None
        origin = here.layers.origin("tag")
        if here.device and "." in keys.tag:
            message = f"here a tag is the path alone: `{keys.tag}` names its device"
            self._problems.at(origin, message, f"write tag: {keys.tag.partition('.')[2]}", spoils=True)
            return None
        found = tag_at(keys.tag, here.device, origin, self._places)
        if found is None:
            return None
        return Watched(found[0], found[0].partition(".")[2], found[1])

    def _other(self, here: _Here, tag: Watched) -> str:
        """What `deviation` is measured from, as the expression has it."""
        written = here.layers.values.get("deviation")
        value = written.get("from") if isinstance(written, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return number(value) if value >= 0 else f"({number(value)})"
        if not isinstance(value, str):
            return ""
        origin = here.layers.origin("deviation", "from")
        found = tag_at(value, tag.name.partition(".")[0], origin, self._places)
        return "" if found is None else f"{{{found[0]}}}"

    # --- what all have --------------------------------------------------------------------------------------------

    def _add(self, made: tuple[AlarmSpec, Limit | None], keys: AlarmKeys, here: _Here, kind: str) -> None:
        spec, limit = made
        layers = here.layers
        over = limit.over if limit is not None else None
        origin = layers.origin(kind, limit.suffix[1:]) if limit is not None and limit.suffix else layers.origin()
        fields = {key: getattr(keys, key) for key in _COMMON}
        places = {key: layers.origin(key) for key in _COMMON}
        for key in _COMMON if over is not None else ():
            if getattr(over, key) is not None:
                fields[key], places[key] = getattr(over, key), origin.child(key)
        default = f"{spec.tag or spec.id} {limit.said}" if limit is not None else "" if spec.issue else spec.id
        finished = self._finished(spec, fields, places, default)
        if self._claim(spec.id, spec.entity, origin) and finished is not None and fields["enabled"]:
            self.specs.append(finished)

    def _finished(
        self, spec: AlarmSpec, fields: dict[str, Any], places: dict[str, Origin], default: str
    ) -> AlarmSpec | None:
        """`spec` with the keys that alarms of every kind have, checked."""
        group, suppress = fields["group"] or "", fields["suppress"] or ""
        if group and not is_id(group):
            self._problems.at(places["group"], f"`{group}` is no name of a group: {ID_RULE}", spoils=True)
        usable = self._places.template(fields["text"], places["text"], spec.device)
        if suppress:
            checked = self._places.condition(suppress, places["suppress"], spec.device, what="`suppress`")
            usable = usable and checked is not None
        notify = known_names(
            fields["notify"],
            places["notify"],
            self._notify,
            self._problems,
            what="notification",
            add="add it to `notify` of gateway.yaml",
        )
        if not usable:
            return None
        return replace(
            spec,
            on_delay_s=float(fields["on_delay"]),
            off_delay_s=float(fields["off_delay"]),
            on_bad=fields["on_bad"],
            priority=fields["priority"],
            text=fields["text"] or default.replace("{", "{{").replace("}", "}}"),
            action=fields["action"],
            latched=fields["latched"],
            blocks_updates=fields["blocks_updates"],
            suppress=suppress,
            group=group,
            notify=notify,
        )

    def of_rule(
        self, values: dict[str, Any], origin: Origin, rule: tuple[str, str, str], on_bad: str, default: str
    ) -> AlarmSpec | None:
        """The alarm of a rule. `rule`: the name in the file, the id at work, its device or nothing."""
        name, instance, device = rule
        layers = Layers(values, origin)
        values = only_texts(values, ("suppress",), layers, self._problems)
        keys = section(RuleAlarmKeys, values, origin, self._problems, what="`alarm`", hints=RULE_ALARM, forms=FORMS)
        if keys is None:
            return None
        entity = device or GATEWAY
        here = _Here(name, layers, device, entity, "`alarm`")
        if keys.off_delay > MAX_DELAY_S:
            self._problems.at(origin.child("off_delay"), "`off_delay` is at most 24h", "write 10s", spoils=True)
        fields = {"on_delay": 0.0, "on_bad": on_bad, "enabled": True}
        fields |= {key: getattr(keys, key) for key in _COMMON if key not in fields}
        places = {key: here.layers.origin(key) for key in _COMMON}
        spec = self._finished(AlarmSpec(name, entity, device=device, rule=instance), fields, places, default)
        return spec if self._claim(name, entity, origin) else None

    def _claim(self, name: str, entity: str, origin: Origin) -> bool:
        other = self._taken.get((name, entity))
        if other is None:
            self._taken[name, entity] = origin
            return True
        where = other.where
        whose = "the gateway" if entity == GATEWAY else f"device `{entity}`"
        message = f"there are two alarms `{name}` of {whose}, the other in {where}"
        self._problems.at_key(origin, message, "rename one", spoils=True)
        return False


class _Template(Struct, frozen=True):
    """The keys that make one alarm many."""

    profile: str | list[str] | None = None
    devices: str | list[str] | None = None


_COMMON = (
    "enabled",
    "on_delay",
    "off_delay",
    "on_bad",
    "priority",
    "text",
    "action",
    "latched",
    "blocks_updates",
    "group",
    "suppress",
    "notify",
)
