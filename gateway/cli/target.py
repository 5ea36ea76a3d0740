"""The wire that `add` and `scan` are told: a channel, a host or url, a serial port; checked before it is used."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.cli.session import CommandFailed, Exit
from gateway.model import ChannelSpec
from gateway.registry import Registry

_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")


def target_of(driver: str, text: str, line: str | None) -> dict[str, Any]:
    """`channel` where it is a name, else the `settings` of a wire. Raises CommandFailed (usage) for what is none."""
    if text.startswith("/"):
        return _wire(driver, {"serial": {"port": text, **({"line": line} if line else {})}})
    if "://" in text:
        return _wire(driver, {"url": text})
    match = _HOST.fullmatch(text)
    if match is None:
        raise CommandFailed(f"{text!r} is no channel, host, url or serial port", Exit.USAGE)
    if "." in text or ":" in text or text == "localhost":
        return _wire(driver, {"url": f"tcp://{match['host']}:{match['port'] or 502}"})
    return {"channel": text}


def _wire(driver: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a wire, if the driver takes them."""
    spec = Registry().load(driver)
    channel = ChannelSpec("new", driver, msgspec.convert(settings, spec.channel), ())
    faults = [fault.message + (f" ({fault.hint})" if fault.hint else "") for fault in spec.check(channel)]
    if faults:
        raise CommandFailed("; ".join(faults), Exit.USAGE)
    return {"settings": settings}
