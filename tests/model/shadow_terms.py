"""Words of the shadow model: the device under it, messages on their way, defects that it must catch."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.model import TagSpec, ValueType, Verify
from tests.support.shadowed import ScriptedDevice, device_spec, state_tag

DEV = "dev"
TAGS = (
    state_tag("speed", range=(0, 100)),
    state_tag("level", ValueType.INT16, reapply_s=300.0),
    state_tag("mode", ValueType.STRING, conflict="local_wins"),
    state_tag("set/temp", ValueType.FLOAT32, conflict="last_ts", verify=Verify(tolerance=0.1)),
    state_tag("set/limit", conflict="local_until_online"),
    state_tag("run", ValueType.BOOL, verify=Verify(tag="run_fb")),
    TagSpec("run_fb", ValueType.BOOL, None, shadow=True),
)
VALUES: dict[str, list[Any]] = {
    "speed": [10, 20, 30],
    "level": [-5, 0, 5],
    "mode": ["auto", "manual", ""],
    "set.temp": [20.0, 20.05, 21.5],
    "set.limit": [1, 2, 3],
    "run": [True, False],
}
BAD: dict[str, Any] = {"speed": 999, "level": True, "mode": 5, "set.temp": "warm", "set.limit": 1.5, "run": 1}
"""Values that nobody may desire of these."""
PATHS = sorted(VALUES)
REAPPLY = {"level": 300.0}


def make_device() -> tuple[Any, ScriptedDevice]:
    first = {path.replace(".", "/"): values[0] for path, values in VALUES.items()}
    device = ScriptedDevice({**first, "run_fb": first["run"]})
    device.follows["run"] = "run_fb"
    return device_spec(*TAGS, id=DEV), device


class Message(Struct, frozen=True):
    """On its way to the gateway. `leaves`: path -> (value, version); None deletes. `bad`: a leaf cannot be desired."""

    ver: int
    leaves: Mapping[str, tuple[Any, int]]
    whole: bool
    meta: bool
    payload: bytes
    bad: bool = False
    rid: str | None = None


class Defect(enum.Enum):
    """What the invariants must catch (protocol.md 3.5), and two more."""

    MERGE_IGNORES_VERSIONS = 1
    DOCUMENT_REPLACES = 2
    REPORTED_FROM_DESIRED = 3
    TOMBSTONE_WITHOUT_ACK = 4
    ENDED_LEAF_WRITTEN_AGAIN = 5
    RESTORED_WITH_OLD_VERSION = 6
    EDIT_LOST_SILENTLY = 7
    BAD_LEAF_LEFT_OUT = 8
