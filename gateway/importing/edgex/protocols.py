"""Protocol blocks of devices as channels: which driver, which connection, which keys the device has on it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from gateway.importing.edgex.kept import put
from gateway.importing.edgex.times import duration_of, seconds_of
from gateway.importing.report import Place
from gateway.importing.views import View

MODBUS_PORT = 502
_PARITIES = {"N": "N", "NONE": "N", "E": "E", "EVEN": "E", "O": "O", "ODD": "O"}
_LOGIN = re.compile(r"://[^/@]*@")
_TIMES = ("Timeout", "IdleTimeout", "LinkRecoveryTimeout", "ProtocolRecoveryTimeout", "ConnectDelay")


class Link(Struct):
    """A connection that devices share. `key`: links with the same key are one channel. `slug`: a name for it.

    `keys`: of the channel; `device`: of the device on it. `times`: seconds by our key. `stub`: nobody here speaks it.
    `warnings`: said once for the channel. `secret`: where a password stands, which is not copied.
    """

    driver: str
    key: tuple[Any, ...]
    slug: str
    place: Place
    keys: dict[str, Any] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    stub: str = ""
    warnings: list[str] = field(default_factory=list)
    command_topic: str = ""
    secret: Place | None = None


def link_of(protocol: str, block: View, device: str) -> Link | None:
    """The link of a protocol block; None when it cannot be one (all reported)."""
    name = protocol.lower()
    reader = _READERS.get(name)
    if reader is not None:
        return reader(name, block, device)
    if name.startswith("device-virtual"):
        for key in block.keys():  # noqa: SIM118 - a View is no mapping
            block.get(key)
        link = Link("sim", ("sim",), "device-virtual", block.place)
        link.warnings.append("simulated tags hold what was written last: nothing here makes random values of them")
        return link
    return None


def is_known(protocol: str) -> bool:
    """Whether somebody here speaks a protocol."""
    return protocol.lower() in _READERS or protocol.lower().startswith("device-virtual")


def _slug(*parts: Any) -> str:
    words = (re.sub(r"[^A-Za-z0-9]+", "-", str(part)).strip("-") for part in parts)
    return "-".join(word for word in words if word)[:60].rstrip("-") or "channel"


def _text(block: View, key: str) -> str | None:
    """What stands in a key, as text; what is missing is reported."""
    found = block.get_folded(key)
    if found is None or not found.text.strip():
        block.report.error(block.place, f"`{block.path}` has no `{key}`")
        return None
    return found.text.strip()


def _whole(block: View, key: str, low: int, high: int, usual: int) -> int | None:
    found = block.get_folded(key)
    if found is None:
        block.report.guessed(block.place, f"`{key}` is missing: {usual}")
        return usual
    return found.as_whole(low, high)


def _unit(block: View) -> dict[str, Any] | None:
    unit = _whole(block, "UnitID", 0, 255, 1)
    return None if unit is None else {"unit_id": unit}


def _times(block: View) -> dict[str, float]:
    """Time-outs in seconds by our keys; a plain number is seconds."""
    times: dict[str, float] = {}
    for key in _TIMES:
        found = block.get_folded(key)
        if found is None:
            continue
        seconds = seconds_of(found, plain=1.0)
        if seconds is None:
            continue
        if key == "Timeout" and seconds > 0:
            times["timeout"] = seconds
        elif key in {"LinkRecoveryTimeout", "ProtocolRecoveryTimeout"} and seconds > 0:
            times["probe"] = max(times.get("probe", 0.0), seconds)
            block.report.changed(found.place, f"`{key}` is how often a device that is away is asked (`probe`)")
        elif key == "IdleTimeout":
            block.report.ignored(found.place, "`IdleTimeout`: the connection is kept as long as it works")
        else:
            block.report.ignored(found.place, f"`{key}: {found.text[:20]}` has no meaning here")
    return times


def _tcp(name: str, block: View, device: str) -> Link | None:  # noqa: ARG001 - one form for all readers
    host, unit, times = _text(block, "Address"), _unit(block), _times(block)
    port = _whole(block, "Port", 1, 65535, MODBUS_PORT)
    if host is None or port is None or unit is None:
        return None
    place = block.place
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    link = Link("modbus", ("modbus", host, port), _slug(name, host, port), place, device=unit, times=times)
    link.keys["url"] = f"tcp://{shown}:{port}"
    if host == "0.0.0.0":  # noqa: S104 - a mistake that is told
        link.warnings.append("0.0.0.0 is no address of a device: write the one it has")
    return link


def _serial(name: str, block: View, device: str) -> Link | None:  # noqa: ARG001 - one form for all readers
    port, unit, times = _text(block, "Address"), _unit(block), _times(block)
    baud = _whole(block, "BaudRate", 1, 10_000_000, 9600)
    bits, stops = _whole(block, "DataBits", 5, 8, 8), _whole(block, "StopBits", 1, 2, 1)
    found = block.get_folded("Parity")
    written = found.text.strip().upper() if found is not None else "N"
    parity = _PARITIES.get(written)
    if parity is None:
        block.report.error(found.place if found else block.place, f"`{written[:20]}` is no parity", "N, O or E")
    if port is None or unit is None or baud is None or bits is None or stops is None or parity is None:
        return None
    link = Link("modbus", ("serial", port), _slug(name, port), block.place, device=unit, times=times)
    link.keys["serial"] = {"port": port, "line": f"{baud}-{bits}{parity}{stops}"}
    if name == "modbus-ascii":
        link.keys["serial"]["framing"] = "ascii"
    return link


def _opcua(name: str, block: View, device: str) -> Link | None:  # noqa: ARG001 - one form for all readers
    url = _text(block, "Endpoint")
    if url is None:
        return None
    bare = _LOGIN.sub("://", url)
    if bare != url:
        block.report.warning(block.place, "the login in `Endpoint` is not copied: write `identity` into the channel")
        url = bare
    slug = _slug(name, url.partition("://")[2] or url)
    link = Link("opcua", ("opcua", url), slug, block.place, keys={"url": url}, times=_times(block))
    link.keys |= _security(block)
    user, secret = block.get_folded("Username") or block.get_folded("User"), block.get_folded("Password")
    if user is not None and user.text.strip():
        link.keys["identity"] = {"user": user.text.strip()}
        link.secret = secret.place if secret is not None else None
    link.warnings.append(
        "EdgeX keeps security policy, mode and certificates in the service's configuration: write `security` if the "
        "server asks for them"
    )
    return link


def _security(block: View) -> dict[str, Any]:
    """Policy and mode, where a file has them after all."""
    found: dict[str, Any] = {}
    for key, mine in (("SecurityPolicy", "policy"), ("Policy", "policy"), ("SecurityMode", "mode"), ("Mode", "mode")):
        view = block.get_folded(key)
        if view is not None and view.text.strip() and view.text.strip().lower() != "none":
            found[mine] = view.text.strip()
    return {"security": found} if found else {}


def _mqtt(name: str, block: View, device: str) -> Link | None:  # noqa: ARG001 - one form for all readers
    host, port = block.get_folded("Host"), block.get_folded("Port")
    scheme = block.get_folded("Schema") or block.get_folded("Scheme")
    number = port.as_whole(1, 65535) if port is not None else 1883
    if number is None:
        return None
    secure = scheme is not None and scheme.text.strip().lower() in {"ssl", "tls", "mqtts", "tcps"}
    server = host.text.strip() if host is not None else ""
    url = f"{'mqtts' if secure else 'mqtt'}://{server or '127.0.0.1'}:{number}"
    link = Link("mqtt", ("mqtt", url), _slug(name, server), block.place, keys={"url": url})
    if not server:
        text = (
            f"EdgeX has the broker in its service configuration (MQTTBrokerInfo): {url} is a guess, as are the topics"
        )
        link.warnings.append(text)
    user, secret = block.get_folded("User") or block.get_folded("Username"), block.get_folded("Password")
    if user is not None and user.text.strip():
        link.keys["username"] = user.text.strip()
        link.secret = secret.place if secret is not None and secret.text else None
    topic = block.get_folded("CommandTopic")
    link.command_topic = topic.text.strip().strip("/") if topic is not None else ""
    return link


_READERS: dict[str, Callable[[str, View, str], Link | None]] = {
    "modbus-tcp": _tcp,
    "modbus-rtu": _serial,
    "modbus-ascii": _serial,
    "opcua": _opcua,
    "opc-ua": _opcua,
    "mqtt": _mqtt,
}


def stub_of(protocol: str, block: View | None, attributes: str, place: Place) -> Link:
    """A channel for a protocol that nobody here speaks: disabled, of the driver that takes the profile's addresses."""
    link = Link(attributes or "sim", ("stub", protocol, attributes), _slug(protocol or "unknown"), place, stub=protocol)
    if attributes:
        link.keys["url"] = "tcp://127.0.0.1:502" if attributes == "modbus" else "opc.tcp://127.0.0.1:4840"
    shown = f"the protocol `{protocol}`" if protocol else "a device without a protocol"
    link.warnings.append(f"nobody here speaks {shown}: the channel is a stub and disabled")
    if block is not None:
        meta: dict[str, str] = {}
        for key, view in block.entries():
            block.get(key)
            put(meta, f"{protocol}.{key}", view)
        link.device["meta"] = meta
    return link


def show_times(times: dict[str, float]) -> dict[str, str]:
    """As they are written in a file."""
    return {key: duration_of(seconds) for key, seconds in times.items()}
