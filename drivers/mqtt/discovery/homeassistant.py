"""Home Assistant's MQTT discovery: `<prefix>/<kind>/[<node>/]<object>/config` describes one entity, and
`<prefix>/device/[<node>/]<object>/config` a device with all of them. Entities of one device are put together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drivers.mqtt.discovery.describing import MOST_TAGS, Described, Remembered, tag_name, text
from drivers.mqtt.discovery.ha_entities import tags_of
from drivers.mqtt.discovery.ha_keys import expanded
from drivers.mqtt.discovery.ha_templates import NotUnderstood, value_keys
from drivers.mqtt.topics import topic_fault
from gateway.mqttclient.connection import Inbound

Found = Callable[[Described], None]


class HomeAssistant:
    """What was described below one prefix."""

    def __init__(self, prefix: str, found: Found, memory: Remembered) -> None:
        self._prefix = prefix
        self._found = found
        self._memory = memory
        self._owner: dict[str, str] = {}

    def takers(self) -> list[_Topic]:
        """Both lengths of topics."""
        return [_Topic(f"{self._prefix}/+/+/config", self), _Topic(f"{self._prefix}/+/+/+/config", self)]

    def described(self, topic: str, config: Any) -> None:
        """One config message. An empty or unreadable one takes its entities back."""
        levels = topic[len(self._prefix) + 1 :].split("/")
        kind, rest = levels[0], levels[1:-1]
        owner = self._owner.pop(topic, None)
        before = self._memory.get(owner) if owner is not None else None
        if before is not None:
            _forget(before, topic)
        if not isinstance(config, dict):
            if before is not None:
                self._found(before)
        else:
            self._config(topic, kind, rest, expanded(config))
        if owner is not None and before is not None and not before.told_by:  # all of it was taken back
            self._memory.remove(owner)

    def _config(self, topic: str, kind: str, rest: list[str], config: Mapping[str, Any]) -> None:
        device = config.get("device")
        info: Mapping[str, Any] = device if isinstance(device, dict) else {}
        identity = _identity(info) or "/".join(rest)
        known = self._memory.told(identity)
        if known is None:
            known = Described(f"{self._prefix}:{identity}")
            there, gone = self._memory.add(identity, known)
            for old in gone.told_by if gone is not None else ():
                self._owner.pop(old, None)
            if not there:
                return
        if len(known.told_by) >= MOST_TAGS:
            return
        known.told_by.add(topic)
        self._owner[topic] = identity
        _about(known, info, config, self._prefix)
        if kind == "device":
            self._components(known, topic, config)
        else:
            _entity(known, topic, kind, rest[-1], config)
        self._found(known)

    def _components(self, known: Described, topic: str, config: Mapping[str, Any]) -> None:
        components = config.get("components")
        shared = {key: config[key] for key in ("state_topic", "command_topic", "qos") if key in config}
        for name, component in components.items() if isinstance(components, dict) else ():
            if isinstance(component, dict) and len(component) > 1:  # a platform alone takes a component back
                whole = {**shared, **expanded(component, text(config.get("~")) or None)}
                _entity(known, f"{topic}#{name}", text(whole.get("platform")), str(name), whole)


class _Topic:
    """A taker of the router. Texts, since an empty message takes a description back."""

    def __init__(self, topic: str, owner: HomeAssistant) -> None:
        self.filter = topic
        self.format = "raw"
        self._owner = owner

    def take(self, message: Inbound, document: bytes) -> Sequence[Any]:
        from drivers.mqtt.formats import BadPayload, decoder

        try:
            config = decoder("json")(document) if document else None
        except BadPayload:
            config = None
        self._owner.described(message.topic, config)
        return ()


def _forget(known: Described, topic: str) -> None:
    known.told_by.discard(topic)
    for parts in (known.parts, known.odd):
        for key in [key for key in parts if key == topic or key.startswith(f"{topic}#")]:
            del parts[key]


def _identity(info: Mapping[str, Any]) -> str:
    for key in ("identifiers", "connections"):
        value = info.get(key)
        while isinstance(value, list) and value:
            value = value[0] if key == "identifiers" or isinstance(value[0], list) else value[-1]
        if found := text(value):
            return found
    return ""


def _about(known: Described, info: Mapping[str, Any], config: Mapping[str, Any], prefix: str) -> None:
    known.name = text(info.get("name")) or known.name or known.identity.partition(":")[2]
    told = {
        "source": "home_assistant",
        "topic": prefix,
        "maker": text(info.get("manufacturer")),
        "model": text(info.get("model")),
        "serial": text(info.get("serial_number")),
        "version": text(info.get("sw_version")),
    }
    # often only one of a device's entities tells all of it
    known.properties |= {key: value for key, value in told.items() if value}
    if availability := _availability(known, config):
        known.keys["availability"] = availability


def _availability(known: Described, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The availability topics; those that all entities of a device have are told by each of them."""
    given = config.get("availability")
    rows = list(given) if isinstance(given, list) else []
    if text(config.get("availability_topic")):
        template = config.get("availability_template")
        rows.append({**config, "topic": config["availability_topic"], "value_template": template})
    found: list[dict[str, Any]] = []
    for row in rows:
        topic = text(row.get("topic"))
        try:
            path = value_keys(row.get("value_template")).get("path")
        except NotUnderstood as error:
            known.odd[f"availability {topic}"] = f"availability {topic}: {error}"
            continue
        keys = {"topic": topic, "online": text(row.get("payload_available", "online"))}
        keys["offline"] = text(row.get("payload_not_available", "offline"))
        if path:
            keys["path"] = path
        told = topic and not topic.startswith("~") and not topic_fault(topic)
        if told and keys["online"] != keys["offline"] and keys not in found:
            found.append(keys)
    return found


def _entity(known: Described, key: str, kind: str, object_id: str, config: Mapping[str, Any]) -> None:
    name = tag_name(text(config.get("name")) or text(config.get("object_id")) or object_id)
    try:
        known.parts[key] = tags_of(kind, name, config)
    except NotUnderstood as error:
        known.odd[key] = f"{kind} {name}: {error}"
