"""A small plant for rules and alarms: files of the toy driver."""

from __future__ import annotations

from collections.abc import Mapping

from tests.unit.settings.toy import GATEWAY, channel

UPLINKS = GATEWAY + "uplinks: {local: {urls: [mqtt://127.0.0.1]}, cloud: {urls: [mqtt://a.example]}}\n"
DEVICES = """\
  boiler:
    tags:
      temperature: {address: 1, type: float32, unit: degC, range: [0, 120]}
      pressure: {address: 2, type: float32}
      mode: {address: 3, type: uint16, labels: {0: stopped, 1: heat, 2: cool}}
      setpoint: {address: 4, type: int16, scale: 0.1, access: rw, shadow: true, write: {min: 20, max: 80}}
  pump{1..2}: {unit: "{n}", profile: pump, params: {limit: "{1000 + n}"}}
"""
PUMP = """\
pump:
  params: {limit: 0}
  tags:
    speed: {address: 1, type: uint16, unit: rpm}
    run: {address: 2, type: bool, access: rw}
    mode: {address: 3, type: string}
"""
MEMORY = "driver: virtual\ndevices: {plant: {tags: {target: {type: float64, access: rw}, note: {type: string}}}}\n"


def plant(**files: str) -> Mapping[str, str]:
    """The plant with further files: `rules`, `alarms`, `profiles` and `devices` by what they hold."""
    tree = {
        "gateway.yaml": files.get("gateway", UPLINKS),
        "channels/line1.yaml": channel(DEVICES + files.get("devices", "")),
        "profiles/pump.yaml": PUMP + files.get("profile", ""),
    }
    tree |= {f"{name}/a.yaml": files[name] for name in ("rules", "alarms") if name in files}
    return tree
