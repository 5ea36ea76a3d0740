"""Named commands of a device at work: a set of tags read by the fewest requests, or written in order after all checks.

A caller without a choice of its own gets what the command can do: one that can be read and written is written when
values are given. A tag of the device that no command and no method is named like is a command of itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gateway.errors import RequestRefused, WriteRejected
from gateway.model import Access, CommandItem, CommandSpec, Device, Tag, Value
from gateway.runtime.ops import Call, OpRefused, all_or_nothing, summary
from gateway.runtime.tagops import carried, read_item, read_tags, write_tags

if TYPE_CHECKING:
    from gateway.runtime.node import Node

MODES = ("read", "write")
_NOT_ASKED = 501


def find_command(device: Device, name: str) -> CommandSpec | None:
    """The device's command of that name."""
    return next((command for command in device.spec.commands if command.name == name), None)


def tag_as_command(device: Device, name: str) -> CommandSpec | None:
    """A tag of the device as a command of itself; None where there is no such tag."""
    tag = device.tag(name)
    return None if tag is None else CommandSpec(name, (CommandItem(name),), tag.spec.access)


async def run_command(
    node: Node, call: Call, device: Device, command: CommandSpec, given: Mapping[str, Any]
) -> dict[str, Any]:
    """`items` of a read or a write. Raises OpRefused when the command cannot do what is asked."""
    if _writes(call, command, given):
        return await _write(node, call, device, command, given)
    if given:
        raise OpRefused(f"{command.name} is read: it takes no values", code=400)
    return await _read(node, device, command)


def _writes(call: Call, command: CommandSpec, given: Mapping[str, Any]) -> bool:
    mode = call.args.get("mode")
    if mode is not None and mode not in MODES:
        raise OpRefused("call takes args.mode: read or write", code=400)
    if mode is None:
        if given and command.access is Access.READ:
            raise OpRefused(f"{command.name} can only be read (access: r)", code=403)
        return bool(given) or command.access is Access.WRITE
    lacking = Access.READ if mode == "write" else Access.WRITE
    if command.access is lacking:
        raise OpRefused(f"{command.name} has access {command.access.value}: {mode} is not possible", code=403)
    return bool(mode == "write")


# --- reading ---------------------------------------------------------------------------------------------------


async def _read(node: Node, device: Device, command: CommandSpec) -> dict[str, Any]:
    """All tags at once, so that what can be asked together is. A driver that cannot be asked has what it told last."""
    wanted = [item.path for item in command.items]
    try:
        items = await read_tags(node, device, wanted)
    except RequestRefused as error:
        if error.code != _NOT_ASKED:
            raise
        items = {path: _latest(node, device, path) for path in wanted}
    for item in command.items:
        _add_label(items[item.path], item, device.tag(item.path))
    return {"code": summary(items), "items": items}


def _latest(node: Node, device: Device, path: str) -> dict[str, Any]:
    tag = device.tag(path)
    if tag is None:
        return {"code": 404, "text": f"there is no tag {path}"}
    row = node.latest.current(tag)
    return read_item(row.value, int(row.quality), row.ts)


# --- writing ---------------------------------------------------------------------------------------------------


async def _write(
    node: Node, call: Call, device: Device, command: CommandSpec, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Defaults fill what is not given. All is checked first; then each item ends by itself, in the command's order."""
    values: dict[str, Any] = {}
    items: dict[str, Any] = {}
    for item in command.items:
        try:
            values[item.path] = _wanted(item, device.tag(item.path), given)
            items[item.path] = {"code": 200}
        except WriteRejected as error:
            items[item.path] = {"code": error.code, "text": str(error)}
    for path in given.keys() - items.keys():
        items[path] = {"code": 404, "text": f"{command.name} has no tag {path}"}
    if (code := all_or_nothing(items)) != 200:
        return {"code": code, "items": items}
    answer = await write_tags(node, call, device, values)
    items = {path: answer["items"][path] for path in values}  # what is refused comes first there
    for item in command.items:
        _add_label(items[item.path], item, device.tag(item.path))
    return {"code": answer["code"], "items": items}


def _wanted(item: CommandItem, tag: Tag | None, given: Mapping[str, Any]) -> Any:
    """The value to write. Raises WriteRejected where there is none, or a text that is no label of this command."""
    value = given.get(item.path, item.default)
    if value is None:
        raise WriteRejected(f"{item.path} has no default: give it a value", code=400)
    if item.path not in given and isinstance(value, bytes):
        return value.hex()
    if not item.labels or not isinstance(value, str) or tag is None:
        return value
    for raw, label in item.labels:
        if label == value:
            return raw
    known = ", ".join(repr(label) for _, label in item.labels)
    raise WriteRejected(f"{item.path} has no label {value!r}; it has {known}", code=400)


def _add_label(answer: dict[str, Any], item: CommandItem, tag: Tag | None) -> None:
    """The text of a whole number or bool, beside the value itself."""
    labels = item.labels or (tag.spec.labels if tag is not None else ())
    value: Value = answer.get("value")
    if not labels or not isinstance(value, bool | int | float) or value != int(value):
        return
    text = dict(labels).get(int(value))
    if text is not None:
        answer["label"] = text


# --- what there is ---------------------------------------------------------------------------------------------


def described(device: Device) -> list[dict[str, Any]]:
    """The commands of a device for lists, without those that are hidden."""
    return [_described(command) for command in device.spec.commands if not command.hidden]


def _described(command: CommandSpec) -> dict[str, Any]:
    row: dict[str, Any] = {"command": command.name, "access": command.access.value}
    if command.description:
        row["description"] = command.description
    row["tags"] = [_described_item(item) for item in command.items]
    return row


def _described_item(item: CommandItem) -> dict[str, Any]:
    row: dict[str, Any] = {"tag": item.path}
    if item.default is not None:
        row["default"] = item.default.hex() if isinstance(item.default, bytes) else carried(item.default)
    if item.labels:
        row["labels"] = {str(raw): text for raw, text in item.labels}
    return row
