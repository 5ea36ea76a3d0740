"""The device of these tests: a tag of each kind that matters to shadows, and messages for it."""

import json

from gateway.model import TagSpec, ValueType, Verify
from tests.support.shadowed import ScriptedDevice, device_spec, state_tag

TAGS = (
    state_tag("speed", range=(0, 100)),
    state_tag("level", ValueType.INT16, reapply_s=3600.0),
    state_tag("mode", ValueType.STRING, conflict="local_wins"),
    state_tag("fan", ValueType.BOOL, conflict="last_ts"),
    state_tag("set/temp", ValueType.FLOAT32, verify=Verify(tolerance=0.1)),
    state_tag("run", ValueType.BOOL, verify=Verify(tag="run_fb")),
    TagSpec("run_fb", ValueType.BOOL, None, shadow=True),
    state_tag("hold", conflict="local_until_online"),
    TagSpec("temp", ValueType.FLOAT32, None, shadow=True),
    TagSpec("hidden", ValueType.UINT16, None),
    state_tag("pulse", ValueType.BOOL, momentary=True),
)
VALUES = {
    "speed": 10,
    "level": 10,
    "mode": "auto",
    "fan": False,
    "set/temp": 20.0,
    "run": False,
    "run_fb": False,
    "hold": 10,
    "temp": 19.5,
    "hidden": 7,
    "pulse": False,
}


def plant():
    device = ScriptedDevice(VALUES)
    device.follows["run"] = "run_fb"
    return device_spec(*TAGS), device


def document(ver, state, meta=None):
    """A whole desired document. `meta`: path -> version."""
    body = {"v": 1, "ver": ver, "state": state}
    if meta is not None:
        body["meta"] = {path: [one, 1_790_000_000_000] for path, one in meta.items()}
    return json.dumps(body).encode()


def patch(ver, state, **more):
    body = {"v": 1, "state": state, **more}
    if ver is not None:
        body["ver"] = ver
    return json.dumps(body).encode()
