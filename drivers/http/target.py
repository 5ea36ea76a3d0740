"""Where a channel's server is, and the paths below it. Data only: no network."""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

PORTS: Final = {"http": 80, "https": 443}
LONGEST: Final = 4096


class Target(Struct, frozen=True):
    """`host`, `port`: where to connect. `base`: the path of the url, without a slash at its end."""

    scheme: str
    host: str
    port: int
    base: str

    @property
    def authority(self) -> str:
        """The text of a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """Raises ValueError for what is no such url."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not http://HOST[:PORT][/PATH] or https://...")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a url has no user name and password in it: they are keys of their own")
    if parts.query or parts.fragment:
        raise ValueError("a url has no ? and #: they belong to the paths of tags")
    base = parts.path.rstrip("/")
    if fault := fault_of_path(base):
        raise ValueError(fault)
    if not sendable(parts.hostname):
        raise ValueError(f"{parts.hostname!r} is no host")
    return Target(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme], base)


def sendable(text: str) -> bool:
    """May stand in a request line or header: ASCII without spaces and control characters."""
    return text.isascii() and text.isprintable() and " " not in text


def fault_of_path(path: str) -> str:
    """What is wrong with a path, or nothing."""
    if path and not path.startswith(("/", "?")):
        return f"{path!r} does not begin with / or ?"
    if not sendable(path):
        return f"{path!r} has characters that must be written as %XX"
    if "#" in path:
        return f"{path!r} has a #: servers never see what is behind it"
    return f"a path is at most {LONGEST} characters" if len(path) > LONGEST else ""


def below(*parts: str) -> str:
    """The path of a request; `?...` is put behind what is before it."""
    return "".join(part.rstrip("/") for part in parts[:-1]) + parts[-1] or "/"


def redirected(target: Target, path: str, location: str) -> str | None:
    """The path on the same server that a redirect leads to; None where it leads away."""
    try:
        parts = urlsplit(urljoin(f"{target.scheme}://{target.authority}{path}", location))
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if (parts.scheme, parts.hostname, port) != (target.scheme, target.host, target.port):
        return None
    led = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return None if fault_of_path(led) else led


def digits(fingerprint: str) -> str:
    """A SHA-256 as hexlify writes it, however a tool shows it."""
    return fingerprint.replace(":", "").replace(" ", "").lower()
