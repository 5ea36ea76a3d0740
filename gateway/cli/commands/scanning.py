"""scan ble, mqtt, opcua: options of each, and their findings as tables."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.cli import forms
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.cli.target import url_target
from gateway.errors import ConfigError
from gateway.model import ChannelSpec
from gateway.settings.loader import load_tree
from rules.expression import RuleExpressions

_OWN = {
    "modbus": {"units", "ranges", "line", "draft", "write", "timeout"},
    "ble": {"lasting", "filter", "rssi"},
    "mqtt": {"lasting", "topic", "most"},
    "opcua": set[str](),
}
_WORDS = {"lasting": "--for"}
_KEY = {"ble": "address", "mqtt": "topic"}
_LONGEST = 48
_BLE = ("address", "name", ">rssi", "kind", "configured as", "says")
_MQTT = ("topic", ">times", "format", ">tags", "sample")
_OPCUA = ("policy", "mode", "identities", "server", "endpoint")


def refuse_foreign(session: Session) -> None:
    """Raises CommandFailed (usage) for options of another protocol: they would be ignored."""
    protocol = session.args.protocol
    for option in sorted(set().union(*_OWN.values()) - _OWN[protocol]):
        if session.option(option) not in (None, False):
            raise CommandFailed(f"{_WORDS.get(option, f'--{option}')} is not of scan {protocol}", Exit.USAGE)


def scan_other(session: Session) -> int:
    """What a radio, a broker or a server shows."""
    from gateway.cli.commands.field import collect

    protocol = session.args.protocol
    target, options = {"ble": _ble, "mqtt": _mqtt, "opcua": _opcua}[protocol](session)
    findings = latest(protocol, collect(session, {"driver": protocol, **target, "options": options}))
    if session.out.as_json:
        session.out.result({"ok": True, "findings": findings})
    else:
        show(session, protocol, findings)
    return Exit.OK if findings else Exit.FAILED


Asked = tuple[dict[str, Any], dict[str, Any]]


def _ble(session: Session) -> Asked:
    options: dict[str, Any] = {}
    for name, option in (("seconds", "lasting"), ("name", "filter"), ("rssi", "rssi")):
        if session.option(option) is not None:
            options[name] = session.option(option)
    channels: Iterable[ChannelSpec] = ()
    with contextlib.suppress(CommandFailed, ConfigError):  # a scan needs no good configuration
        channels = load_tree(session.config_dir, expressions=RuleExpressions()).channels
    return ble_target(channels, None, session.option("target") or ""), options


def ble_target(channels: Iterable[ChannelSpec], channel: str | None, text: str) -> dict[str, Any]:
    """The channel of a radio: the one that is named, else the one that there is, else an adapter."""
    known = {each.id: each for each in channels if each.driver == "ble"}
    if channel in known or text in known:
        return {"channel": channel if channel in known else text}
    for each in known.values():
        if text in ("", getattr(each.settings, "adapter", "")):
            return {"channel": each.id}
    return {"settings": {"adapter": text} if text else {}}


def _mqtt(session: Session) -> Asked:
    options: dict[str, Any] = {}
    for name, option in (("for", "lasting"), ("topics", "topic"), ("most", "most")):
        if session.option(option) is not None:
            options[name] = [session.option(option)] if option == "topic" else session.option(option)
    return _target(session, "mqtt"), options


def _opcua(session: Session) -> Asked:
    return _target(session, "opcua"), {}


def _target(session: Session, driver: str) -> dict[str, Any]:
    if not session.option("target"):
        raise CommandFailed(f"scan {driver} takes a channel or a url", Exit.USAGE)
    return url_target(driver, session.args.target)


def latest(protocol: str, findings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One finding for each thing: what was said of it last."""
    key = _KEY.get(protocol)
    if key is None:
        return [dict(each) for each in findings]
    found: dict[Any, dict[str, Any]] = {}
    for place, each in enumerate(findings):
        if "messages" in each:
            for topic, count in each["messages"].items():
                if topic in found:
                    found[topic]["count"] = count
            continue
        found[each.get(key, place)] = dict(each)
    return list(found.values())


def show(session: Session, protocol: str, findings: Sequence[Mapping[str, Any]]) -> None:
    """Findings as a table, and what else there is to say."""
    rows = [each for each in findings if each.keys() != {"text"}]
    if not rows:
        session.out.line("nothing was found")
    elif protocol == "ble":
        rows.sort(key=lambda row: -int(row.get("rssi", -127)))
        session.out.table(_BLE, [_ble_cells(row) for row in rows])
    elif protocol == "mqtt":
        rows.sort(key=lambda row: str(row.get("topic")))
        session.out.table(_MQTT, [_mqtt_cells(row) for row in rows])
    else:
        session.out.table(_OPCUA, [_opcua_cells(row) for row in rows])
    for each in findings:
        if each.keys() == {"text"}:
            session.out.line(str(each["text"]))


def _ble_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    says = ", ".join(f"{key} {forms.value(value)}" for key, value in (row.get("values") or {}).items())
    named = str(row.get("device") or "-")
    return (
        str(row.get("address", "")),
        str(row.get("name") or "-"),
        str(row.get("rssi", "")),
        str(row.get("profile") or row.get("kind") or "-"),
        named,
        _short(says or str(row.get("manufacturer") or row.get("services") or "")),
    )


def _mqtt_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    kept = " (retained)" if row.get("retained") else ""
    count, tags = str(row.get("count", 1)), str(len(row.get("tags") or {}))
    return str(row.get("topic")), count, str(row.get("format", "")) + kept, tags, _short(str(row.get("sample", "")))


def _opcua_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    identities = ", ".join(map(str, row.get("identities") or ()))
    policy, mode = str(row.get("policy", "")), str(row.get("mode", ""))
    return policy, mode, identities, str(row.get("server", "")), str(row.get("endpoint") or json.dumps(dict(row)))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
