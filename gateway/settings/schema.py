"""JSON Schemas of the files, for editors: generated from the same Structs that the loader uses.

`python -m gateway.settings.schema [FOLDER]` writes them (default config/schema). They help while typing; what counts is
`fieldpost check`, which knows more than types.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.driver import DriverSpec
from gateway.serving.contract import ServerSpec
from gateway.settings import keys, ota_keys, rule_keys, watch_keys
from gateway.settings.channel_file import CHANNEL_DEFAULTS
from gateway.settings.convert import fields_of
from gateway.settings.gateway_file import REMOTE_CONFIG
from gateway.settings.keys import TAG_DEFAULTS
from gateway.units import Bytes, Rate, Seconds

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_UNITS: dict[Any, Schema] = {
    Seconds: {"type": ["string", "integer"], "pattern": r"^\d+(\.\d+)?\s*(ms|s|m|min|h|d)$", "maximum": 0},
    Bytes: {"type": ["string", "integer"], "pattern": r"^\d+(\.\d+)?\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)$", "maximum": 0},
    Rate: {"type": "string", "pattern": r"^\d+\s*/\s*\d*\s*(s|min|m|h|d)$"},
}
_NOTES = {"title", "default", "description"}
_TEMPLATE: Schema = {"type": "string", "pattern": r"\{[^{}]+\}"}


def generate(drivers: Iterable[DriverSpec], servers: Iterable[ServerSpec] = ()) -> dict[str, Schema]:
    """All schemas by file name."""
    drivers = sorted(drivers, key=lambda driver: driver.name)
    schemas = {"gateway.json": _gateway(servers), "profile.json": _profile(drivers)}
    schemas |= {"rules.json": _rules(), "alarms.json": _file("alarms/*.yaml", _map_of(_alarm()))}
    schemas |= {f"channel-{driver.name}.json": _channel(driver) for driver in drivers}
    return schemas


def write(folder: Path, drivers: Iterable[DriverSpec], servers: Iterable[ServerSpec] = ()) -> None:
    """Write the schemas into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in generate(drivers, servers).items():
        (folder / name).write_text(as_text(schema), encoding="utf-8")


def as_text(schema: Schema) -> str:
    """The file's text."""
    return json.dumps(schema, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _gateway(servers: Iterable[ServerSpec]) -> Schema:
    uplink = _object(
        keys.UplinkKeys,
        tls=_object(keys.TlsKeys),
        select=_object(keys.SelectKeys),
        reconnect=_object(keys.ReconnectKeys),
        batch=_object(keys.BatchKeys),
        rate=_object(keys.RateKeys),
    )
    properties = {
        "gateway": _object(keys.GatewayKeys),
        "clock": _object(keys.ClockKeys),
        "store": _object(keys.StoreKeys, journal=_object(keys.JournalKeys)),
        "shadow": _object(keys.ShadowKeys),
        "remote_config": {"enum": list(REMOTE_CONFIG)},
        "apply": _object(keys.ApplyKeys),
        "uplinks": _map_of(uplink),
        "servers": _map_of(_server(servers)),
        "rules": _object(rule_keys.RulesKeys),
        "imports": _object(keys.ImportKeys),
        "notify": _map_of(_notification()),
        "ota": _object(ota_keys.OtaKeys, drivers=_object(ota_keys.OtaDriverKeys)),
        "vars": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    }
    return _file("gateway.yaml", {"type": "object", "properties": properties, "required": ["gateway"]})


def _server(specs: Iterable[ServerSpec]) -> Schema:
    """A server of any kind: an editor is told which keys each kind has."""
    kinds = []
    for spec in sorted(specs, key=lambda each: each.name):
        kernel = _object(keys.ServerKeys, kind={"const": spec.name}, select=_object(keys.ServerSelectKeys))
        own = _object(spec.settings)
        kinds.append(_join(kernel, own) | {"required": [*kernel["required"], *own.get("required", [])]})
    return {"anyOf": kinds} if kinds else {"type": "object"}


def _notification() -> Schema:
    return _object(
        rule_keys.NotifyKeys,
        mqtt=_object(rule_keys.NotifyMqttKeys),
        webhook=_object(rule_keys.NotifyWebhookKeys),
        smtp=_object(rule_keys.NotifySmtpKeys),
        resend=_object(rule_keys.ResendKeys),
    )


def _rules() -> Schema:
    steps = {"type": "array", "items": _step()}
    alarm = _object(rule_keys.RuleAlarmKeys)
    rule = _object(rule_keys.RuleKeys, every=_every(), start=steps, end=steps, alarm=alarm)
    return _file("rules/*.yaml", _map_of(rule))


def _every() -> Schema:
    return {"anyOf": [_UNITS[Seconds], _object(rule_keys.EveryKeys)]}


def _step() -> Schema:
    """One step: a mapping with one key, its kind."""
    value = {"anyOf": [{"type": ["string", "number", "boolean"]}, _object(rule_keys.ValueKeys)]}
    kinds: Schema = {
        "write": _map_of(value),
        "desired": _map_of(value),
        "set": _map_of(value),
        "publish": _object(rule_keys.PublishKeys),
        "webhook": _object(rule_keys.WebhookKeys),
        "log": _object(rule_keys.LogKeys),
        "command": _object(rule_keys.CommandKeys),
        "notify": _object(rule_keys.TellKeys),
        "delay": _UNITS[Seconds],
    }
    for kind in ("log", "notify"):
        kinds[kind] = {"anyOf": [{"type": "string"}, kinds[kind]]}
    return {"type": "object", "properties": kinds, "additionalProperties": False}


def _alarm() -> Schema:
    return _object(
        rule_keys.AlarmKeys,
        levels=_map_of(_object(rule_keys.LevelKeys)),
        rate=_object(rule_keys.RateLimitKeys),
        deviation=_object(rule_keys.DeviationKeys),
    )


def _device_alarms() -> Schema:
    """The alarms of a device or profile: which device they are for needs no telling."""
    alarm = _alarm()
    kept = {name: schema for name, schema in alarm["properties"].items() if name not in {"profile", "devices"}}
    return _map_of(alarm | {"properties": kept})


def _channel(driver: DriverSpec) -> Schema:
    group = {"anyOf": [_UNITS[Seconds], _object(keys.GroupKeys), _TEMPLATE]}
    device = _join(
        _object(
            keys.DeviceKeys,
            tags=_map_of(_tag([driver])),
            alarms=_device_alarms(),
            commands=_map_of(_command()),
            params={"type": "object"},
            meta={"type": "object"},
        ),
        _object(driver.device),
    )
    own = _object(driver.channel)
    kernel = _object(keys.ChannelKeys)
    tag = _tag([driver])
    defaults: Schema = dict(_object(driver.tag)["properties"])
    defaults |= {name: schema for name, schema in tag["properties"].items() if name in TAG_DEFAULTS}
    defaults |= _object(driver.device)["properties"] | own["properties"]
    defaults |= {name: schema for name, schema in kernel["properties"].items() if name in CHANNEL_DEFAULTS}
    channel = _join(
        _object(
            keys.ChannelKeys,
            driver={"const": driver.name},
            groups=_map_of(group),
            defaults={"type": "object", "properties": defaults, "additionalProperties": False},
            devices={"type": "object", "additionalProperties": device},
            watch=_map_of(_watch(device)),
        ),
        own,
    )
    # A default may give what the driver needs, so only the kernel's keys are demanded here.
    return _file(f"channels/*.yaml, driver {driver.name}", channel | {"required": ["driver"]})


def _watch(device: Schema) -> Schema:
    """A watch rule: patterns by property, and keys of the devices that it brings in."""
    one: Schema = {"type": ["string", "number", "boolean"]}
    patterns = _map_of({"anyOf": [one, {"type": "array", "items": one}]})
    extra = {"type": "object", "properties": {k: v for k, v in device["properties"].items() if k != "profile"}}
    return _object(
        watch_keys.WatchKeys, match=patterns, **{"except": patterns, "keys": extra | {"additionalProperties": False}}
    )


def _profile(drivers: Iterable[DriverSpec]) -> Schema:
    drivers = list(drivers)
    merged: Schema = {"type": "object", "properties": {}}
    for driver in drivers:
        merged = _join(merged, _object(driver.device))
    defaults = dict(_tag(drivers)["properties"]) | merged["properties"]
    kernel = _object(
        keys.ProfileKeys,
        tags=_map_of(_tag(drivers)),
        alarms=_device_alarms(),
        commands=_map_of(_command()),
        params={"type": "object"},
        meta={"type": "object"},
        defaults={"type": "object", "properties": defaults, "additionalProperties": False},
    )
    return _file("profiles/*.yaml", _map_of(_join(merged, kernel)))


def _command() -> Schema:
    """A named command. Nothing is required: what a device leaves out, its profile has."""
    item = _object(keys.CommandTagKeys, labels=_map_of({"type": "string"}), default={})
    tags = {"anyOf": [{"type": "array", "items": {"type": "string"}}, _map_of({"anyOf": [item, {"type": "null"}]})]}
    command = _object(keys.CommandKeys, tags=tags)
    return {name: value for name, value in command.items() if name != "required"}


def _tag(drivers: Iterable[DriverSpec]) -> Schema:
    """A tag. Nothing is required: what a device leaves out, its profile has."""
    tag = _object(
        keys.TagKeys,
        write=_object(keys.WriteKeys),
        verify=_object(keys.VerifyKeys),
        deadband={"anyOf": [{"type": "number"}, _object(keys.DeadbandKeys), _TEMPLATE]},
        reset={"anyOf": [{"const": "daily"}, _object(rule_keys.EveryKeys), _TEMPLATE]},
        labels={"type": "object", "additionalProperties": {"type": "string"}},
        meta={"type": "object"},
        on_reconnect={"anyOf": [{"enum": ["keep", "reapply"]}, _object(keys.ReconnectTagKeys), _TEMPLATE]},
    )
    for driver in drivers:
        tag = _join(tag, _object(driver.tag))
    return {name: value for name, value in tag.items() if name != "required"}


def _object(struct: type[Any], **nested: Schema) -> Schema:
    """The mapping that a Struct describes; `nested` replaces the schema of keys that are sections themselves."""
    properties: Schema = {}
    required = []
    for name, field in fields_of(struct).items():
        properties[name] = nested.get(name) or _loosened(_type(field.type))
        if field.required:
            required.append(name)
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def _type(wanted: Any) -> Schema:
    (schema,), components = msgspec.json.schema_components([wanted], schema_hook=_unit)
    found: Schema = _inline(schema, components)
    # `null` stands for a key that is left out; it cannot be written.
    if "anyOf" in found:
        kept: list[Schema] = [kind for kind in found["anyOf"] if kind != {"type": "null"}]
        return kept[0] if len(kept) == 1 else {"anyOf": kept}
    return found


def _unit(wanted: type) -> Schema:
    """A unit of ours, or a driver's own type that is made of a text (convert.hook)."""
    return _UNITS.get(wanted) or ({"type": "string"} if hasattr(wanted, "parse") else {})


def _inline(schema: Any, components: Mapping[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inline(components[schema["$ref"].rpartition("/")[2]], components)
        return {name: _inline(value, components) for name, value in schema.items() if name not in _NOTES}
    if isinstance(schema, list):
        return [_inline(value, components) for value in schema]
    return schema


def _loosened(schema: Schema) -> Schema:
    """Any value may be a reference or have parameters in braces."""
    if schema in ({}, {"type": "string"}):
        return schema
    return {"anyOf": [*schema.get("anyOf", [schema]), _TEMPLATE]}


def _join(first: Schema, second: Schema) -> Schema:
    """One mapping with the keys of both; a key of both accepts either."""
    properties = dict(first["properties"])
    for name, schema in second["properties"].items():
        known = properties.get(name, schema)
        if known != schema:
            kinds = [*known.get("anyOf", [known]), *schema.get("anyOf", [schema])]
            properties[name] = {"anyOf": [kind for index, kind in enumerate(kinds) if kind not in kinds[:index]]}
        else:
            properties[name] = schema
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _map_of(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


def _file(title: str, schema: Schema) -> Schema:
    return {"$schema": DRAFT, "title": f"Fieldpost {title}", "additionalProperties": False} | schema


def main() -> None:
    """Write the schemas of all installed drivers."""
    from gateway.registry import Registry
    from gateway.serving.registry import ServerRegistry

    registry = Registry()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("config/schema")
    servers = ServerRegistry()
    write(
        folder,
        [registry.load(name) for name in registry.names()],
        [servers.load(name) for name in servers.names()],
    )


if __name__ == "__main__":
    main()
