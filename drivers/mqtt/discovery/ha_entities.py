"""One entity of Home Assistant's discovery to tags. Each kind says what it has; the rest is not understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drivers.mqtt.discovery.describing import text
from drivers.mqtt.discovery.ha_templates import NotUnderstood, payload_of, value_keys
from drivers.mqtt.topics import topic_fault

Config = Mapping[str, Any]
Tags = dict[str, dict[str, Any]]

_TEXT_CLASSES = frozenset({"timestamp", "date", "enum"})


def tags_of(kind: str, name: str, config: Config) -> Tags:
    """The tags of an entity. Raises NotUnderstood, which names what stands in the way."""
    make = _KINDS.get(kind)
    if make is None:
        raise NotUnderstood(f"kind {kind}")
    tags = {each: keys for each, keys in make(name, config).items() if "topic" in keys or "command" in keys}
    if not tags:
        raise NotUnderstood("no topics")
    return tags


def _topic(config: Config, key: str) -> str:
    topic = text(config.get(key))
    if not topic:
        raise NotUnderstood(f"no {key}")
    if topic.startswith("~"):
        raise NotUnderstood(f"{key} is below a base that is not told")
    if fault := topic_fault(topic):
        raise NotUnderstood(f"{key} {fault}")
    return topic


def _state(config: Config, topic: str = "state_topic", template: str = "value_template") -> dict[str, Any]:
    return {"topic": _topic(config, topic), **value_keys(config.get(template))}


def _command(config: Config, topic: str = "command_topic", template: str = "command_template") -> dict[str, Any]:
    command: dict[str, Any] = {"topic": _topic(config, topic)}
    payload = payload_of(config.get(template))
    if payload is not None:
        command["payload"] = payload
        if not isinstance(payload, str):
            command["format"] = "json"
    if config.get("retain") is True:
        command["retain"] = True
    if config.get("qos") == 0:
        command["qos"] = 0
    return command


def _written(
    config: Config, keys: dict[str, Any], topic: str = "command_topic", template: str = "command_template"
) -> None:
    """Add the way out, where there is one."""
    if text(config.get(topic)):
        keys |= {"access": "rw" if "topic" in keys else "w", "command": _command(config, topic, template)}


def _words(config: Config, pairs: list[tuple[str, str, bool]]) -> dict[str, bool]:
    """Texts for true and false: (key, default, meaning); the first of each is what is sent."""
    words: dict[str, bool] = {}
    for key, default, meaning in pairs:
        raw = config.get(key, default)
        word = "true" if raw is True else "false" if raw is False else text(raw)
        if words.setdefault(word, meaning) is not meaning:
            raise NotUnderstood(f"{key} means both")
    return words


def _bool(config: Config, pairs: list[tuple[str, str, bool]]) -> dict[str, Any]:
    return {"type": "bool", "words": _words(config, pairs)}


def _sensor(name: str, config: Config) -> Tags:
    keys = _state(config)
    unit = text(config.get("unit_of_measurement"))
    kind = text(config.get("device_class"))
    number = bool(unit or config.get("state_class") or (kind and kind not in _TEXT_CLASSES))
    keys["type"] = "float64" if number or "scale" in keys else "string"
    if unit:
        keys["unit"] = unit
    return {name: keys}


def _binary_sensor(name: str, config: Config) -> Tags:
    return {name: {**_state(config), **_bool(config, [("payload_on", "ON", True), ("payload_off", "OFF", False)])}}


def _switch(name: str, config: Config) -> Tags:
    pairs = [("payload_on", "ON", True), ("payload_off", "OFF", False)]
    pairs += [(key, "", meaning) for key, meaning in (("state_on", True), ("state_off", False)) if key in config]
    keys = _bool(config, pairs)
    if text(config.get("state_topic")):
        keys |= _state(config)
    _written(config, keys)
    return {name: keys}


def _number(name: str, config: Config) -> Tags:
    low, high = config.get("min", 1), config.get("max", 100)
    keys: dict[str, Any] = {"type": "float64"}
    if isinstance(low, int | float) and isinstance(high, int | float) and low < high:
        keys["range"] = [low, high]
    if unit := text(config.get("unit_of_measurement")):
        keys["unit"] = unit
    if text(config.get("state_topic")):
        keys |= _state(config)
    _written(config, keys)
    return {name: keys}


def _text_entity(name: str, config: Config) -> Tags:
    keys: dict[str, Any] = {"type": "string"}
    if text(config.get("state_topic")):
        keys |= _state(config)
    _written(config, keys)
    return {name: keys}


def _button(name: str, config: Config) -> Tags:
    word = text(config.get("payload_press", "PRESS"))
    command = _command(config)
    return {name: {"type": "bool", "access": "w", "momentary": True, "words": {word: True}, "command": command}}


def _light(name: str, config: Config) -> Tags:
    schema = text(config.get("schema", "default")) or "default"
    if schema == "json":
        return _json_light(name, config)
    if schema not in {"default", "basic"}:
        raise NotUnderstood(f"light schema {schema}")
    keys = _bool(config, [("payload_on", "ON", True), ("payload_off", "OFF", False)])
    if text(config.get("state_topic")):
        keys |= _state(config, template="state_value_template")
    _written(config, keys)
    tags: Tags = {name: keys}
    if text(config.get("brightness_state_topic")) or text(config.get("brightness_command_topic")):
        level: dict[str, Any] = {"type": "float64", "range": [0, _scale(config)]}
        if text(config.get("brightness_state_topic")):
            level |= _state(config, "brightness_state_topic", "brightness_value_template")
        _written(config, level, "brightness_command_topic", "brightness_command_template")
        tags[f"{name}_brightness"] = level
    return tags


def _json_light(name: str, config: Config) -> Tags:
    topic = _topic(config, "state_topic")

    def keys(member: str, more: dict[str, Any]) -> dict[str, Any]:
        made = {"topic": topic, "path": f"$.{member}", **more}
        if text(config.get("command_topic")):
            command = {**_command(config, template=""), "path": f"$.{member}", "format": "json"}
            made |= {"access": "rw", "command": command}
        return made

    tags = {name: keys("state", {"type": "bool", "words": {"ON": True, "OFF": False}})}
    if config.get("brightness") is True or "brightness" in (config.get("supported_color_modes") or ()):
        tags[f"{name}_brightness"] = keys("brightness", {"type": "float64", "range": [0, _scale(config)]})
    return tags


def _scale(config: Config) -> float:
    scale = config.get("brightness_scale", 255)
    return scale if isinstance(scale, int | float) and scale > 0 else 255


def _lock(name: str, config: Config) -> Tags:
    pairs = [("payload_lock", "LOCK", True), ("payload_unlock", "UNLOCK", False)]
    pairs += [("state_locked", "LOCKED", True), ("state_unlocked", "UNLOCKED", False)]
    keys = _bool(config, pairs)
    if text(config.get("state_topic")):
        keys |= _state(config)
    _written(config, keys)
    return {name: keys}


def _cover(name: str, config: Config) -> Tags:
    tags: Tags = {}
    if text(config.get("state_topic")):
        tags[name] = {"type": "string", **_state(config)}
    if text(config.get("position_topic")) or text(config.get("set_position_topic")):
        place: dict[str, Any] = {"type": "float64"}
        low, high = config.get("position_closed", 0), config.get("position_open", 100)
        if isinstance(low, int | float) and isinstance(high, int | float) and low != high:
            place["range"] = [min(low, high), max(low, high)]
        if text(config.get("position_topic")):
            place |= _state(config, "position_topic", "position_template")
        _written(config, place, "set_position_topic", "set_position_template")
        tags[f"{name}_position"] = place
    if text(config.get("command_topic")):
        tags[f"{name}_command"] = {"type": "string", "access": "w", "command": _command(config, template="")}
    if not tags:
        raise NotUnderstood("no topics")
    return tags


def _parts(*parts: tuple[str, str, str, str, str, str]) -> Callable[[str, Config], Tags]:
    """Of an entity of several values: suffix, type, state topic and template, command topic and template."""

    def make(name: str, config: Config) -> Tags:
        tags: Tags = {}
        for suffix, kind, state, template, command, command_template in parts:
            keys: dict[str, Any] = {"type": kind}
            if text(config.get(state)):
                keys |= _state(config, state, template)
            _written(config, keys, command, command_template)
            if len(keys) > 1:
                tags[f"{name}{suffix}"] = keys
        if not tags:
            raise NotUnderstood("no topics")
        return tags

    return make


_climate = _parts(
    ("_temperature", "float64", "temperature_state_topic", "temperature_state_template",
     "temperature_command_topic", "temperature_command_template"),
    ("_current", "float64", "current_temperature_topic", "current_temperature_template", "", ""),
    ("_mode", "string", "mode_state_topic", "mode_state_template", "mode_command_topic", "mode_command_template"),
)  # fmt: skip


def _fan(name: str, config: Config) -> Tags:
    keys = _bool(config, [("payload_on", "ON", True), ("payload_off", "OFF", False)])
    if text(config.get("state_topic")):
        keys |= _state(config, template="state_value_template")
    _written(config, keys)
    speed = _parts(
        ("_speed", "float64", "percentage_state_topic", "percentage_value_template",
         "percentage_command_topic", "percentage_command_template"),
    )  # fmt: skip
    try:
        return {name: keys, **speed(name, config)}
    except NotUnderstood:
        return {name: keys}


_KINDS: dict[str, Callable[[str, Config], Tags]] = {
    "sensor": _sensor,
    "binary_sensor": _binary_sensor,
    "switch": _switch,
    "number": _number,
    "select": _text_entity,
    "text": _text_entity,
    "button": _button,
    "light": _light,
    "lock": _lock,
    "cover": _cover,
    "climate": _climate,
    "fan": _fan,
}
