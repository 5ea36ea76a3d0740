"""A tag's keys to a TagSpec: what types cannot say, checked where it was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.driver import DriverSpec
from gateway.model import IDENTITY, Access, Report, Schedule, TagSpec, Transform, ValueType, Verify
from gateway.settings import reserved
from gateway.settings.convert import fields_of, to_struct
from gateway.settings.free_texts import free_texts
from gateway.settings.ids import ID_RULE, did_you_mean, is_id
from gateway.settings.keys import EDGEX_TYPES, DeadbandKeys, TagKeys, VerifyKeys
from gateway.settings.labels import read_labels
from gateway.settings.periods import check_interval
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.sections import refuse_unknown, section
from gateway.settings.texts import only_texts
from gateway.settings.virtual_keys import DRIVER as VIRTUAL_DRIVER
from gateway.settings.virtual_keys import KEYS as VIRTUAL
from gateway.settings.virtual_keys import KINDS, VirtualMaker, is_virtual, without_wire
from gateway.settings.write_keys import WriteMaker
from gateway.transform import RAW, engineering_kind

NOT_NUMERIC = {ValueType.BOOL, ValueType.STRING, ValueType.BYTES, ValueType.OBJECT}
FLOATS = {ValueType.FLOAT32, ValueType.FLOAT64}
_NUMERIC_ONLY = (
    "mask",
    "shift",
    "base",
    "scale",
    "offset",
    "invalid",
    "range",
    "deadband",
    "tolerance",
    "scale_from",
    "wrap",
)
_MISPLACED = dict.fromkeys(
    ("alarm", "alarms"), "alarms stand beside `tags`: alarms: {speed_hh: {tag: speed, above: 1400}}"
)
_NO_WIRE = {"address": "a tag of `driver: virtual` has no address: remove it"}
# Most tags have no limits of their own: one object for all of them keeps thousands of tags small.
_COMMON = Report()
_COMMON_VERIFY = Verify()


class TagMaker(Struct, frozen=True):
    """Makes the tags of one channel."""

    driver: DriverSpec
    groups: Mapping[str, Schedule]
    groups_file: str
    problems: Problems
    timezone: str = "UTC"

    def make(self, path: str, layers: Layers) -> TagSpec | None:
        """The tag, or None when its keys cannot be read. Other faults are reported and the tag is still made."""
        kernel, own = fields_of(TagKeys), fields_of(self.driver.tag)
        what = f"tag `{path}`"
        words = {key: text for key, text in reserved.TAG.items() if key not in own}
        hints = _MISPLACED | (_NO_WIRE if self.driver.name == VIRTUAL_DRIVER else {})
        refuse_unknown(layers, {*kernel, *own}, self.problems, what=what, reserved=words, hints=hints)
        values = layers.values
        if is_virtual(values, self.driver.name, own):
            return self._virtual(path, layers, what)
        mine = {key: value for key, value in values.items() if key in kernel and key not in VIRTUAL}
        keys = to_struct(TagKeys, mine, layers, self.problems, where=what)
        for key in ("reset", "initial"):
            if key in values and key not in own:
                message = f"`{key}` is for tags without an address: computed ones and memories"
                self.problems.at_key(layers.origin(key), message, f"remove `{key}`")
        theirs = {key: value for key, value in values.items() if key in own}
        source = to_struct(self.driver.tag, theirs, layers, self.problems, where=what)
        if keys is None or source is None:
            return None
        return _Tag(path, keys, layers, self).spec(source)

    def _virtual(self, path: str, layers: Layers, what: str) -> TagSpec | None:
        """A tag that no device has: computed, or a memory. The driver's keys are not needed, and not possible."""
        values = without_wire(layers.values, layers, fields_of(self.driver.tag), self.problems)
        mine = {key: value for key, value in values.items() if key in fields_of(TagKeys)}
        mine = only_texts(mine, KINDS, layers, self.problems)
        keys = to_struct(TagKeys, mine, layers, self.problems, where=what)
        if keys is None:
            return None
        spec = _Tag(path, keys, layers, self).spec(None)
        return replace(spec, virtual=VirtualMaker(keys, layers, self.problems, self.timezone).spec(spec))


class _Tag:
    """One tag on its way to a TagSpec."""

    def __init__(self, path: str, keys: TagKeys, layers: Layers, maker: TagMaker) -> None:
        self._path = path
        self._keys = keys
        self._layers = layers
        self._maker = maker
        self._problems = maker.problems

    def spec(self, source: Any) -> TagSpec:
        keys = self._keys
        self._check_numeric()
        span = self._range()
        writing = WriteMaker(keys, self._layers, self._problems)
        spec = TagSpec(
            path=self._path,
            type=keys.type,
            source=source,
            unit=keys.unit,
            access=keys.access,
            range=span,
            transform=self._transform(),
            report=self._report(span),
            schedule=self._schedule(),
            write=writing.limits(),
            verify=self._verify(),
            momentary=self._momentary(),
            on_demand=keys.on_demand,
            hidden=keys.hidden,
            shadow=keys.shadow,
            labels=read_labels(keys.labels, keys.type, self._layers.origin("labels"), self._problems),
            scale_from=keys.scale_from,
            wrap=self._wrap(),
            coherent=self._coherent(),
            reapply_s=writing.reapply_s(),
            conflict=writing.conflict(),
            group=keys.group or "",
            description=keys.description,
            meta=free_texts(keys.meta, self._layers.origin("meta"), self._problems),
            local=keys.local,
        )
        if keys.expect is None and keys.desired is None:
            return spec
        from gateway.settings.value_keys import ValueMaker  # few need it, and each module costs memory

        return ValueMaker(keys, self._layers, self._problems).add_to(spec)

    def _wrap(self) -> int | None:
        wrap, raw = self._keys.wrap, RAW[self._keys.type]
        if wrap is None:
            return None
        if raw.is_float:
            self._at("wrap", f"a {self._keys.type.value} does not wrap", "remove `wrap`")
        elif self._keys.base is not None:
            self._at("wrap", "a counter with `base` has no fixed step", "remove one of them")
        elif wrap > raw.high + 1:
            self._at("wrap", f"a {self._keys.type.value} ends at {raw.high}", f"write {raw.high + 1}")
        return wrap

    def _coherent(self) -> str:
        name = self._keys.coherent
        if name is not None and not is_id(name):
            self._at("coherent", f"`{name}` is not a name for a set: {ID_RULE}")
        return name or ""

    def _at(self, key: str, message: str, hint: str = "") -> None:
        self._problems.at(self._layers.origin(key), message, hint)

    def _check_numeric(self) -> None:
        if self._keys.type in NOT_NUMERIC:
            for key in _NUMERIC_ONLY:
                if key in self._layers.values:
                    message = f"`{key}` is for numbers, this tag is a {self._keys.type.value}"
                    self._problems.at(self._layers.origin(key), message, f"remove `{key}`", spoils=True)
        elif self._keys.type in FLOATS:
            for key in ("mask", "shift"):
                if key in self._layers.values:
                    message = f"`{key}` is for whole numbers, this tag is a {self._keys.type.value}"
                    self._problems.at(self._layers.origin(key), message, f"remove `{key}`", spoils=True)

    def _range(self) -> tuple[float, float] | None:
        if self._keys.range is None:
            return None
        low, high = self._keys.range
        if low >= high:
            hint = f"write [{high}, {low}]" if low > high else "write [lowest, highest]"
            self._at("range", f"the range {low}..{high} is empty", hint)
        return float(low), float(high)

    def _transform(self) -> Transform:
        keys = self._keys
        if keys.scale == 0:
            self._at("scale", "a scale of 0 makes every value 0", "remove `scale` or write 1")
        if keys.base is not None and keys.base <= 0:
            self._at("base", "the base of a power must be above 0", "write 2 or 10, or remove `base`")
        made = Transform(
            keys.mask, keys.shift, _float(keys.base), _float(keys.scale), _float(keys.offset), tuple(keys.invalid)
        )
        if made.mask is not None or made.shift:
            self._check_bits(made)
        edgex = self._edgex()
        if edgex is not None and (made != IDENTITY or edgex is not keys.type):
            return replace(made, edgex=edgex)  # without anything to compute there is nothing to differ
        return IDENTITY if made == IDENTITY else made

    def _check_bits(self, transform: Transform) -> None:
        """`mask` and `shift` leave something of the value, be it the sign."""
        raw, shift = RAW[self._keys.type], transform.shift
        if not raw.bits or raw.is_float:
            return  # told already
        full = (1 << raw.bits) - 1
        taken = full if transform.mask is None else transform.mask & full
        left = (taken << -shift) & full if shift < 0 else (taken >> shift) or (raw.signed and taken >> (raw.bits - 1))
        if not left:
            mask = "" if transform.mask is None else f"mask 0x{transform.mask:X}"
            text = " and ".join(each for each in (mask, f"shift {shift}" if shift else "") if each)
            hint = "a shift above 0 goes to the right" if shift < 0 else "bits count from 0, the lowest"
            self._at("shift" if shift else "mask", f"of the {raw.bits} bits nothing is left by {text}", hint)

    def _edgex(self) -> ValueType | None:
        """Key `strict_edgex`: the value type that EdgeX computes with."""
        written, kind = self._keys.strict_edgex, self._keys.type
        if written is False or kind in NOT_NUMERIC:
            return None
        wanted = kind if written is True else ValueType(written)
        if kind.value not in EDGEX_TYPES:
            self._at("strict_edgex", f"EdgeX has no {kind.value}", "strict_edgex: false")
        elif self._keys.scale_from is not None:
            self._at("strict_edgex", "EdgeX has no scale factors in other tags (`scale_from`)", "strict_edgex: false")
        elif self._keys.wrap is not None:
            self._at("strict_edgex", "EdgeX has no counters that go on after a wrap (`wrap`)", "strict_edgex: false")
        return wanted

    def _report(self, span: tuple[float, float] | None) -> Report:
        keys = self._keys
        if keys.heartbeat is not None and keys.heartbeat <= 0:
            self._at("heartbeat", "the longest silence must be above 0", "write 15m")
        if keys.report_every is not None:
            check_interval(keys.report_every, self._layers.origin("report_every"), self._problems)
        made = Report(keys.on_change, self._deadband(span), _float(keys.heartbeat), _float(keys.report_every))
        return _COMMON if made == _COMMON else made

    def _deadband(self, span: tuple[float, float] | None) -> float | None:
        value = self._keys.deadband
        if value is None:
            return None
        origin = self._layers.origin("deadband")
        if isinstance(value, dict):
            keys = section(DeadbandKeys, value, origin, self._problems, what="`deadband`")
            if keys is None:
                return None
            if span is None:
                self._problems.at(origin, "a deadband in percent needs a `range`", "add `range: [0, 100]`")
                return None
            return (span[1] - span[0]) * keys.percent / 100
        if value < 0:
            self._problems.at(origin, "a deadband is not negative", f"write {-value}")
        return float(value)

    def _schedule(self) -> Schedule | None:
        keys, groups = self._keys, self._maker.groups
        levels = (values.keys() & {"group", "interval"} for values, _ in self._layers.stack[::-1])
        nearest: set[str] = next(filter(None, levels), set())  # an interval of its own holds against a default group
        if len(nearest) > 1:
            message = "`group` and `interval` both say when this tag is read"
            self._problems.at_key(self._layers.origin("interval"), message, "keep one of them")
        if keys.group is not None and "group" in nearest:
            if keys.group not in groups:
                hint = did_you_mean(keys.group, groups)
                if not hint.startswith("did you mean"):
                    hint = f"add `groups: {{{keys.group}: 1s}}` to {self._maker.groups_file}"
                self._at("group", f"the channel has no group `{keys.group}`", hint)
            return groups.get(keys.group)
        if keys.interval is None:
            return None
        check_interval(keys.interval, self._layers.origin("interval"), self._problems)
        return Schedule(float(keys.interval))

    def _verify(self) -> Verify:
        if "verify" not in self._layers.values:
            return _COMMON_VERIFY if self._keys.tolerance is None else Verify(tolerance=self._keys.tolerance)
        self._needs_write("verify")
        origin = self._layers.origin("verify")
        keys = section(VerifyKeys, self._keys.verify, origin, self._problems, what="`verify`")
        if keys is None:
            return Verify()
        if keys.settle > 600:
            self._problems.at(origin.child("settle"), "a write settles within 600s", "write 2s")
        tolerance = keys.tolerance if keys.tolerance is not None else self._keys.tolerance
        return Verify(keys.tag, float(keys.settle), tolerance)

    def _momentary(self) -> bool:
        if self._keys.momentary:
            self._needs_write("momentary")
        return self._keys.momentary

    def _needs_write(self, key: str) -> None:
        if self._keys.access is Access.READ:
            message = f"`{key}` is for tags that can be written, this one has access r"
            self._problems.at_key(self._layers.origin(key), message, "add `access: rw`")


def check_scale_tags(tags: Mapping[str, tuple[TagSpec, Layers]], problems: Problems) -> None:
    """A scale factor is a whole number in another tag of the same device, which is not scaled itself."""
    for path, (spec, layers) in tags.items():
        wanted = spec.scale_from
        if wanted is None:
            continue
        origin = layers.origin("scale_from")
        if wanted == path or wanted not in tags:
            problems.at(origin, f"this device has no other tag `{wanted}`", did_you_mean(wanted, set(tags) - {path}))
            continue
        factor = tags[wanted][0]
        whole = engineering_kind(RAW[factor.type], factor.transform) == "int"
        if not whole or factor.scale_from is not None or factor.wrap is not None:
            problems.at(origin, f"`{wanted}` is no whole number that could be a power of ten", "type: int16")
        elif factor.access is Access.WRITE:
            problems.at(origin, f"`{wanted}` cannot be read (access w)", "access: r")
        if spec.wrap is not None:
            problems.at(layers.origin("wrap"), "a counter with `scale_from` has no fixed step", "remove one of them")


def check_verify_tags(tags: Mapping[str, tuple[TagSpec, Layers]], problems: Problems) -> None:
    """A feedback tag must be another readable tag of the same device."""
    for path, (spec, layers) in tags.items():
        wanted = spec.verify.tag
        if wanted is None:
            continue
        origin: Origin = layers.origin("verify", "tag")
        if wanted not in tags:
            problems.at(origin, f"this device has no tag `{wanted}`", did_you_mean(wanted, tags))
        elif wanted == path:
            problems.at(origin, "a tag is read back by itself anyway", "remove `tag`")
        elif tags[wanted][0].access is Access.WRITE:
            problems.at(origin, f"`{wanted}` cannot be read (access w)", "name a tag that can be read")


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
