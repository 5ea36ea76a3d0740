"""What a user may write for a Bluetooth LE channel, device and tag."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from gateway.units import Seconds

Kind = Literal["bthome", "ruuvi", "advert", "gatt"]
Response = Literal["auto", "yes", "no"]

AWAY_AFTER_S = 300.0
AWAY_AFTER_GATT_S = 30.0


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an advert must have; all that is given must hold. `company` and `service`: data of that company, data or
    listing of that service. `data`: hex digits with which that data begins. `name`: how the device's name begins.
    """

    company: int | str | None = None
    service: str | None = None
    data: str = ""
    name: str = ""


class FrameSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of frame with a name. `source`: `manufacturer/0x0499` or `service/feaa`. `prefix`: hex digits with which
    its data begins. `length`: bytes of the data; `min_length`: at least so many. Other data is not this frame.
    """

    source: str
    prefix: str = ""
    length: int | None = None
    min_length: int = 0


class ChannelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Bluetooth adapter. `adapter`: `hci0`, or its own address; the first one that is on unless said. `scanning`:
    `passive` hears, `active` also asks each device for more (its name). `away_after`: silence until a device is
    offline. `connections`: how many devices are connected at once. `connect_timeout`: one attempt to connect.
    """

    adapter: str = ""
    scanning: Literal["active", "passive"] = "active"
    away_after: Seconds | None = None
    stale_after: Seconds | None = None
    connections: int = 3
    connect_timeout: Seconds = Seconds(20.0)


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device: `address`, or `match` for devices that change it. `key`: the bind key of an encrypted BTHome device, 32
    hex digits. `frames`: kinds of frames that tags name. `connect`: `keep` a connection, or one for each poll (`poll`);
    `auto` keeps it where the device notifies or there are connections enough. `pair`: pair before the first use.
    """

    IDENTITY: ClassVar = ("address", "kind", "match")

    address: str = ""
    kind: Kind = "advert"
    match: Match | None = None
    key: str = ""
    frames: dict[str, FrameSettings] = {}
    away_after: Seconds | None = None
    stale_after: Seconds | None = None
    connect: Literal["auto", "keep", "poll"] = "auto"
    pair: bool = False

    def __repr__(self) -> str:
        """Without the key: settings end up in logs and tracebacks."""
        return f"DeviceSettings(address={self.address!r}, kind={self.kind!r})"


class TagSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tag. `address` as the README says. `notify`: the device sends the value by itself. `response`: whether a write
    is answered; `auto` takes what the characteristic offers.
    """

    address: str
    notify: bool = False
    response: Response = "auto"
