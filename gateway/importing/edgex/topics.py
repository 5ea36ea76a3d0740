"""MQTT devices of EdgeX: which topics and keys each resource has.

device-mqtt-go listens on `incoming/data/DEVICE/SOURCE`: below a resource's name lies its value, below a command's name
a JSON object with the command's resources. It writes to `COMMANDTOPIC/RESOURCE/set/ID` with `{"RESOURCE": value}`.
"""

from __future__ import annotations

from typing import Any

from gateway.importing.edgex.profile import Profile
from gateway.importing.edgex.resource import Resource
from gateway.importing.names import literal
from gateway.importing.views import View

_ROOT = "incoming/data"


def mqtt_tags(device: str, profile: Profile | None, command_topic: str, view: View) -> dict[str, dict[str, Any]]:
    """Keys of the tags of one device. A name that cannot be a level of a topic is reported."""
    if profile is None:
        return {}
    _check_names(device, profile, command_topic, view)
    return {each.path: _inlets(device, each, profile) | _outlet(each, command_topic, view) for each in profile.tags()}


def _check_names(device: str, profile: Profile, command_topic: str, view: View) -> None:
    for name in (device, command_topic, *profile.resources, *profile.commands):
        if any(sign in name for sign in "+#\0"):
            view.report.error(view.place, f"`{name[:40]}` cannot stand in a topic of MQTT", "it has a + or # in it")


def _inlets(device: str, resource: Resource, profile: Profile) -> dict[str, Any]:
    """Its own topic, and those of the commands that it is a member of; a command of the same name wins."""
    if "r" not in resource.access:
        return {}
    commands = [
        {"topic": _topic(device, command.name), "path": _path(resource.name)}
        for command in profile.commands.values()
        if any(member.resource is resource for member in command.members)
    ]
    if resource.name in profile.commands:
        first: dict[str, Any] = commands.pop(0) if commands else {}
    else:
        first = {"topic": _topic(device, resource.name)}
        first |= {"path": "$"} if resource.kind.type == "object" else {"format": "plain"}
    return {**first, "also": commands} if commands else first


def _topic(device: str, source: str) -> str:
    return literal(f"{_ROOT}/{device}/{source}")


def _path(name: str) -> str:
    simple = name.isidentifier() and name.isascii()
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return literal(f"$.{name}" if simple else f"$['{quoted}']")


def _outlet(resource: Resource, topic: str, view: View) -> dict[str, Any]:
    if "w" not in resource.access:
        return {}
    if not topic:
        view.report.warning(view.place, "without `CommandTopic` nothing can be written: the tags are read only")
        return {"access": "r"}
    where = literal(f"{topic}/{resource.name}/set/fieldpost")
    return {"command": {"topic": where, "path": _path(resource.name), "format": "json"}}
