"""[[inputs.opcua]] and [[inputs.opcua_listener]]: nodes by their ids, alone or in groups."""

from __future__ import annotations

from typing import Any

from gateway.importing.draft import Draft
from gateway.importing.names import literal
from gateway.importing.opcuanodes import GUESSED, POLICIES, is_node_id
from gateway.importing.tagset import TagSet
from gateway.importing.telegraf.common import interval, text_of, texts, with_texts
from gateway.importing.views import View

_TYPES = {
    "boolean": "bool",
    "bool": "bool",
    "byte": "uint8",
    "short": "int16",
    "int16": "int16",
    "uint16": "uint16",
    "int": "int32",
    "int32": "int32",
    "uint": "uint32",
    "uint32": "uint32",
    "float": "float32",
    "double": "float64",
    "number": "float64",
    "string": "string",
    "datetime": "string",
}
_INHERITED = ("namespace", "namespace_uri", "identifier_type")


def draw(plugin: View, general: View | None, draft: Draft) -> None:
    """The channel and device of one input."""
    url = text_of(plugin, "endpoint", "opc.tcp://localhost:4840")
    name = text_of(plugin, "name") or text_of(plugin, "metric_name") or "opcua"
    channel = _channel(plugin, url, name, draft)
    devices = draft.channels[channel]["devices"]
    device = draft.device_names.new_id(name, plugin.place)
    draft.at(plugin.place, "channels", channel, "devices", device)
    tags = TagSet(draft, "channels", channel, "devices", device)
    _nodes(plugin, {}, tags, "", draft)
    groups = plugin.get("group")
    for group in (groups.as_list() if groups is not None else None) or []:
        if group.as_map() is not None:
            defaults = {key: text_of(group, key) for key in _INHERITED}
            _nodes(group, defaults, tags, text_of(group, "name") or text_of(group, "metric_name"), draft)
    meta = {"name": literal(name), "imported": "Telegraf", **texts(plugin.get("tags"))}
    devices[device] = {"interval": interval(plugin, general, draft), "meta": meta, "tags": tags.tags}


def _channel(plugin: View, url: str, name: str, draft: Draft) -> str:
    for known, data in draft.channels.items():
        if data["driver"] == "opcua" and data["url"] == url:
            _security(plugin, draft, f"{known}_password")
            return str(known)
    channel = draft.channel_names.new_id(draft.options.channel or name, plugin.place)
    security = _security(plugin, draft, f"{channel}_password")
    draft.channels[channel] = {"driver": "opcua", "url": url, **security, "devices": {}}
    draft.at(plugin.place, "channels", channel)
    return channel


def _security(plugin: View, draft: Draft, secret: str) -> dict[str, Any]:
    policy, mode = text_of(plugin, "security_policy", "auto"), text_of(plugin, "security_mode", "auto")
    made: dict[str, Any] = {}
    if policy in POLICIES:
        made["security"] = {"policy": policy}
        if mode in {"Sign", "SignAndEncrypt"}:
            made["security"]["mode"] = mode
    elif policy not in {"None", "auto"}:
        text = f"the policy {policy} is not safe any more and not spoken here: None is taken"
        draft.report.warning(plugin.place, text)
    elif policy == "auto" and mode != "None":
        draft.report.guessed(plugin.place, '`security_policy = "auto"`: None is taken; see `fieldpost scan opcua`')
    for key in ("certificate", "private_key", "remote_certificate"):
        found = plugin.get(key)
        if found is not None and found.text:
            draft.report.warning(found.place, "certificates are not taken over: see `security` of the OPC UA driver")
    method = text_of(plugin, "auth_method", "Anonymous").lower()
    user, password = plugin.get("username"), plugin.get("password")
    if method == "username":
        place = (password or user or plugin).place
        reference = draft.credential(secret, "password of the OPC UA server", place)
        made["identity"] = {"user": literal(user.text if user is not None else ""), "password": reference}
    elif method == "certificate":
        draft.report.warning(plugin.place, "a login by certificate is not taken over: see `identity`")
    return made


def _nodes(view: View, defaults: dict[str, str], tags: TagSet, folder: str, draft: Draft) -> None:
    found = view.get("nodes")
    shared = texts(view.get("default_tags"))
    for entry in (found.as_list() if found is not None else None) or []:
        if entry.as_map() is None:
            continue
        name = text_of(entry, "name")
        address = _address(entry, defaults)
        if not name or address is None:
            if not name:
                draft.report.error(entry.place, "a node needs its `name`")
            continue
        keys = {"address": literal(address), "type": _type(entry, draft)}
        if description := text_of(entry, "description"):
            keys["description"] = literal(description)
        more = {**shared, **texts(entry.get("default_tags")), **texts(entry.get("tags"))}
        tags.add(f"{folder}\t{name}" if folder else name, with_texts(keys, more), entry.place, "\t", name)


def _address(entry: View, defaults: dict[str, str]) -> str | None:
    """The node id of an entry; None where it is wrong, which is reported."""
    written = text_of(entry, "id")
    if not written:
        own = {key: text_of(entry, key) or defaults.get(key, "") for key in _INHERITED}
        own_number, own_uri = text_of(entry, "namespace"), text_of(entry, "namespace_uri")
        uri = "" if own_number and not own_uri else own["namespace_uri"]
        place = f"nsu={uri};" if uri else f"ns={own['namespace'] or '0'};"
        written = f"{place}{own['identifier_type'] or 's'}={text_of(entry, 'identifier')}"
    if is_node_id(written):
        return written
    hint = 'id = "ns=2;s=NAME", or namespace, identifier_type and identifier'
    entry.report.error(entry.place, f"`{written[:60]}` is no node id", hint)
    return None


def _type(entry: View, draft: Draft) -> str:
    word = text_of(entry, "data_type").lower()
    kind = _TYPES.get(word)
    if kind is None:
        draft.report.guessed(entry.place, GUESSED)
    return kind or "float64"
