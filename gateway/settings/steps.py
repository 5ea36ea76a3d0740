"""What a rule does: the steps of `start` and `end`, checked against the tags they name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct

from gateway.model import Access, TagSpec, ValueType
from gateway.rulebook import RULE_OPS, STEP_KINDS, Assignment, Step
from gateway.settings.constants import constant
from gateway.settings.convert import show
from gateway.settings.endpoints import check_timeout, check_topic, check_url, headers_of, uplink_name
from gateway.settings.expression_places import Places, known_names, tag_at
from gateway.settings.ids import did_you_mean
from gateway.settings.other_words import FORMS, STEP
from gateway.settings.positions import Origin
from gateway.settings.rule_keys import CommandKeys, LogKeys, PublishKeys, TellKeys, ValueKeys, WebhookKeys
from gateway.settings.sections import section, spaced
from gateway.units import parse_seconds

S = TypeVar("S")
MAX_STEPS = 100
MAX_DELAY_S = 7 * 86400.0
_LIST = "write a list: [{write: {pump.run: true}}]"
_FITS = {"bool": {ValueType.BOOL}, "text": {ValueType.STRING}}
_INSTEAD = {
    ("number", "bool"): "compare it: ... > 0",
    ("bool", "number"): "write 1 if ... else 0",
}


class Surroundings(Struct, frozen=True):
    """Names that steps may use."""

    notify: list[str]
    uplinks: list[str]


class StepReader:
    """Reads steps. `device` is whose tags short names mean, empty where there is none."""

    def __init__(self, places: Places, around: Surroundings) -> None:
        self._places = places
        self._problems = places.problems
        self._around = around
        self._kinds: dict[str, Callable[[Any, Origin, str], Step | None]] = {
            "write": self._write,
            "desired": self._desired,
            "set": self._set,
            "publish": self._publish,
            "webhook": self._webhook,
            "log": self._log,
            "command": self._command,
            "notify": self._notify,
            "delay": self._delay,
        }

    def read(self, steps: list[Any], origin: Origin, device: str) -> tuple[Step, ...]:
        """The steps that are good; everything wrong with the others is reported."""
        if len(steps) > MAX_STEPS:
            self._problems.at(origin, f"a sequence has at most {MAX_STEPS} steps, this one {len(steps)}")
        made = [self._step(value, origin.child(index), device) for index, value in enumerate(steps[:MAX_STEPS])]
        if made and made[-1] is not None and made[-1].kind == "delay":
            last = origin.child(len(made) - 1)
            self._problems.at(last, "nothing comes after this delay", "remove it, or add a step")
        return tuple(step for step in made if step is not None)

    def _step(self, value: Any, origin: Origin, device: str) -> Step | None:
        if not isinstance(value, dict) or not value:
            self._problems.at(
                origin, f"a step is a mapping, not {show(value) if value else 'nothing'}", spaced(value) or _LIST
            )
            return None
        unknown = [key for key in value if key not in STEP_KINDS]
        for key in unknown:
            self._problems.at_key(
                origin.child(key), f"unknown step `{key}`", STEP.get(key) or did_you_mean(key, STEP_KINDS)
            )
        known = [key for key in value if key in STEP_KINDS]
        for key in known[1:]:
            message = f"`{known[0]}` and `{key}` are two steps"
            self._problems.at_key(origin.child(key), message, f"write - {known[0]}: ... and - {key}: ...")
        if not known or unknown:
            return None
        return self._kinds[known[0]](value[known[0]], origin.child(known[0]), device)

    # --- values for tags --------------------------------------------------------------------------------------

    def _write(self, value: Any, origin: Origin, device: str) -> Step | None:
        return self._assign("write", value, origin, device, self._check_written)

    def _desired(self, value: Any, origin: Origin, device: str) -> Step | None:
        return self._assign("desired", value, origin, device, self._check_desired)

    def _set(self, value: Any, origin: Origin, device: str) -> Step | None:
        return self._assign("set", value, origin, device, self._check_set)

    def _assign(
        self,
        kind: str,
        value: Any,
        origin: Origin,
        device: str,
        check: Callable[[str, TagSpec, Origin], bool],
    ) -> Step | None:
        if not isinstance(value, dict) or not value:
            hint = f"for example {kind}: {{pump.run: true}}"
            self._problems.at(origin, f"`{kind}` names tags and their values, it is {_shown(value)}", hint)
            return None
        found: dict[str, Assignment] = {}
        for name, wanted in value.items():
            place = origin.child(name)
            target = tag_at(name, device, place, self._places, at_key=True)
            if target is None or not check(*target, place):
                continue
            made = self._assignment(*target, wanted, place, device)
            if target[0] in found:
                self._problems.at_key(place, f"`{target[0]}` stands here twice", "keep one of them")
            elif made is not None:
                found[target[0]] = made
        return Step(kind, assign=tuple(found.values())) if len(found) == len(value) else None

    def _assignment(self, name: str, spec: TagSpec, wanted: Any, origin: Origin, device: str) -> Assignment | None:
        if isinstance(wanted, dict):
            keys = self._keys(ValueKeys, wanted, origin, f"`{origin.path[-1]}`")
            if keys is None or not self._fits(keys.value, name, spec, origin.child("value"), device):
                return None
            return Assignment(name, expression=keys.value)
        if wanted is None or isinstance(wanted, list):
            hint = 'write a value, or {value: "EXPRESSION"}'
            self._problems.at(origin, f"`{name}` needs one value, not {_shown(wanted)}", hint)
            return None
        return Assignment(name, constant(name, spec, wanted, origin, self._problems))

    def _fits(self, text: str, name: str, spec: TagSpec, origin: Origin, device: str) -> bool:
        checked = self._places.expression(text, origin, device)
        if checked is None:
            return False
        fault = misfit(checked.type, spec)
        if fault:
            self._problems.at(origin, f"this gives a {checked.type}, `{name}` is {spec.type.value}", fault, spoils=True)
        return not fault

    def _check_written(self, name: str, spec: TagSpec, origin: Origin) -> bool:
        if spec.access is Access.READ:
            message = f"`{name}` cannot be written (access r)"
            self._problems.at_key(origin, message, "" if spec.virtual else "add `access: rw` to the tag", spoils=True)
            return False
        if "rule" not in spec.write.allow:
            message = f"`{name}` may not be written by rules (`allow` of its `write`)"
            self._problems.at_key(origin, message, "add `rule` to `allow`", spoils=True)
        return True

    def _check_desired(self, name: str, spec: TagSpec, origin: Origin) -> bool:
        if not self._check_written(name, spec, origin):
            return False
        if not spec.shadow:
            message = f"`{name}` is no part of its device's shadow"
            self._problems.at_key(origin, message, "add `shadow: true` to the tag, or use `write`", spoils=True)
        elif spec.access is Access.WRITE or spec.momentary:
            message = f"`{name}` keeps no state that could be desired"
            self._problems.at_key(origin, message, "use `write`", spoils=True)
        return True

    def _check_set(self, name: str, spec: TagSpec, origin: Origin) -> bool:
        if spec.virtual is not None and spec.virtual.kind == "memory":
            return True
        what = "is computed" if spec.virtual is not None else "is a device's tag"
        hint = "" if spec.virtual is not None else "use `write`"
        self._problems.at_key(origin, f"`set` is for memories, `{name}` {what}", hint, spoils=True)
        return False

    # --- telling somebody -------------------------------------------------------------------------------------

    def _publish(self, value: Any, origin: Origin, device: str) -> Step | None:
        keys = self._section(PublishKeys, value, origin, "write publish: {topic: plant/event, payload: text}")
        if keys is None:
            return None
        topic = keys.topic.replace("{device}", device) if device else keys.topic
        place = origin.child("topic")
        if "{" in topic or "}" in topic:
            hint = "only {device} is known in a topic, in a rule for several devices"
            self._problems.at(place, f"`{topic}`: braces cannot be used here", hint, spoils=True)
        check_topic(topic, place, self._problems)
        uplink = uplink_name(keys.uplink, self._around.uplinks, origin, self._problems)
        if not self._places.template(keys.payload, origin.child("payload"), device):
            return None
        return Step("publish", topic=topic, text=keys.payload, uplink=uplink, retain=keys.retain)

    def _webhook(self, value: Any, origin: Origin, device: str) -> Step | None:
        keys = self._section(WebhookKeys, value, origin, "write webhook: {url: https://example.org/hook}")
        if keys is None:
            return None
        check_url(keys.url, origin.child("url"), self._problems)
        check_timeout(keys.timeout, origin.child("timeout"), self._problems)
        headers = headers_of(keys.headers, origin.child("headers"), self._problems)
        if not self._places.template(keys.body, origin.child("body"), device):
            return None
        timeout = float(keys.timeout)
        return Step("webhook", text=keys.body, url=keys.url, method=keys.method, headers=headers, timeout_s=timeout)

    def _log(self, value: Any, origin: Origin, device: str) -> Step | None:
        value, place = _long(value, origin)
        keys = self._section(LogKeys, value, origin, 'write log: "text"')
        if keys is None:
            return None
        if not self._places.template(keys.text, place, device):
            return None
        return Step("log", text=keys.text, level=keys.level)

    def _notify(self, value: Any, origin: Origin, device: str) -> Step | None:
        value, place = _long(value, origin)
        keys = self._section(TellKeys, value, origin, 'write notify: "text"')
        if keys is None:
            return None
        known = self._around.notify
        hint = "add `notify: {shift: {mqtt: {topic: ...}}}` to gateway.yaml"
        if not known:
            self._problems.at_key(origin, "there is nobody to notify", hint, spoils=True)
        to = known_names(
            keys.to, origin.child("to"), known or list(keys.to), self._problems, what="notification", add=hint
        )
        if not self._places.template(keys.text, place, device):
            return None
        return Step("notify", text=keys.text, to=to or tuple(known))

    def _command(self, value: Any, origin: Origin, device: str) -> Step | None:
        keys = self._section(CommandKeys, value, origin, "write command: {op: refresh, device: pump}")
        if keys is None:
            return None
        if keys.op not in RULE_OPS:
            message = f"`{keys.op}` is no command that a rule can give"
            self._problems.at(origin.child("op"), message, did_you_mean(keys.op, RULE_OPS))
        inventory = self._places.inventory
        target = keys.device if keys.device is not None else device
        if target and inventory.get(target) is None and not inventory.excuses(target):
            place = origin.child("device")
            self._problems.at(place, f"there is no device `{target}`", did_you_mean(target, inventory.names()))
        return Step("command", op=keys.op, device=target, args=tuple(keys.args.items()))

    def _delay(self, value: Any, origin: Origin, _device: str) -> Step | None:
        try:
            seconds = float(parse_seconds(value))
        except ValueError as error:
            said, _, hint = str(error).partition(": ")
            self._problems.at(
                origin, f"`delay`: {said}", f"write {hint.removeprefix('write ')}" if hint else "write 10s"
            )
            return None
        if not 0 < seconds <= MAX_DELAY_S:
            self._problems.at(origin, "a delay is above 0s and at most 7d", "write 10s")
        return Step("delay", seconds=seconds)

    def _section(self, struct: type[S], value: Any, origin: Origin, hint: str) -> S | None:
        if not isinstance(value, dict):
            self._problems.at(origin, f"`{origin.path[-1]}` is {_shown(value)}", hint)
            return None
        return self._keys(struct, value, origin, f"`{origin.path[-1]}`")

    def _keys(self, struct: type[S], value: dict[str, Any], origin: Origin, what: str) -> S | None:
        return section(struct, value, origin, self._problems, what=what, forms=FORMS)


def misfit(kind: str, spec: TagSpec) -> str:
    """Why an expression of type `kind` is no value of the tag, as a hint; empty when it is one."""
    wanted = next((name for name, types in _FITS.items() if spec.type in types), "number")
    if spec.type in {ValueType.BYTES, ValueType.OBJECT}:
        return "no expression gives bytes"
    if kind == wanted:
        return ""
    return _INSTEAD.get((kind, wanted), f"it must be a {wanted}")


def _long(value: Any, origin: Origin) -> tuple[Any, Origin]:
    """A step that is a text alone in its long form, and where its text stands."""
    if isinstance(value, dict):
        return value, origin.child("text")
    return ({"text": value} if isinstance(value, str) else value), origin


def _shown(value: Any) -> str:
    return "empty" if value is None or value in ({}, []) else show(value)
