"""What a user may write for a virtual channel, device and tag besides the common keys: nothing."""

from __future__ import annotations

import msgspec


class ChannelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A channel without a wire."""


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name for what belongs together."""


class TagSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A virtual tag has no address."""
