"""One property of one device as a tag: what model, visitor, cycles and twin say of it together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.importing.draft import Draft
from gateway.importing.kubeedge.bindings import Bound
from gateway.importing.kubeedge.cycles import USUAL_MS, cycle_ms, written
from gateway.importing.kubeedge.kept import keep_rest
from gateway.importing.kubeedge.model import Property
from gateway.importing.kubeedge.objects import Resource
from gateway.importing.kubeedge.pushes import tell_push
from gateway.importing.kubeedge.visits import ENTRY, Visit
from gateway.importing.kubeedge.wishes import Unfit, value_of, wanted_of
from gateway.importing.names import literal
from gateway.importing.report import Place
from gateway.importing.views import View

_NO_NUMBER = {"bool", "string", "bytes"}


class Made(Struct):
    """A tag as it was drawn: keys of the tag, and where it stands in the file."""

    path: str
    keys: dict[str, Any]
    place: Place


def draw_tag(device: Resource, prop: Property, visit: Visit, bound: Bound, twin: View | None, draft: Draft) -> Made:
    """The keys of a tag. What of it cannot be is told and left out."""
    keys = dict(bound.keys)
    _access(keys, prop, bound, visit, draft)
    if prop.unit:
        keys["unit"] = literal(prop.unit)
    if prop.description:
        keys["description"] = literal(prop.description)
    _limits(keys, prop, bound, visit, draft)
    _schedule(keys, visit, draft)
    if device.version == "v1beta1":
        _report(keys, visit)
    _wish(keys, visit.view.get("desired"), draft)
    if twin is not None:
        _twin(keys, twin, draft)
    tell_push(visit.view.get("pushMethod"), device.name, prop.path)
    meta = {**dict(prop.meta), **bound.meta}
    keep_rest(visit.view, ENTRY, meta)
    if meta:
        keys["meta"] = meta
    return Made(prop.path, keys, visit.view.place)


def without_schedule(made: Mapping[str, Made]) -> None:
    """Cycles of tags that nothing reads, kept for whoever gives the device a driver."""
    for each in made.values():
        cycles = {key: each.keys.pop(key) for key in ("interval", "report_every") if key in each.keys}
        each.keys["meta"] = {**each.keys.get("meta", {}), **{f"imported.{key}": text for key, text in cycles.items()}}


def _access(keys: dict[str, Any], prop: Property, bound: Bound, visit: Visit, draft: Draft) -> None:
    if prop.access == "r":
        return
    if bound.writable:
        keys["access"] = prop.access
        return
    text = f"`{prop.name}` may be written by its model, and cannot be where its value is: it is read only"
    draft.report.changed(visit.view.place, text)


def _limits(keys: dict[str, Any], prop: Property, bound: Bound, visit: Visit, draft: Draft) -> None:
    """Bounds of what is written. The visitor's win over the model's."""
    low = prop.low if bound.low is None else bound.low
    high = prop.high if bound.high is None else bound.high
    if low is None and high is None:
        return
    for mine, other in ((bound.low, prop.low), (bound.high, prop.high)):
        if mine is not None and other is not None and mine != other:
            text = f"limit {mine:g} of the visitor wins over {other:g} of the model"
            draft.report.changed(visit.view.place, f"`{prop.name}`: {text}")
    if "access" not in keys:
        draft.report.ignored(prop.place, f"limits of `{prop.name}` hold for writing, and it is read only")
    elif keys["type"] in _NO_NUMBER:
        draft.report.ignored(prop.place, f"limits of `{prop.name}`: a {keys['type']} has none")
    else:
        keys["write"] = {name: value for name, value in (("min", low), ("max", high)) if value is not None}


def _schedule(keys: dict[str, Any], visit: Visit, draft: Draft) -> None:
    collect = cycle_ms(visit.view.get("collectCycle"), "collectCycle")
    report = cycle_ms(visit.view.get("reportCycle"), "reportCycle")
    if collect is None:
        usual = draft.options.interval or written(USUAL_MS)
        draft.report.guessed(visit.view.place, f"`{visit.name}` has no collectCycle: it is read every {usual}")
        keys["interval"] = usual
    else:
        keys["interval"] = written(collect)
    if report is not None and report > (USUAL_MS if collect is None else collect):
        keys["report_every"] = written(report)


def _report(keys: dict[str, Any], visit: Visit) -> None:
    """A property is for this place only unless it is said to go to the cloud."""
    found = visit.view.get("reportToCloud")
    if found is not None and found.as_flag():
        return
    keys["local"] = True
    place = visit.view.place if found is None else found.place
    visit.view.report.changed(place, f"`{visit.name}` is not reported to the cloud: `local`, it leaves over no uplink")


def _wish(keys: dict[str, Any], view: View | None, draft: Draft) -> None:
    wanted = wanted_of(view)
    if wanted is None:
        return
    if keys.get("access") != "rw":
        draft.report.ignored(wanted.place, "nothing can be wanted of a property that is read only")
        return
    try:
        keys["desired"] = value_of(wanted.text, keys)
    except Unfit as error:
        draft.report.error(wanted.place, str(error), f"a value of type {keys['type']}")
    if isinstance(keys.get("desired"), str):
        keys["desired"] = literal(keys["desired"])


def _twin(keys: dict[str, Any], twin: View, draft: Draft) -> None:
    """What the cluster knew: wanted values only when they are asked for, reported ones the device tells itself."""
    wanted = twin.get("desired", "observedDesired")
    if "rw" not in keys.get("access", "r"):
        keys["shadow"] = True
    if wanted is not None and draft.options.seed_shadow and "desired" not in keys:
        _wish(keys, wanted, draft)
    elif wanted is not None:
        draft.report.ignored(wanted.place, "a wanted value of the cluster is taken with `--seed-shadow` only")
    reported = twin.get("reported")
    if reported is not None:
        draft.report.ignored(reported.place, "what was reported is not needed: the device tells it")
    _ = twin.data
