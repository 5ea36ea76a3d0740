"""What is wrong with a channel beyond the types of its settings. Looks at data only: no network, no files."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from drivers.snmp.oid import oid_of
from drivers.snmp.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Fault
from gateway.model import Access, ChannelSpec, TagSpec, ValueType

HINT = "url: udp://192.0.2.7:161"
PORT = 161
_MOST_OIDS = 128
_MOST_RESENDS = 5
_SHORTEST_PASSWORD = 8
_TEXTS = (ValueType.STRING, ValueType.BYTES)
_OF_NUMBERS = ("integer", "unsigned", "counter", "counter64", "ticks")
_OF_TEXTS = ("octets", "hex", "ip", "oid", "bits")


def address(url: str) -> tuple[str, int]:
    """Host and port; 161 when there is none. Raises ValueError for what is no such url."""
    parts = urlsplit(url)
    if parts.scheme != "udp" or not parts.hostname or parts.path or parts.query or parts.username is not None:
        raise ValueError(f"{url!r} is not udp://HOST:PORT")
    port = PORT if parts.port is None else parts.port
    if not port:
        raise ValueError(f"{url!r} has no port that can be reached")
    return parts.hostname, port


def check(channel: ChannelSpec) -> Iterable[Fault]:
    """All faults of a channel; the gateway adds file and line."""
    settings: ChannelSettings = channel.settings
    try:
        address(settings.url)
    except ValueError as error:
        yield Fault("url", str(error), HINT)
    if not 1 <= settings.max_oids <= _MOST_OIDS:
        yield Fault("max_oids", f"{settings.max_oids} is not 1 to {_MOST_OIDS}", "max_oids: 24")
    if not 0 <= settings.resend <= _MOST_RESENDS:
        yield Fault("resend", f"{settings.resend} is not 0 to {_MOST_RESENDS}", "resend: 1")
    yield from _identity(settings)
    contexts: dict[str, str] = {}
    for device in channel.devices:
        own: DeviceSettings = device.settings
        if own.context and settings.version == "2c":
            yield Fault(f"devices.{device.id}.context", "v2c has no contexts", "version: 3")
        if own.context in contexts:
            yield Fault(
                f"devices.{device.id}",
                f"the same agent and context as {contexts[own.context]}",
                "one channel for each agent; several devices only with different contexts",
            )
        contexts.setdefault(own.context, device.id)
        for tag in device.tags:
            yield from _tag(f"devices.{device.id}.tags.{tag.path}", tag)


def _identity(settings: ChannelSettings) -> Iterable[Fault]:
    if settings.version == "2c":
        if settings.user or settings.auth_password or settings.privacy_password:
            yield Fault("version", "v2c knows a community only: user and passwords are of v3", "version: 3")
        if not settings.community:
            yield Fault("community", "a community is needed", "community: public")
        return
    if not settings.user:
        yield Fault("user", "v3 needs a user", "user: gateway")
    if settings.auth == "none" and settings.privacy != "none":
        yield Fault("privacy", "there is no privacy without authentication", "privacy: none")
    for name, kind, password in (
        ("auth_password", settings.auth, settings.auth_password),
        ("privacy_password", settings.privacy, settings.privacy_password),
    ):
        if kind != "none" and len(password) < _SHORTEST_PASSWORD:
            yield Fault(name, "v3 takes passwords of 8 characters and more", f"{name}: ${{credential:plant_snmp}}")


def _tag(path: str, tag: TagSpec) -> Iterable[Fault]:
    source: TagSettings = tag.source
    try:
        oid_of(source.oid)
    except ValueError as error:
        yield Fault(f"{path}.oid", str(error), "oid: 1.3.6.1.2.1.1.3.0")
    if tag.type is ValueType.OBJECT:
        yield Fault(f"{path}.type", "an object of SNMP is one value, never an object of JSON", "type: string")
    elif source.syntax in _OF_TEXTS and tag.type not in _TEXTS:
        yield Fault(f"{path}.syntax", f"{source.syntax} is of tags of type string or bytes", "syntax: auto")
    elif source.syntax == "truth" and tag.type is not ValueType.BOOL:
        yield Fault(f"{path}.syntax", "truth is of tags of type bool", "type: bool")
    elif source.syntax in _OF_NUMBERS and tag.type in _TEXTS:
        yield Fault(f"{path}.syntax", f"{source.syntax} is of tags with numbers", "syntax: octets")
    if tag.access is not Access.READ and source.syntax in ("counter", "counter64"):
        yield Fault(f"{path}.access", "a counter cannot be written", "access: r")
