"""MQTT devices of EdgeX: which topic and key each resource has.

device-mqtt-go listens on `incoming/data/DEVICE/SOURCE`: below a resource's name lies its value, below a command's name
a JSON object with the command's resources. It writes to `COMMANDTOPIC/RESOURCE/set/ID` with `{"RESOURCE": value}`.
"""

from __future__ import annotations

from typing import Any

from gateway.importing.edgex.profile import Profile
from gateway.importing.edgex.resource import Resource
from gateway.importing.names import literal
from gateway.importing.views import View


def mqtt_tags(device: str, profile: Profile | None, command_topic: str, view: View) -> dict[str, dict[str, Any]]:
    """Keys of the tags of one device."""
    if profile is None:
        return {}
    grouped = {member.resource.name for command in profile.commands.values() for member in command.members}
    return {
        each.path: _inlet(device, each, each.name in grouped) | _outlet(each, command_topic, view)
        for each in profile.tags()
    }


def _inlet(device: str, resource: Resource, grouped: bool) -> dict[str, Any]:
    if "r" not in resource.access:
        return {}
    if grouped:
        return {"path": _path(resource.name)}
    keys: dict[str, Any] = {"topic": f"incoming/data/{literal(device)}/{literal(resource.name)}"}
    if resource.kind.type == "object":
        keys["path"] = "$"
    elif resource.kind.type == "string":
        keys["format"] = "plain"
    return keys


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
    return {"command": {"topic": where, "path": _path(resource.name)}}
