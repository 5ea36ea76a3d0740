"""What a user may write for a simulated channel, device and tag."""

from __future__ import annotations

from typing import Literal

import msgspec

Signal = Literal["constant", "counter", "ramp", "random", "sine", "square"]


class ChannelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A simulated wire. `latency` in seconds for each request; `seed` makes random signals repeatable."""

    latency: float = 0.0
    seed: int = 1


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A simulated device and its failure switch.

    `fail`: `none`; `silent`: does not answer; `refuse`: answers no; `lost`: the whole wire drops when it is asked.
    `fail_every`: only each n-th request fails (0: all of them).
    """

    fail: Literal["none", "silent", "refuse", "lost"] = "none"
    fail_every: int = 0


class TagSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signal: `low` to `high` over `period` seconds, shifted by `phase` (share of a period).

    `sine`, `ramp` (saw-tooth), `square`: as named. `random`: a random walk of at most `step` per request, kept
    between the bounds. `counter`: adds `step` per request. `constant`: `low`, or what was written last. Texts, bytes
    and objects are constants; they begin as `text` (bytes in hexadecimal, objects as JSON).
    """

    signal: Signal = "sine"
    low: float = 0.0
    high: float = 100.0
    period: float = 60.0
    phase: float = 0.0
    step: float = 1.0
    text: str = ""
