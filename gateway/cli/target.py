"""The wire that `add` and `scan` are told: a channel, a host or url, a serial port; checked before it is used."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.cli.session import CommandFailed, Exit
from gateway.driver import wire_of
from gateway.model import ChannelSpec
from gateway.registry import Registry
from gateway.settings.convert import hook

_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")


def target_of(driver: str, text: str, line: str | None) -> dict[str, Any]:
    """`channel` where it is a name, else the `settings` of a wire. Raises CommandFailed (usage) for what is none."""
    if text.startswith("/"):
        return _wire(driver, {"serial": {"port": text, **({"line": line} if line else {})}})
    if line is not None:
        raise CommandFailed(f"--line is of a serial port, and {text} is none", Exit.USAGE)
    if "://" in text:
        return _wire(driver, {"url": text})
    match = _HOST.fullmatch(text)
    if match is None:
        raise CommandFailed(f"{text!r} is no channel, host, url or serial port", Exit.USAGE)
    if "." in text or ":" in text or text == "localhost":
        return _wire(driver, {"url": f"tcp://{match['host']}:{match['port'] or 502}"})
    return {"channel": text}


SCHEMES = {"opc.tcp": "opcua", "mqtt": "mqtt", "mqtts": "mqtt", "ws": "mqtt", "wss": "mqtt", "ble": "ble"}
"""Which driver speaks at a url."""


def url_target(driver: str, text: str) -> dict[str, Any]:
    """`channel` where it is a name, else the settings of a url. Raises CommandFailed (usage)."""
    return _wire(driver, {"url": text}) if "://" in text else {"channel": text}


def browsed_target(text: str) -> tuple[str, dict[str, Any]]:
    """(driver, target) of what `browse` is told: a channel (its driver is not known here), a url, a driver's name."""
    if "://" in text:
        driver = SCHEMES.get(text.partition("://")[0])
        if driver is None:
            raise CommandFailed(
                f"nobody browses {text.partition('://')[0]}: give one of {', '.join(SCHEMES)}", Exit.USAGE
            )
        return driver, _wire(driver, {"url": text})
    return "", {"channel": text}


def _wire(driver: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a wire, if the driver takes them."""
    spec = Registry().load(driver)
    channel = ChannelSpec("new", driver, msgspec.convert(settings, spec.channel, dec_hook=hook), ())
    faults = [fault.message + (f" ({fault.hint})" if fault.hint else "") for fault in spec.check(channel)]
    if faults:
        raise CommandFailed("; ".join(faults), Exit.USAGE)
    return {"settings": settings}


def holder_of(channels: Iterable[ChannelSpec], driver: str, target: dict[str, Any]) -> ChannelSpec | None:
    """The channel that a target names, or that holds its wire."""
    if "channel" in target:
        return next((channel for channel in channels if channel.id == target["channel"]), None)
    spec = Registry().load(driver)
    wire = wire_of(spec, msgspec.convert(target["settings"], spec.channel, dec_hook=hook))
    own = (channel for channel in channels if channel.driver == driver)
    return next((channel for channel in own if wire is not None and wire_of(spec, channel.settings) == wire), None)


def same_line(channel: ChannelSpec, line: str | None) -> None:
    """Raises CommandFailed (usage) where a given line is not that of the channel that holds the port."""
    if line is None:
        return
    held = (getattr(channel.settings, "serial", None) or {}).get("line")
    if held is None or str(held).upper() != line.upper():
        how = f"as {held}" if held else "with its default line"
        raise CommandFailed(f"channel {channel.id} has this port already, {how}: leave --line out", Exit.USAGE)
