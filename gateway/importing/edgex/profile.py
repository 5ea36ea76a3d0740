"""A device profile: resources become tags, device commands become commands."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.edgexevents.names import COMMAND_NAME
from gateway.importing.draft import MOST_TAGS, Draft
from gateway.importing.edgex.commands import Command, draw_command, read_commands, share_labels
from gateway.importing.edgex.kept import keep_rest, put_all
from gateway.importing.edgex.resource import Resource, protocol_of, read_resource
from gateway.importing.names import Names, literal
from gateway.importing.report import Place
from gateway.importing.views import View

_META = ("manufacturer", "model", "labels", "description")
_KNOWN = ("apiVersion", "name", *_META, "deviceResources", "deviceCommands", "id", "created", "modified")
_IGNORED = ("id", "created", "modified")


class Profile(Struct):
    """`name` as EdgeX has it, `id` here. `protocol` is that of its attributes: modbus, opcua or any (empty).

    `broken`: names of resources and commands that have faults of their own, all reported.
    """

    name: str
    id: str
    protocol: str
    resources: dict[str, Resource]
    commands: dict[str, Command]
    meta: dict[str, str]
    place: Place
    broken: frozenset[str]

    def tags(self) -> list[Resource]:
        """Resources that are tags, in the order of the file."""
        return [resource for resource in self.resources.values() if resource.method is None]


def read_profile(view: View, draft: Draft) -> Profile | None:
    """The profile of a document; None when it has no name."""
    named = view.get("name")
    name = named.as_text() if named is not None else None
    if not name:
        draft.report.error(view.place, "a device profile needs a `name`", "name: Pump")
        view.skip()
        return None
    meta: dict[str, str] = {}
    profile_id = draft.profile_names.id_of(name, named.place if named else view.place)
    put_all(meta, view, ("name", *_META))
    _version(view, draft)
    for key in _IGNORED:
        view.get(key)
    keep_rest(view, _KNOWN, meta)
    protocol = _protocol(view)
    broken: set[str] = set()
    resources = _resources(view, protocol, broken, draft)
    commands = read_commands(view, resources, broken, draft)
    share_labels(commands, draft)
    return Profile(name, profile_id, protocol, resources, commands, meta, view.place, frozenset(broken))


def _version(view: View, draft: Draft) -> None:
    found = view.get("apiVersion")
    if found is not None:
        known = found.text.strip().lower() in {"v2", "v3", "v4"}
        text = f"`apiVersion: {found.text[:20]}`" + ("" if known else " is not known: read as v3")
        draft.report.ignored(found.place, f"{text}, which changes nothing" if known else text)


def _protocol(view: View) -> str:
    listed = view.get("deviceResources")
    return next(filter(None, map(protocol_of, listed.items())), "") if listed is not None else ""


def _resources(view: View, protocol: str, broken: set[str], draft: Draft) -> dict[str, Resource]:
    found: dict[str, Resource] = {}
    paths = Names(draft.report, "tag")
    listed = view.get("deviceResources")
    every = (listed.as_list() or []) if listed is not None else []
    if listed is not None and len(every) > MOST_TAGS:  # no channel could have it: not worth the time to read it
        text = f"{len(every)} resources: a channel may have {MOST_TAGS} tags"
        draft.report.error(listed.place, text, "split the profile")
        broken.update(known.text.strip() for each in every if (known := each.get("name")) is not None)
        listed.skip()
        return {}
    paths.expect(known.text.strip() for each in every if (known := each.get("name")) is not None)
    for each in every:
        if each.as_map() is None:
            continue
        named = each.get("name")
        name = named.as_text() if named is not None else None
        resource = _resource(each, name, protocol, found, paths, draft)
        if resource is not None:
            found[resource.name] = resource
            continue
        each.skip()  # it was not read to its end: that a key has no meaning is not said of it
        if name and name not in found:
            broken.add(name)
    return found


def _resource(
    view: View, name: str | None, protocol: str, known: dict[str, Resource], paths: Names, draft: Draft
) -> Resource | None:
    """One resource; None when it is not a tag (all reported)."""
    if not name:
        draft.report.error(view.place, "a device resource needs a `name`")
        return None
    if name in known:
        draft.report.error(view.place, f"there are two resources `{name}`", "rename one")
        return None
    resource = read_resource(view, name, paths.path_of(name, view.place), draft)
    if resource is None or resource.protocol == protocol:
        return resource
    _no_address(resource, protocol, draft)
    return None


def _no_address(resource: Resource, protocol: str, draft: Draft) -> None:
    needed = {"modbus": "attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: 0}"}
    hint = needed.get(protocol, 'attributes: {nodeId: "ns=2;s=Name"}')
    draft.report.error(resource.place, f"`{resource.name}` has no address for {protocol}, as others here have", hint)


def draw_profile(profile: Profile, draft: Draft) -> None:
    """The profile in our words."""
    data: dict[str, Any] = {"meta": profile.meta}
    if draft.options.strict_edgex:
        data["defaults"] = {"strict_edgex": True}
    methods = {resource.path: resource.method for resource in profile.resources.values() if resource.method is not None}
    if methods:
        data["methods"] = methods
    data["tags"] = {resource.path: resource.keys for resource in profile.tags()}
    draft.at(profile.place, "profiles", profile.id)
    for resource in profile.resources.values():
        draft.at(resource.place, "profiles", profile.id, "tags", resource.path)
        draft.at(resource.place, "profiles", profile.id, "methods", resource.path)
    commands = {}
    for command in profile.commands.values():
        draft.at(command.view.place, "profiles", profile.id, "commands", command.key)
        commands[command.key] = draw_command(command, draft)
        if command.key != command.name:
            profile.meta[f"{COMMAND_NAME}{command.key}"] = literal(command.name)
    if commands:
        data["commands"] = commands
    draft.profiles[profile.id] = data
