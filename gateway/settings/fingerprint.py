"""Hashes that name what a configuration means: independent of files, order of keys, comments and secret values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec
from msgspec.structs import asdict

from gateway.model import ChannelSpec, TagSpec
from gateway.rulebook import NotifySpec, RuleBook, Step
from gateway.settings.references import is_secret_key
from gateway.settings.types import JOB_OPS, ApplySettings, GatewaySettings, OtaSettings, UplinkSettings

HASH_DIGITS = 16
_TAGS_AT_ONCE = 500
_HIDDEN_KEYS = ("key", "username", "url")


def channel_bytes(channel: ChannelSpec) -> bytes:
    """A channel's meaning as bytes: equal bytes, equal channel, whatever the order in its files."""
    return _encoder().encode(_channel(channel))


def fingerprint(settings: GatewaySettings, *, base: Path, secrets: Mapping[str, str]) -> str:
    """16 hex digits of SHA-256 over the resolved tree. `secrets` maps secret values to their references: a rotated
    password changes nothing here. Files below `base` count by their relative name.
    """
    tree = asdict(settings)
    del tree["hash"], tree["accepted"]
    tree["watch"] = {f"{rule.channel}/{rule.name}": rule for rule in settings.watch}
    tree["channels"] = {channel.id: _channel(channel) for channel in settings.channels}
    tree["uplinks"] = {uplink.name: _uplink(uplink) for uplink in settings.uplinks}
    tree["book"] = _book(settings.book)
    tree["servers"] = {server.name: server for server in settings.servers}
    if not settings.servers:
        del tree["servers"]  # a configuration without any keeps the name that it had before there were servers
    if settings.ota == OtaSettings():
        del tree["ota"]  # likewise before there were updates
    for name, default in (("remote_config", "open"), ("apply", ApplySettings())):
        if tree[name] == default:
            del tree[name]
    return _hash_of(tree, _encoder(base), secrets)


def _hash_of(tree: dict[str, Any], encoder: msgspec.json.Encoder, secrets: Mapping[str, str]) -> str:
    """The hash of a tree's bytes. Tags go into it some hundreds at a time: written out as a whole they would take as
    much memory as the configuration itself.
    """
    mark, tags = token_hex(16), list[dict[str, TagSpec]]()  # no text of a user holds this mark
    for channel in tree["channels"].values():
        for device in channel["devices"].values():
            tags.append(device["tags"])
            device["tags"] = f"{mark}{len(tags) - 1}"
    digest = hashlib.sha256()
    for number, piece in enumerate(re.split(f'"{mark}([0-9]+)"'.encode(), _bytes(tree, encoder, secrets))):
        if number % 2:
            for part in _in_parts(tags[int(piece)], encoder, secrets):
                digest.update(part)
        else:
            digest.update(piece)
    return digest.hexdigest()[:HASH_DIGITS]


def _in_parts(tags: dict[str, TagSpec], encoder: msgspec.json.Encoder, secrets: Mapping[str, str]) -> Iterator[bytes]:
    """The bytes of a mapping of tags, in the order of their paths as the encoder sorts them."""
    paths = sorted(tags)
    for first in range(0, len(paths), _TAGS_AT_ONCE):
        some = {path: tags[path] for path in paths[first : first + _TAGS_AT_ONCE]}
        yield b"," if first else b"{"
        yield _bytes(some, encoder, secrets, "tags")[1:-1]
    yield b"}" if paths else b"{}"


def _bytes(value: Any, encoder: msgspec.json.Encoder, secrets: Mapping[str, str], above: str = "") -> bytes:
    encoded = encoder.encode(value)
    if secrets:
        encoded = _encoder().encode(_without_secrets(msgspec.json.decode(encoded), secrets, above))
    return encoded


def _uplink(uplink: UplinkSettings) -> dict[str, Any]:
    fields = asdict(uplink)
    if uplink.codec != "edgex":
        del fields["quality"], fields["envelope"]  # others keep the name that they had before there was this codec
    if uplink.jobs == JOB_OPS:
        del fields["jobs"]  # as if there were no such key
    return fields


def _book(book: RuleBook) -> dict[str, Any]:
    fields = asdict(book)
    fields["rules"] = {
        rule.id: asdict(rule) | {"start": _steps(rule.start), "end": _steps(rule.end)} for rule in book.rules
    }
    fields["alarms"] = {alarm.key: alarm for alarm in book.alarms}
    fields["notify"] = {one.name: asdict(one) | {"options": _options(one)} for one in book.notify}
    fields["quiet_issues"] = sorted(book.quiet_issues)
    return fields


def _steps(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    return [asdict(step) | {"headers": dict(step.headers), "args": dict(step.args)} for step in steps]


def _options(one: NotifySpec) -> dict[str, Any]:
    options = dict(one.options)
    if "headers" in options:
        options["headers"] = dict(options["headers"])
    return options


def _channel(channel: ChannelSpec) -> dict[str, Any]:
    fields = asdict(channel)
    fields["devices"] = {device.id: _device(device) for device in channel.devices}
    return fields


def _device(device: Any) -> dict[str, Any]:
    fields = asdict(device)
    fields["tags"] = {tag.path: tag for tag in device.tags}
    fields["meta"] = dict(device.meta)
    return fields


def _encoder(base: Path | None = None) -> msgspec.json.Encoder:
    def other(value: Any) -> Any:
        if isinstance(value, Path):
            if base is not None and value.is_relative_to(base):
                return str(value.relative_to(base))
            return str(value)
        return repr(value)  # a driver's own type

    return msgspec.json.Encoder(enc_hook=other, order="sorted")


def _without_secrets(value: Any, secrets: Mapping[str, str], above: str = "") -> Any:
    if isinstance(value, dict):
        return {
            key: secrets.get(item, item)
            if isinstance(item, str) and (above == "headers" or is_secret_key(key) or key in _HIDDEN_KEYS)
            else _without_secrets(item, secrets, key)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item, secrets) for item in value]
    return value
