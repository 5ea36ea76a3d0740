"""What is wrong with a channel beyond the types of its settings. Looks at data only: no network, no files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import UNSET

from drivers.http.jsonpath import compiled, word
from drivers.http.settings import ChannelSettings, DeviceSettings, Setting, TagSettings
from drivers.http.target import digits, fault_of_path, target_of
from drivers.http.times import zone
from drivers.http.writing import MARK
from gateway.driver import Fault
from gateway.errors import BadFrame
from gateway.model import Access, ChannelSpec, TagSpec, ValueType
from gateway.textvalues import raw_of

MOST_REDIRECTS: Final = 10
LARGEST_ANSWER: Final = 16 * 1024 * 1024
LONGEST_REGEX: Final = 512
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# These say what a message is: with others than its own the driver and the server would disagree where it ends.
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "upgrade"})


def check(channel: ChannelSpec) -> Iterator[Fault]:
    """All faults of a channel; the gateway adds file and line."""
    settings: ChannelSettings = channel.settings
    yield from _server(settings)
    yield from _identity(settings)
    yield from _headers(settings)
    for device in channel.devices:
        own: DeviceSettings = device.settings
        place = f"devices.{device.id}"
        if fault := fault_of_path(own.base) or ("a base has no ?" if "?" in own.base else ""):
            yield Fault(f"{place}.base", fault, "base: /solar_api/v1")
        yield from _time(f"{place}.time", own.time)
        try:
            zone(own.timezone)
        except ValueError as error:
            yield Fault(f"{place}.timezone", str(error), "timezone: Europe/Berlin")
        for tag in device.tags:
            yield from _tag(f"{place}.tags.{tag.path}", tag)


def _server(settings: ChannelSettings) -> Iterator[Fault]:
    scheme = settings.url.partition(":")[0]
    try:
        target_of(settings.url)
    except ValueError as error:
        yield Fault("url", str(error), "url: http://192.0.2.30")
    if settings.tls is not None and scheme != "https":
        yield Fault("tls", "is for https:// only", "url: https://192.0.2.30")
    if settings.fingerprint:
        if scheme != "https":
            yield Fault("fingerprint", "is for https:// only", "url: https://192.0.2.30")
        if not re.fullmatch(r"[0-9a-f]{64}", digits(settings.fingerprint)):
            yield Fault("fingerprint", "is no SHA-256: 64 hexadecimal digits", "openssl x509 -fingerprint -sha256")
    if not 0 <= settings.redirects <= MOST_REDIRECTS:
        yield Fault("redirects", f"is 0 to {MOST_REDIRECTS}", "redirects: 3")
    if not 256 <= settings.max_answer <= LARGEST_ANSWER:
        yield Fault("max_answer", f"is 256 to {LARGEST_ANSWER} bytes", "max_answer: 262144")


def _identity(settings: ChannelSettings) -> Iterator[Fault]:
    if settings.token and settings.username:
        yield Fault("token", "a server gets a token, or a name and password", "leave one of them out")
    if settings.token and not (settings.token.isascii() and settings.token.isprintable()):
        yield Fault("token", "has characters that no header can have", "")
    if settings.password and not settings.username:
        yield Fault("password", "needs a username", "username: admin")
    if settings.auth != "auto" and not settings.username:
        yield Fault("auth", "needs username and password", "username: admin")
    if ":" in settings.username or not settings.username.isprintable():
        yield Fault("username", "has no : and no control characters", "username: admin")


def _headers(settings: ChannelSettings) -> Iterator[Fault]:
    for name, value in settings.headers.items():
        if not _TOKEN.fullmatch(name):
            yield Fault("headers", f"{name!r} is no name of a header", "headers: {X-Api-Key: ...}")
        elif name.lower() in _OURS:
            yield Fault("headers", f"{name} is the driver's own", "leave it out")
        elif not (value.isascii() and value.isprintable()):
            yield Fault("headers", f"the value of {name} has characters that no header can have", "")
        elif name.lower() == "authorization" and (settings.token or settings.username):
            yield Fault("headers", "Authorization is made of token, username and password", "leave one of them out")


def _time(path: str, text: str) -> Iterator[Fault]:
    if text:
        try:
            compiled(text)
        except ValueError as error:
            yield Fault(path, str(error), "time: Head.Timestamp")


def _tag(place: str, tag: TagSpec) -> Iterator[Fault]:
    source: TagSettings = tag.source
    if fault := fault_of_path(source.path):
        yield Fault(f"{place}.path", fault, "path: /status")
    if source.json:
        try:
            compiled(source.json)
        except ValueError as error:
            yield Fault(f"{place}.json", str(error), "json: meters[0].power")
    elif tag.type is ValueType.OBJECT:
        yield Fault(f"{place}.json", "an object is a part of JSON", "json: $")
    if source.regex:
        yield from _regex(f"{place}.regex", source.regex)
    yield from _time(f"{place}.time", source.time or "")
    if source.if_null is not UNSET:
        try:
            raw_of(tag, word(source.if_null))
        except BadFrame as error:
            yield Fault(f"{place}.if_null", str(error), "if_null: 0")
    yield from _set(f"{place}.set", tag, source)


def _regex(path: str, pattern: str) -> Iterator[Fault]:
    try:
        groups = re.compile(pattern[: LONGEST_REGEX + 1]).groups
    except (re.error, RecursionError, OverflowError) as error:
        yield Fault(path, f"is no regular expression: {error}", "regex: 'Power: ([0-9.]+)'")
        return
    if len(pattern) > LONGEST_REGEX or groups > 1:
        yield Fault(path, f"has one group at most, and {LONGEST_REGEX} characters", "write (?:...) for the others")


def _set(path: str, tag: TagSpec, source: TagSettings) -> Iterator[Fault]:
    setting = source.set
    if setting is None:
        if tag.access is not Access.READ:
            yield Fault(path, "is missing: how is it written?", "set: {path: /relay/0, body: {on: $value}}")
        return
    if tag.access is Access.READ:
        yield Fault(path, "has no meaning for access: r", "access: rw")
    if tag.type is ValueType.BYTES:
        yield Fault(path, "bytes cannot be written", "access: r")
    if fault := fault_of_path(setting.path):
        yield Fault(f"{path}.path", fault, "path: /relay/0?turn=$value")
    if setting.method == "GET" and setting.body is not None:
        yield Fault(f"{path}.body", "a GET has none", "method: POST")
    if not _marked(setting):
        yield Fault(path, f"has no {MARK} in path and body", "body: {on: $value}")
    if tag.type is not ValueType.BOOL and (setting.on, setting.off) != (None, None):
        yield Fault(f"{path}.on", "on and off are words of a bool", "type: bool")
    if not (setting.content_type.isascii() and (setting.content_type.isprintable())):
        yield Fault(f"{path}.content_type", "has characters that no header can have", "content_type: text/plain")


def _marked(setting: Setting) -> bool:
    stack: list[Any] = [setting.path, setting.body]
    while stack:
        at = stack.pop()
        if isinstance(at, str) and MARK in at:
            return True
        stack.extend(at.values() if isinstance(at, dict) else at if isinstance(at, list) else ())
    return False
