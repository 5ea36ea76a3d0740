"""What a user may write for a channel to a broker, the devices behind it and their tags.

An option that exists at several levels is taken from the tag, else the device, else the channel.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from gateway.units import Bytes, Seconds

Format = Literal["json", "msgpack", "cbor", "plain", "raw"]
Late = Literal["stale", "good", "skip"]
TimeFormat = Literal["iso", "s", "ms", "us"]


class Time(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a payload says when its values were true. `format`: ISO 8601, or s, ms, us since 1970 (UTC)."""

    path: str
    format: TimeFormat = "iso"


class Availability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A topic that tells whether a device is there: its last will, or a bridge's word for it.

    `path`: where in a JSON payload; without it the whole payload counts. Payloads other than the two words say nothing.
    """

    topic: str
    path: str = ""
    online: str = "online"
    offline: str = "offline"


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a value goes out. `payload`: a text or a structure in which `$value` stands for the value. `path`: put the
    value at this place of a JSON object instead. Neither: the value alone.
    """

    topic: str = ""
    payload: Any = None
    path: str = ""
    format: Format | None = None
    qos: Literal[0, 1] | None = None
    retain: bool | None = None


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A further place that brings a tag's value."""

    topic: str
    path: str = ""
    format: Format | None = None


class Discover(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to see devices that are not configured.

    `home_assistant`: the prefix of its discovery topics (homeassistant). `zigbee2mqtt`: its base topic (zigbee2mqtt).
    `topics`: patterns with `{device}` for the level that names the device, `+` and `#` as in MQTT.
    """

    home_assistant: str = ""
    zigbee2mqtt: str = ""
    topics: tuple[str, ...] = ()


class ChannelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session with a broker.

    `session`: how long the broker keeps it, with the QoS 1 messages for us, while we are away; 0: not at all.
    `receive_maximum`: QoS 1 messages that may be here and not yet on disk. `patience`: how long the broker may be away
    before its devices count as away. `retained`, `held`: what to make of a value whose time is not known, because the
    broker had kept it (as retained message; for our session).
    """

    url: str
    client_id: str = ""
    username: str | None = None
    password: str | None = None
    tls: dict[str, Any] | None = None
    protocol: Literal[5, "3.1.1"] = 5
    session: Seconds = Seconds(86400)
    keepalive: Seconds = Seconds(30)
    patience: Seconds = Seconds(30)
    receive_maximum: int = 1000
    max_payload: Bytes = Bytes(1_000_000)
    qos: Literal[0, 1] = 1
    format: Format = "json"
    retained: Late = "stale"
    held: Literal["stale", "good"] = "stale"
    discover: Discover = Discover()

    def __repr__(self) -> str:
        """Without the password: settings end up in logs and tracebacks."""
        return f"ChannelSettings(url={self.url!r}, client_id={self.client_id!r}, username={self.username!r})"


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device. `topic`: where its values come from, with `+` and `#`; a tag's topic that begins with `~/` is below it.

    `time`: see Time. `items`: a list in the payload whose elements are readings of their own; paths of tags and time
    start at the element. `away_after`: the silence after which the device counts as away.
    """

    IDENTITY: ClassVar = ("topic", "items")

    topic: str = ""
    format: Format | None = None
    time: Time | None = None
    items: str = ""
    retained: Late | None = None
    held: Literal["stale", "good"] | None = None
    availability: Availability | tuple[Availability, ...] = ()
    away_after: Seconds | None = None
    command: Command = Command()


class TagSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tag. `path`: where in the payload, `$.a.b[0]['c.d']`; left out: the key of the tag's own name, or the whole
    payload where the format has no keys. `also`: further topics that bring it. `words`: texts and the values they mean,
    `{OPEN: true, CLOSED: false}`.
    """

    topic: str = ""
    path: str = ""
    format: Format | None = None
    also: tuple[Place, ...] = ()
    words: dict[str, bool | int | float | str] = {}
    command: Command = Command()
