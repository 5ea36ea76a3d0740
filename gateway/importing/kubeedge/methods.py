"""Methods of a device as named commands of its tags."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gateway.importing.draft import Draft
from gateway.importing.kubeedge.objects import Resource
from gateway.importing.kubeedge.tags import Made
from gateway.importing.names import Names, literal
from gateway.importing.views import View
from gateway.settings.ids import did_you_mean

_KNOWN = ("name", "description", "propertyNames")


def commands_of(device: Resource, made: Mapping[str, Made], written: Collection[str], draft: Draft) -> dict[str, Any]:
    """Commands by name. `written`: properties that the device has; what is wrong with one is told once, there."""
    listed = device.spec.get("methods")
    names = Names(draft.report, "method")
    found: dict[str, Any] = {}
    for view in (listed.as_list() or ()) if listed is not None else ():
        named = view.get("name") if view.as_map() is not None else None
        name = named.as_text() if named is not None else None
        if not name:
            if named is None and view.is_map:
                draft.report.error(view.place, "a method has no name", "- name: SetCount")
            continue
        members = _members(view, made, written, draft)
        if name in names:
            draft.report.error(view.place, f"the method `{name}` is here twice", "remove one of them")
        elif members:
            found[names.id_of(name, view.place)] = _command(view, members)
        for key in _KNOWN:
            view.get(key)
    return found


def _members(view: View, made: Mapping[str, Made], written: Collection[str], draft: Draft) -> list[Made]:
    listed = view.get("propertyNames")
    found: list[Made] = []
    for each in (listed.as_list() or ()) if listed is not None else ():
        name = each.as_text()
        if name and name in made:
            found.append(made[name])
        elif name and name not in written:
            draft.report.error(each.place, f"the device has no property `{name}`", did_you_mean(name, made))
        elif name:
            draft.report.follows(each.place, f"`{name}` is no tag here: this method goes without it")
    if listed is None or (listed.is_list and not list(listed.items())):
        draft.report.ignored(view.place, "a method without `propertyNames` does nothing")
    return found


def _command(view: View, members: list[Made]) -> dict[str, Any]:
    access = {made.keys.get("access", "r") for made in members}
    command: dict[str, Any] = {"access": access.pop() if len(access) == 1 else "r"}
    described = view.get("description")
    if described is not None and (text := described.as_text()):
        command["description"] = literal(" ".join(text.split()))
    command["tags"] = [made.path for made in members]
    return command
