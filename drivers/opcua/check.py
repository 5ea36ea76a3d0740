"""What is wrong with an OPC UA channel beyond the types of its settings. Never touches the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from drivers.opcua.address import HINT, Address, AddressError, parse
from drivers.opcua.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Fault
from gateway.model import ChannelSpec, DeviceSpec, TagSpec
from gateway.transformfault import transform_fault

_URL = "url: opc.tcp://192.0.2.10:4840"


def address_of(channel: ChannelSettings, device: DeviceSettings, tag: TagSettings) -> Address:
    """The address of a tag with what device and channel add to it. Raises AddressError."""
    return parse(tag.address, root=device.root, namespace=device.namespace or channel.namespace)


def check(channel: ChannelSpec) -> Iterable[Fault]:
    """All faults of a channel, in the order of its devices and tags."""
    settings: ChannelSettings = channel.settings
    yield from _url_faults(settings)
    yield from _security_faults(settings)
    yield from _number_faults(settings)
    for device in channel.devices:
        yield from _device_faults(settings, device)


def _url_faults(settings: ChannelSettings) -> Iterator[Fault]:
    try:
        parts = urlsplit(settings.url)
        port = parts.port
    except ValueError as error:
        yield Fault("url", f"{settings.url!r} is no address: {error}", _URL)
        return
    if parts.scheme != "opc.tcp" or not parts.hostname:
        yield Fault("url", f"{settings.url!r} is no address of an OPC UA server", _URL)
    elif port is None:
        yield Fault("url", "the url names no port", f"url: opc.tcp://{parts.hostname}:4840{parts.path}")
    if "@" in (parts.netloc or ""):
        yield Fault("url", "user and password belong under `identity`", "identity: {user: op, password: ...}")


def _security_faults(settings: ChannelSettings) -> Iterator[Fault]:
    security, identity = settings.security, settings.identity
    if bool(security.certificate) != bool(security.key):
        missing = "key" if security.certificate else "certificate"
        yield Fault("security", f"`security` has no `{missing}`", "name both files, or none: then they are made")
    if bool(identity.certificate) != bool(identity.key):
        missing = "key" if identity.certificate else "certificate"
        yield Fault("identity", f"`identity` has no `{missing}`", "a certificate logs in with its key")
    if identity.user and identity.certificate:
        yield Fault("identity", "a user logs in with a password or a certificate, not with both")
    if identity.password and not identity.user:
        yield Fault("identity.password", "there is a password and no `user`")


def _number_faults(settings: ChannelSettings) -> Iterator[Fault]:
    subscription = settings.subscription
    spans = (
        ("subscription.publishing_interval", subscription.publishing_interval, 0.01, 3600),
        ("subscription.keep_alive", subscription.keep_alive, 0.5, 600),
        ("subscription.lifetime", subscription.lifetime, 5, 86_400),
        ("subscription.queue", subscription.queue, 1, 10_000),
        ("session_timeout", settings.session_timeout, 10, 86_400),
        ("limits.nodes_per_read", settings.limits.nodes_per_read, 1, 100_000),
        ("limits.nodes_per_write", settings.limits.nodes_per_write, 1, 100_000),
        ("limits.nodes_per_browse", settings.limits.nodes_per_browse, 1, 100_000),
        ("limits.items_per_call", settings.limits.items_per_call, 1, 100_000),
        ("limits.items_per_subscription", settings.limits.items_per_subscription, 1, 1_000_000),
    )
    for path, value, low, high in spans:
        if value is not None and not low <= value <= high:
            name = path.rpartition(".")[2]
            yield Fault(path, f"{name} {value:g} is outside {low:g} to {high:g}")
    if subscription.lifetime < 3 * subscription.keep_alive:
        yield Fault(
            "subscription.lifetime",
            f"lifetime {subscription.lifetime:g} s is less than three keep-alives: a late message would end it",
            f"lifetime: {3 * subscription.keep_alive:g}",
        )


def _device_faults(settings: ChannelSettings, device: DeviceSpec) -> Iterator[Fault]:
    prefix = f"devices.{device.id}."
    own: DeviceSettings = device.settings
    if own.root and not own.root.startswith("/"):
        yield Fault(f"{prefix}root", f"root {own.root!r} is no path from the root folder", "root: /Objects/Line1")
    for name, method in own.methods.items():
        for field, text in (("address", method.address), ("object", method.object)):
            if text or field == "address":
                yield from _address_faults(f"{prefix}methods.{name}.{field}", text, settings, own)
    if own.events is not None:
        yield from _address_faults(f"{prefix}events.source", own.events.source, settings, own)
        if not 1 <= own.events.severity <= 1000:
            yield Fault(f"{prefix}events.severity", f"severity {own.events.severity} is outside 1 to 1000")
    for spec in device.tags:
        if spec.virtual is None:
            yield from _tag_faults(f"{prefix}tags.{spec.path}.", settings, own, spec)


def _address_faults(path: str, text: str, settings: ChannelSettings, device: DeviceSettings) -> Iterator[Fault]:
    try:
        parse(text, root=device.root, namespace=device.namespace or settings.namespace)
    except AddressError as error:
        yield Fault(path, str(error), error.hint)


def _tag_faults(prefix: str, settings: ChannelSettings, device: DeviceSettings, spec: TagSpec) -> Iterator[Fault]:
    source: TagSettings = spec.source
    try:
        address_of(settings, device, source)
    except AddressError as error:
        yield Fault(f"{prefix}address", str(error), error.hint or HINT)
    if source.queue is not None and not 1 <= source.queue <= 10_000:
        yield Fault(f"{prefix}queue", f"queue {source.queue} is outside 1 to 10000")
    if source.sampling is not None and not 0 <= source.sampling <= 3600:
        yield Fault(f"{prefix}sampling", f"sampling {source.sampling:g} is outside 0 to 3600 seconds")
    if spec.scale_from is not None:
        yield Fault(f"{prefix}scale_from", "OPC UA sends values one by one: a factor cannot come from the same answer")
    if fault := transform_fault(spec):
        yield Fault(f"{prefix}{fault.field}", fault.message, fault.hint)
