"""Broker addresses: `mqtt://host[:port]`, `mqtts://`, `ws://host[:port]/path`, `wss://`."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}


class Address(Struct, frozen=True):
    """Where a broker is. `path` is for WebSockets only."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def secure(self) -> bool:
        return self.scheme in {"mqtts", "wss"}

    @property
    def websocket(self) -> bool:
        return self.scheme in {"ws", "wss"}

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse_address(url: str) -> Address:
    """Raises ValueError that says what is wrong with `url`."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError(f"{url}: the scheme must be one of {', '.join(_PORTS)}")
    if not parts.hostname:
        raise ValueError(f"{url}: a host is missing")
    if parts.username or parts.password:
        raise ValueError(f"{parts.scheme}://{parts.hostname}: user and password do not belong into the address")
    path = (parts.path or "/mqtt") if parts.scheme in {"ws", "wss"} else ""
    return Address(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], path)


def referred(address: Address, reference: str) -> Address | None:
    """The server that a Server Reference names (MQTT 5.0 section 4.13: `host[:port]`, several with spaces), reached
    in the same way as `address`; None when it cannot be understood.
    """
    for word in reference.split():
        try:
            parts = urlsplit(f"//{word}")
            if parts.hostname:
                return replace(address, host=parts.hostname, port=parts.port or address.port)
        except ValueError:
            continue
    return None
