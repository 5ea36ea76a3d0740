"""Device commands: named sets of tags, with the labels and defaults of their resource operations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.importing.draft import Draft
from gateway.importing.edgex.kept import keep_rest
from gateway.importing.edgex.kinds import Misfit, value_of
from gateway.importing.edgex.resource import Resource, escaped
from gateway.importing.names import Names, literal
from gateway.importing.report import Place
from gateway.importing.views import View

_KNOWN = ("name", "isHidden", "readWrite", "resourceOperations", "tags")
_OPERATION = ("deviceResource", "defaultValue", "mappings")
_ACCESS = {"R": "r", "W": "w", "RW": "rw", "WR": "rw"}
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_FLAGS = {"true": "1", "false": "0"}


class Member(Struct):
    """A resource in a command. `labels`: raw value -> text, None where the command has none."""

    resource: Resource
    labels: dict[str, str] | None
    default: View | None
    place: Place


class Command(Struct):
    """A device command; `key` is its name here."""

    name: str
    key: str
    access: str
    members: list[Member]
    view: View


def read_commands(view: View, resources: Mapping[str, Resource], broken: set[str], draft: Draft) -> dict[str, Command]:
    """The commands of a profile by EdgeX' names; what is wrong in one of them is reported and leaves it out.

    `broken`: resources whose faults were told; names of commands that are left out are added.
    """
    found: dict[str, Command] = {}
    names = Names(draft.report, "command")
    listed = view.get("deviceCommands")
    for each in (listed.as_list() or ()) if listed is not None else ():
        if each.as_map() is None:
            continue
        named = each.get("name")
        name = named.as_text() if named is not None else None
        if name is None:
            draft.report.error(each.place, "a device command needs a `name`")
        elif name in found:
            draft.report.error(each.place, f"there are two device commands `{name}`", "rename one")
        elif (command := _read(each, name, names, resources, broken)) is not None:
            found[name] = command
        else:
            broken.add(name)
    return found


def _read(view: View, name: str, names: Names, resources: Mapping[str, Resource], broken: set[str]) -> Command | None:
    written = view.get("readWrite")
    access = _ACCESS.get(written.text.strip().upper()) if written is not None else "r"
    if access is None:
        view.report.error(written.place if written else view.place, "readWrite is R, W or RW", "readWrite: R")
        return None
    operations = view.get("resourceOperations")
    members: dict[str, Member] = {}
    for each in (operations.as_list() or ()) if operations is not None else ():
        if each.as_map() is not None and (member := _member(each, name, resources, broken)) is not None:
            if member.resource.name in members:
                view.report.ignored(each.place, f"`{name}` has `{member.resource.name}` already")
            else:
                members[member.resource.name] = member
    command = Command(name, names.id_of(name, view.place), access, list(members.values()), view)
    if not command.members and broken:
        view.report.follows(view.place, f"the command `{name}` is left out: its resources have faults")
        return None
    return command if _narrowed(command) else None


def _member(view: View, command: str, resources: Mapping[str, Resource], broken: set[str]) -> Member | None:
    found = view.get("deviceResource")
    name = found.as_text() if found is not None else None
    if name is None:
        if found is None:
            view.report.error(view.place, f"an operation of `{command}` names no `deviceResource`")
        return None
    if name in broken:
        view.report.follows(view.place, f"`{name}` has faults: it is left out of `{command}`")
        return None
    if name not in resources:
        place = found.place if found else view.place
        view.report.error(place, f"the profile has no resource `{name}`", _near(name, resources))
        return None
    keep_rest(view, _OPERATION, {})
    resource = resources[name]
    if resource.method is not None:
        view.report.warning(view.place, f"`{name}` is a method: call it by its name, it is left out of `{command}`")
        return None
    return Member(resource, _labels(view.get("mappings"), resource), view.get("defaultValue"), view.place)


def _near(name: str, resources: Mapping[str, Resource]) -> str:
    folded = {known.lower(): known for known in resources}
    near = folded.get(name.lower())
    return f"did you mean `{near}`?" if near else "name a resource of this profile"


def _labels(view: View | None, resource: Resource) -> dict[str, str] | None:
    if view is None or view.as_map() is None:
        return None
    labels: dict[str, str] = {}
    for key, each in view.entries():
        raw = _FLAGS.get(key.strip().lower(), key.strip()) if resource.kind.type == "bool" else key.strip()
        if not resource.takes_labels or not _WHOLE.fullmatch(raw):
            what = f"a {resource.kind.name}" if not resource.takes_labels else f"`{key[:40]}`"
            view.report.warning(each.place, f"texts are for whole numbers and bools, not for {what}: left out")
            continue
        if each.is_scalar:
            labels[str(int(raw))] = literal(each.text)
    return labels or None


def _narrowed(command: Command) -> bool:
    """A command does what all of its members can. False when that is nothing."""
    view = command.view
    if not command.members:
        view.report.warning(view.place, f"the command `{command.name}` has no resource left: it is left out")
        return False
    can = [way for way in command.access if all(way in member.resource.access for member in command.members)]
    if "".join(can) == command.access:
        return True
    unfit = next(
        member for member in command.members if any(way not in member.resource.access for way in command.access)
    )
    if not can:
        text = f"the command `{command.name}` is left out: `{unfit.resource.name}` has access {unfit.resource.access}"
        view.report.warning(view.place, text)
        return False
    text = (
        f"the command `{command.name}` has access {can[0]}, since `{unfit.resource.name}` has {unfit.resource.access}"
    )
    view.report.changed(view.place, text)
    command.access = can[0]
    return True


def share_labels(commands: Mapping[str, Command], draft: Draft) -> None:
    """Texts that all commands agree about are the tag's; where they differ each command has its own."""
    said: dict[str, list[Member]] = {}
    for command in commands.values():
        for member in command.members:
            if member.labels is not None:
                said.setdefault(member.resource.name, []).append(member)
    for name, members in said.items():
        first = members[0]
        if all(member.labels == first.labels for member in members):
            first.resource.keys["labels"] = first.labels
            for member in members:
                member.labels = None
            continue
        text = f"commands have different texts for `{name}`: each keeps its own; EdgeX takes any of them when it reads"
        for member in members:
            draft.report.warning(member.place, text)


def draw_command(command: Command, draft: Draft) -> dict[str, Any]:
    """The command in our words."""
    view = command.view
    keys: dict[str, Any] = {"access": command.access}
    hidden = view.get("isHidden")
    if hidden is not None and hidden.as_flag():
        keys["hidden"] = True
    if command.key != command.name:
        keys["description"] = literal(command.name)
    tags = {member.resource.path: _member_keys(member, command, draft) for member in command.members}
    keys["tags"] = tags if any(tags.values()) else list(tags)
    keep_rest(view, _KNOWN, {})
    if (more := view.get("tags")) is not None and more.data:
        draft.report.ignored(more.place, f"`{more.path}` has no meaning here")
    return keys


def _member_keys(member: Member, command: Command, draft: Draft) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if member.labels is not None:
        keys["labels"] = member.labels
    if "w" not in command.access:
        return keys
    found = member.default if member.default is not None and member.default.text.strip() else member.resource.default
    if found is None or not (found.is_list or found.is_map or found.text):
        return keys
    try:
        keys["default"] = escaped(_default(found, member))
    except Misfit as error:
        draft.report.warning(found.place, f"the default of `{member.resource.name}` is left out: {error}")
    return keys


def _default(found: View, member: Member) -> Any:
    resource = member.resource
    labels = member.labels or resource.keys.get("labels") or {}
    raw = next((raw for raw, text in labels.items() if text == literal(found.text)), None)
    text = raw if raw is not None else found.text
    value = found.data if found.is_list or found.is_map else value_of(resource.kind, text)
    limits = resource.keys.get("write") or {}
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = limits.get("min", value), limits.get("max", value)
        if not low <= value <= high:
            raise Misfit(f"`{text[:40]}` is outside {low} to {high}")
    return value
