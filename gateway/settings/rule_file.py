"""rules/*.yaml: rules by id. Each becomes a RuleSpec, a template one for each of its devices."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.rulebook import AlarmSpec, Every, RuleSpec
from gateway.settings.alarm_file import Alarms
from gateway.settings.convert import fields_of
from gateway.settings.every_keys import read_every
from gateway.settings.expression_places import Places
from gateway.settings.ids import ID_RULE, is_id, suggest_id
from gateway.settings.matching import Matching
from gateway.settings.other_words import FORMS, RULE
from gateway.settings.positions import Layers, Origin
from gateway.settings.rule_keys import RuleKeys
from gateway.settings.sections import mapping_at, mapping_of_ids, section
from gateway.settings.steps import StepReader
from gateway.settings.texts import only_texts

MAX_FOR_S = 7 * 86400.0
MAX_LATENESS_S = 3600.0
_WITH_CONDITION = ("for", "until", "trigger", "end", "alarm")
"""Keys that mean nothing without `when`: only a condition begins and ends."""
_FORM = "write pump_on: {when: tank.level < 20, start: [{write: {pump.run: true}}]}"
_NOTHING = "add `start: [{write: {pump.run: true}}]` or `alarm: {text: ...}`"


class _Rule(Struct, frozen=True):
    """A rule as written, checked as far as no device is needed."""

    name: str
    keys: RuleKeys
    values: dict[str, Any]
    origin: Origin
    every: Every | None


class Rules:
    """Reads rules."""

    def __init__(self, places: Places, matching: Matching, alarms: Alarms, steps: StepReader, timezone: str) -> None:
        self._places = places
        self._problems = places.problems
        self._matching = matching
        self._alarms = alarms
        self._steps = steps
        self._timezone = timezone
        self._names: dict[str, Origin] = {}
        self.specs: list[RuleSpec] = []

    def read(self, data: Any, origin: Origin) -> None:
        """One document."""
        rules = mapping_of_ids(data, origin, self._problems, "rules", _FORM)
        if rules is None or not self._places.usable(origin):
            return
        for name, value in rules.items():
            place = origin.child(name)
            values = mapping_at(value, place, self._problems, what=f"rule `{name}`", form=_FORM)
            if self._claim(name, place) and values is not None:
                self._read(name, values, place)

    def _claim(self, name: str, place: Origin) -> bool:
        if not is_id(name):
            self._problems.at_key(place, f"`{name}` is not an id: {ID_RULE}", suggest_id(name))
        other = self._names.setdefault(name, place)
        if other is not place:
            where = other.where
            self._problems.at_key(place, f"there are two rules `{name}`, the other in {where}", "rename one")
        return other is place

    def _read(self, name: str, values: dict[str, Any], place: Origin) -> None:
        good = only_texts(values, ("when", "until"), Layers(values, place), self._problems)
        what = f"rule `{name}`"
        keys = section(RuleKeys, good, place, self._problems, what=what, hints=RULE, forms=FORMS)
        if keys is None:
            return
        every = None
        if keys.every is not None:
            every = read_every(keys.every, place.child("every"), self._problems, self._timezone)
            if every is not None and every.cron:
                self._places.cron(every.cron, every.zone, place.child("every", "cron"))
        rule = _Rule(name, keys, values, place, every)
        self._check(rule)
        if keys.profile is None and keys.devices is None:
            if "profile" not in values and "devices" not in values:
                self._make(rule, name, "")
            return
        for entry in self._matching.devices(keys.profile, keys.devices, place):
            self._make(rule, f"{name}@{entry.id}", entry.id)

    def _check(self, rule: _Rule) -> None:
        """What needs no device."""
        values, keys, place, problems = rule.values, rule.keys, rule.origin, self._problems
        unknown = not values.keys() <= fields_of(RuleKeys).keys()  # it may be a misspelt `when`, and is reported
        if "when" not in values and "every" not in values:
            if unknown:
                return
            hint = "add `when: pump.speed > 80`, or `every: 15m`"
            problems.at_key(place, f"rule `{rule.name}` never runs: it has no `when` and no `every`", hint)
        elif "when" not in values:
            for key in _WITH_CONDITION:
                if key in values:
                    message = f"`{key}` needs a `when`: what only runs by the clock does not last"
                    problems.at_key(place.child(key), message, f"add `when`, or remove `{key}`")
        if not unknown and all(values.get(key, []) in ([], {}) for key in ("start", "end", "alarm")):
            problems.at_key(place, f"rule `{rule.name}` does nothing", _NOTHING)
        if keys.for_ is not None and keys.for_ > MAX_FOR_S:
            problems.at(place.child("for"), "`for` is at most 7d", "write 10s")
        if keys.lateness > MAX_LATENESS_S:
            problems.at(place.child("lateness"), "`lateness` is at most 1h", "write 5s")

    def _make(self, rule: _Rule, instance: str, device: str) -> None:
        """The rule at work, for a device or for the gateway."""
        keys, place = rule.keys, rule.origin
        before = len(self._problems)
        usable = self._conditions(rule, device)
        start = self._steps.read(keys.start, place.child("start"), device)
        end = self._steps.read(keys.end, place.child("end"), device)
        alarm = self._alarm(rule, instance, device)
        # a step may be missing because of a fault that is told elsewhere: half a rule is none
        whole = len(start) == len(keys.start) and len(end) == len(keys.end) and (alarm is None) == (not keys.alarm)
        if not usable or not whole or len(self._problems) > before or not keys.enabled:
            return
        self.specs.append(
            RuleSpec(
                id=instance,
                when=keys.when or "",
                for_s=float(keys.for_ or 0),
                until=keys.until or "",
                on_bad=keys.on_bad,
                edge=keys.trigger == "edge",
                every=rule.every,
                lateness_s=float(keys.lateness),
                start=start,
                end=end,
                alarm=alarm,
                device=device,
                dry_run=keys.dry_run,
                description=keys.description,
            )
        )

    def _conditions(self, rule: _Rule, device: str) -> bool:
        usable = True
        for key in ("when", "until"):
            text = getattr(rule.keys, key)
            if text is None:
                continue
            origin = rule.origin.child(key)
            checked = self._places.condition(text, origin, device, what=f"`{key}`")
            usable = usable and checked is not None
            if checked is not None and not checked.tags and "every" not in rule.values:
                self._problems.at(origin, f"`{key}` reads no tag: it never changes", "name a tag", spoils=True)
        when, until = rule.keys.when, rule.keys.until
        if usable and when is not None and until is not None:
            usable = self._places.ending(when, until, rule.origin.child("until"), device)
        return usable

    def _alarm(self, rule: _Rule, instance: str, device: str) -> AlarmSpec | None:
        values = rule.values.get("alarm")
        if not isinstance(values, dict) or not values:
            return None
        names = (rule.name, instance, device)
        default = rule.keys.description or rule.name
        return self._alarms.of_rule(values, rule.origin.child("alarm"), names, rule.keys.on_bad, default)
