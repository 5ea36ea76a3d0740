"""`ota` of gateway.yaml: where releases come from, and when and how fast they may be fetched. What is trusted is not
here: that is the machine's, outside of what a configuration can change.
"""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway.jobs.window import Window, parse_window
from gateway.jobs.work import JobRefused
from gateway.settings.positions import Origin, Problems
from gateway.settings.sections import mapping_at, section
from gateway.settings.types import OtaSettings
from gateway.units import Bytes, Seconds

SLOWEST_RATE = 1000
LONGEST_JITTER_S = 86400.0
_PATTERN = re.compile(r"([A-Za-z0-9._*?\[\]-]{1,40}/)?[A-Za-z0-9._*?\[\]-]{1,100}")


class OtaKeys(msgspec.Struct, frozen=True):
    url: str | None = None
    ca: str | None = None
    token: str | None = None
    max_rate: Bytes | None = None
    window: str | None = None
    jitter: Seconds = Seconds(600)
    metered: bool = False
    parts: Literal["auto", "never"] = "auto"
    drivers: dict[str, Any] = {}


class OtaDriverKeys(msgspec.Struct, frozen=True):
    allow: list[str] = []


def read_ota(value: Any, origin: Origin, base: Path, problems: Problems) -> OtaSettings | None:
    """The section. None when anything in it is wrong (all of it reported)."""
    below = mapping_at(value, origin, problems, what="`ota`")
    keys = None if below is None else section(OtaKeys, below, origin, problems, what="`ota`")
    if keys is None:
        return None
    drivers = section(OtaDriverKeys, keys.drivers, origin.child("drivers"), problems, what="`drivers`")
    for index, name in enumerate(drivers.allow if drivers is not None else ()):
        if _PATTERN.fullmatch(name) is None:
            place = origin.child("drivers").child("allow", index)
            problems.at(
                place, f"`{name[:40]}` is no name of a driver", 'write acme/acme-press, or "acme/*" for all of a vendor'
            )
    if keys.url is not None:
        _check_url(keys.url, origin.child("url"), problems)
    _check_use(keys, origin, problems)
    window = None if keys.window is None else _window(keys.window, origin.child("window"), problems)
    if drivers is None:
        return None
    return OtaSettings(
        url=(keys.url or "").rstrip("/"),
        ca=None if keys.ca is None else base / keys.ca,
        token=keys.token,
        max_rate=None if keys.max_rate is None else int(keys.max_rate),
        window=None if window is None else (window.begin, window.end),
        jitter_s=float(keys.jitter),
        metered=keys.metered,
        parts=keys.parts == "auto",
        drivers=tuple(dict.fromkeys(drivers.allow)),
    )


def _check_url(text: str, origin: Origin, problems: Problems) -> None:
    """Whoever serves the files is not believed, so http will do; what is fetched is proven by its signatures."""
    try:
        url = urllib.parse.urlsplit(text)
        good = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        problems.at(origin, "this is no address of a repository", "write https://updates.example.org/fieldpost")
        return
    if url.username is not None or url.password is not None:
        problems.at(origin, "an address carries no user name or password", 'write `token: "${credential:NAME}"`')
    elif not good or " " in text or not text.isprintable():
        problems.at(origin, "releases come from an address of http or https", "write https://updates.example.org")
    elif url.query or url.fragment:
        problems.at(origin, "the address of a repository has no `?` and no `#`", "write the folder that is served")


def _check_use(keys: OtaKeys, origin: Origin, problems: Problems) -> None:
    """Keys that say nothing without another one, and bounds."""
    plain = keys.url is None or not keys.url.startswith("https:")
    for name in ("ca", "token"):
        if getattr(keys, name) is not None and plain:
            problems.at_key(origin.child(name), f"`{name}` is for an address of https", "write `url: https://...`")
    if keys.token is not None and not (keys.token.isascii() and keys.token.isprintable()):
        problems.at(origin.child("token"), "a token is one line of ASCII", "look at the credential's file")
    if keys.max_rate is not None and keys.max_rate < SLOWEST_RATE:
        problems.at(origin.child("max_rate"), "an update is fetched with 1kB per second or more", "write 100kB")
    if not 0 <= keys.jitter <= LONGEST_JITTER_S:
        problems.at(origin.child("jitter"), "updates begin within 0s to 24h", "write 10m")


def _window(text: str, origin: Origin, problems: Problems) -> Window | None:
    try:
        return parse_window(text, "window")
    except JobRefused as error:
        problems.at(origin, str(error).removeprefix("window: "), "from and to, in the time zone of `gateway.timezone`")
        return None
