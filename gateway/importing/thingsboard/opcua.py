"""An OPC UA connector: the server a channel, each mapping a device, its lists tags and methods.

Keys as in ThingsBoard's documentation of the OPC UA connector, in both of its forms: `mapping` beside the server or in
it, `type` and `value` of an entry or its `path`. Paths are patterns there: one that is a plain path is taken over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.importing.draft import Draft
from gateway.importing.names import literal
from gateway.importing.opcuanodes import GUESSED, POLICIES, is_node_id
from gateway.importing.tagset import TagSet, stem
from gateway.importing.thingsboard.common import milliseconds, reporting
from gateway.importing.views import View

_REFERENCE = re.compile(r"\$\{(?P<inside>[^{}]*)\}")
_PATTERN = re.compile(r"[*+?()\[\]|^$]")


def draw(connector: View, draft: Draft) -> None:
    """The channel and devices of a connector."""
    server = connector.get("server")
    if server is None or server.as_map() is None:
        return
    mapping = connector.get("mapping") or server.get("mapping")
    channel = _channel(server, draft)
    if channel is None or mapping is None:
        return
    connector.get("logLevel")
    connector.get("name")
    for entry in mapping.as_list() or []:
        if entry.as_map() is not None:
            _Mapping(entry, channel, draft, reporting(server, {})).draw()


def _channel(server: View, draft: Draft) -> str | None:
    address = server.get("url")
    url = (address.as_text() or "") if address is not None else ""
    if not url:
        draft.report.error(server.place, "the server needs its `url`", "opc.tcp://HOST:4840/PATH")
        return None
    url = url if "://" in url else f"opc.tcp://{url}"
    data: dict[str, Any] = {"driver": "opcua", "url": url}
    period = server.get("pollPeriodInMillis")
    if interval := draft.options.interval or milliseconds(period):
        data["interval"] = interval
    subscribe = server.get("enableSubscriptions")
    if subscribe is not None and subscribe.as_flag() is False:
        data["read"] = "poll"
    if (lasting := server.get("sessionTimeoutInMillis")) is not None:
        seconds = lasting.as_whole(1000, 86_400_000)
        data["session_timeout"] = (seconds or 60_000) / 1000
    named = server.get("name")
    channel = draft.channel_names.new_id(
        draft.options.channel or (named.text if named is not None else "") or stem(server.file), server.place
    )
    draft.channels[channel] = {**data, **_security(server, draft, f"{channel}_password"), "devices": {}}
    draft.at(server.place, "channels", channel)
    return channel


def _security(server: View, draft: Draft, secret: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    policy = server.get("security")
    word = (policy.as_text() or "None") if policy is not None else "None"
    if word != "None" and word not in POLICIES:
        text = f"the policy {word} is not safe any more and not spoken here: None is taken"
        draft.report.warning(policy.place if policy else server.place, text)
    elif word != "None":
        made["security"] = {"policy": word}
        draft.report.warning(
            server.place, "trust the server's certificate and let it trust ours: see `fieldpost scan opcua`"
        )
    identity = server.get("identity")
    kind = identity.get("type") if identity is not None else None
    if identity is None or kind is None or kind.text == "anonymous":
        return made
    if kind.text in {"basic", "username"}:
        user, _ = identity.get("username"), identity.get("password")
        made["identity"] = {
            "user": literal(user.text if user is not None else ""),
            "password": draft.credential(secret, "password of the OPC UA server", identity.place),
        }
    else:
        _ = identity.data
        draft.report.warning(identity.place, "certificates are not taken over: see `identity` of the OPC UA driver")
    return made


class _Mapping:
    """One mapping on its way to a device."""

    def __init__(self, view: View, channel: str, draft: Draft, report: dict[str, Any]) -> None:
        self._view = view
        self._channel = channel
        self._draft = draft
        self._report = draft.report
        self._inherited = report

    def draw(self) -> None:
        node = self._node()
        name = self._name(node or "")
        if node is None:
            return
        device = self._draft.device_names.new_id(name, self._view.place)
        root = ("channels", self._channel, "devices", device)
        devices = self._draft.channels[self._channel]["devices"]
        self._draft.at(self._view.place, *root)
        tags = TagSet(self._draft, *root)
        keys: dict[str, Any] = {"meta": {"name": literal(name), "imported": "ThingsBoard"}}
        if not is_node_id(node):
            keys["root"] = literal(node)
        own = reporting(self._view, self._inherited)
        for section, extra in (("timeseries", {}), ("attributes", {"on_change": True})):
            for entry in self._entries(section):
                self._entry(entry, node, tags, keys, {**extra, **own})
        self._updates(node, tags)
        if methods := self._methods(node):
            keys["methods"] = methods
        devices[device] = {**keys, "tags": tags.tags}

    def _node(self) -> str | None:
        """The device's node: a path from the root folder, or a node id."""
        for key in ("deviceNodeSource", "deviceTypePattern"):
            self._view.get(key)
        found = self._view.get("deviceNodePattern")
        if found is None:
            self._report.error(self._view.place, "a mapping needs its `deviceNodePattern`")
            return None
        inside = _REFERENCE.fullmatch(found.text.strip())
        text = inside["inside"] if inside else found.text.strip()
        if is_node_id(text):
            return text
        path = _plain_path(text)
        if path is None:
            hint = "write the path of one device, as Root\\.Objects\\.Boiler"
            self._report.error(found.place, f"`{text[:60]}` is a pattern, which stands for any number of devices", hint)
        return path

    def _name(self, node: str) -> str:
        info = self._view.get("deviceInfo")
        found = self._view.get("deviceNamePattern")
        if info is not None:
            for key in ("deviceNameExpressionSource", "deviceProfileExpression", "deviceProfileExpressionSource"):
                info.get(key)
            found = info.get("deviceNameExpression")
        text = found.text.strip() if found is not None else ""
        if text and not _REFERENCE.search(text):
            return text
        name = re.split(r"[/;=.]", node)[-1] or "device"
        place = found.place if found is not None else self._view.place
        self._report.guessed(place, f"the device's name is read from a node there: `{name}` is taken")
        return name

    def _entries(self, section: str) -> Iterator[View]:
        found = self._view.get(section)
        for entry in (found.as_list() if found is not None else None) or []:
            if entry.as_map() is not None:
                yield entry

    def _entry(self, entry: View, node: str, tags: TagSet, device: dict[str, Any], report: dict[str, Any]) -> None:
        named, kind = entry.get("key"), entry.get("type")
        name = named.as_text() if named is not None else None
        if not name:
            self._report.error(entry.place, "an entry has no `key`")
            return
        if kind is not None and kind.text == "constant":
            value = entry.get("value")
            device["meta"][literal(name)] = literal(value.text if value is not None else "")
            return
        address = self._address(entry, node)
        if address is None:
            return
        self._report.guessed(entry.place, GUESSED)
        keys: dict[str, Any] = {"address": literal(address), "type": "float64", **reporting(entry, report)}
        tags.add(name, keys, entry.place)

    def _address(self, entry: View, node: str) -> str | None:
        found = entry.get("value", "path")
        if found is None:
            self._report.error(entry.place, "an entry needs its `value`", "${Temperature}, or ${ns=2;s=NAME}")
            return None
        inside = _REFERENCE.search(found.text)
        text = (inside["inside"] if inside else found.text).strip()
        if is_node_id(text):
            return text
        path = _plain_path(text)
        if path is None or (not path.startswith("/") and is_node_id(node)):
            self._report.error(found.place, f"`{text[:60]}` is not one node", "write a node id, ns=2;s=NAME")
            return None
        return path

    def _updates(self, node: str, tags: TagSet) -> None:
        """Attributes that the cloud may set: the tag at this place becomes writable, or a new one is made."""
        for section in ("attributes_updates", "attributeUpdates"):
            for entry in self._entries(section):
                named = entry.get("key", "attributeOnThingsBoard")
                entry.get("type")
                other = entry.get("attributeOnDevice")
                address = (
                    self._address(entry, node) if other is None else (_plain_path(other.text.strip("${}")) or None)
                )
                if named is None or address is None:
                    continue
                self._writable(named.text, address, node, entry, tags)

    def _writable(self, name: str, address: str, node: str, entry: View, tags: TagSet) -> None:
        absolute = address if address.startswith("/") or is_node_id(address) else f"{node}/{address}"
        for keys in tags.tags.values():
            known = keys["address"]
            if literal(absolute) in {known, f"{literal(node)}/{known}"}:
                keys["access"] = "rw"
                return
        self._report.guessed(entry.place, GUESSED)
        tags.add(name, {"address": literal(address), "type": "float64", "access": "w"}, entry.place)

    def _methods(self, node: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for entry in self._entries("rpc_methods"):
            named = entry.get("method")
            entry.get("arguments")  # told by who calls
            name = (named.as_text() or "") if named is not None else ""
            if name and not is_node_id(node):
                found[name] = {"address": literal(f"{node}/{name}")}
            elif name:
                self._report.warning(
                    entry.place, f"the method `{name}` needs its node: see `methods` of the OPC UA driver"
                )
        return found


def _plain_path(text: str) -> str | None:
    r"""`Root\.Objects\.Boiler` as `/Objects/Boiler`, `Temperature` as it is; None for a pattern or nothing."""
    parts = [part.replace("\\", "") for part in re.split(r"\\+\.|\.", text)]
    if not all(parts) or any(_PATTERN.search(part) for part in parts) or "/" in text:
        return None
    if parts[0] == "Root":
        return "/" + "/".join(parts[1:]) if len(parts) > 1 else None
    return "/".join(parts)
