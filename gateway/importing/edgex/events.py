"""autoEvents of a device: when its tags are read, and what of that is reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.importing.edgex.profile import Profile
from gateway.importing.edgex.resource import Resource
from gateway.importing.edgex.times import duration_of, seconds_of
from gateway.importing.report import Place
from gateway.importing.views import View
from gateway.settings.ids import tag_path_fault


class Event(Struct):
    """`paths`: the tags it reads. `seconds` between two reads. `threshold`: reported above this change only."""

    source: str
    seconds: float
    paths: list[str]
    on_change: bool
    threshold: float
    place: Place


def read_events(listed: View | None, profile: Profile | None, device: str) -> list[Event]:
    """The events of a device. `profile`: None where it is not part of the import, so that its tags are not known."""
    views = (listed.as_list() or ()) if listed is not None else ()
    made = (_event(each, profile, device) for each in views if each.as_map() is not None)
    return [event for event in made if event is not None]


def _event(view: View, profile: Profile | None, device: str) -> Event | None:
    named, every = view.get("sourceName", "resource"), view.get("interval", "frequency")
    source = named.as_text() if named is not None else None
    if named is None or every is None:
        missing = "sourceName" if named is None else "interval"
        view.report.error(
            view.place, f"an event of `{device}` has no `{missing}`", "{interval: 10s, sourceName: Values}"
        )
        return None
    seconds = seconds_of(every)
    if source is None or seconds is None:
        return None
    if seconds < 0.001:
        view.report.error(every.place, f"`{every.text[:40]}` is below a millisecond", "interval: 1s")
        return None
    paths = _paths(source, profile, named)
    changes, threshold = view.get("onChange"), view.get("onChangeThreshold")
    on_change = bool(changes is not None and changes.as_flag())
    limit = threshold.as_number() if threshold is not None else None
    if limit is not None and limit < 0:
        view.report.error(threshold.place if threshold else view.place, "a threshold is not negative", "write 0.5")
        return None
    _retention(view)
    return None if paths is None else Event(source, seconds, paths, on_change, float(limit or 0), view.place)


def _retention(view: View) -> None:
    found = view.get("retention")
    if found is not None:
        _ = found.data
        text = "how long events are kept is the journal's business (`store.journal` of gateway.yaml)"
        view.report.ignored(found.place, f"`retention`: {text}")


def _paths(source: str, profile: Profile | None, named: View) -> list[str] | None:
    """The tags of a source: a command's, else a resource's."""
    if profile is None and (fault := tag_path_fault(source)):
        hint = "import its profile together with the device"
        named.report.error(named.place, f"`{source[:80]}` is of a profile that is not imported here: {fault}", hint)
        return None
    if profile is None:
        named.report.guessed(named.place, f"`{source}` is a tag of a profile that is not imported here")
        return [source]
    if source in profile.commands:
        members = (member.resource for member in profile.commands[source].members)
        return [resource.path for resource in members if "r" in resource.access]
    resource = profile.resources.get(source)
    if resource is None and source in profile.broken:
        named.report.follows(named.place, f"`{source}` of `{profile.name}` has faults: this schedule is left out")
        return None
    if resource is None or resource.method is not None:
        hint = f"known: {', '.join([*profile.commands, *profile.resources][:20])}"
        named.report.error(named.place, f"the profile `{profile.name}` has no `{source}`", hint)
        return None
    if "r" not in resource.access:
        named.report.ignored(named.place, f"`{source}` is only written: there is nothing to read")
        return None
    return [resource.path]


def schedule(
    events: list[Event], profile: Profile | None, groups: Mapping[tuple[str, str], str] | None, report: View
) -> dict[str, dict[str, Any]]:
    """Keys of the tags that events read: their group, and what is reported. `groups`: (source, period) -> group;
    None where devices speak by themselves.
    """
    tags: dict[str, list[Event]] = {}
    for event in events:
        for path in event.paths:
            tags.setdefault(path, []).append(event)
    kinds = {resource.path: resource for resource in profile.tags()} if profile is not None else {}
    keys: dict[str, dict[str, Any]] = {}
    for path, mine in tags.items():
        first = min(mine, key=lambda event: event.seconds)
        keys[path] = {} if groups is None else {"group": groups[first.source, duration_of(first.seconds)]}
        if groups is not None and len({event.seconds for event in mine}) > 1:
            others = ", ".join(event.source for event in mine if event is not first)
            text = f"`{path}` is read every {duration_of(first.seconds)} by {first.source}: {others} comes with it"
            report.report.changed(first.place, text)
        keys[path] |= _reporting(mine, kinds.get(path), report)
    return keys


def _reporting(events: list[Event], resource: Resource | None, report: View) -> dict[str, Any]:
    """What of the reads is reported: changes only where all events want no more."""
    if not all(event.on_change for event in events):
        return {}
    limit = min(event.threshold for event in events)
    if not limit:
        return {"on_change": True}
    if resource is not None and not resource.kind.is_number:
        report.report.ignored(events[0].place, f"`{resource.name}` is no number: every change is reported")
        return {"on_change": True}
    return {"deadband": int(limit) if limit.is_integer() else limit}
