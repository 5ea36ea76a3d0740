"""What is checked in the guest: the installed gateway, real bleak, real bluetoothd. Prints one `ok` line for each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.local.client import Client

CHANNEL = """
driver: ble
adapter: hci0
timeout: 15s
connect_timeout: 40s
devices:
  beacon:
    address: "F0:F1:F2:F3:F4:F5"
    kind: gatt
    interval: 1s
    away_after: 20s
    tags:
      advert: {address: "service/fcd2+4:int16", type: int16, scale: 0.01}
      rssi: {address: rssi, type: int16}
      temperature: {address: "gatt/181a/2a6e", type: int16, scale: 0.01, access: rw}
      humidity: {address: "gatt/2a6f", type: uint16, notify: true}
"""
_BEGIN = time.monotonic()


def say(*words: Any) -> None:
    print(f"inside {time.monotonic() - _BEGIN:5.1f} s:", *words, flush=True)


def wait(what: str, look: Callable[[], Any], within: float = 90.0) -> Any:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.5)
    raise SystemExit(f"not within {within:g} s: {what}")


def main() -> None:
    directory = Path(tempfile.mkdtemp())
    config, state = directory / "config", directory / "state"
    (config / "channels").mkdir(parents=True)
    (config / "gateway.yaml").write_text(f"gateway: {{id: guest}}\nstore: {{path: {state}}}\n")
    (config / "channels/radio.yaml").write_text(CHANNEL)
    gateway = subprocess.Popen([str(Path(sys.executable).parent / "fieldpost"), "run", "--config", str(config)])
    wait("the gateway listens", lambda: (state / "fieldpost.sock").exists() or None)
    with Client(state / "fieldpost.sock", timeout_s=60) as client:
        check(client)
    descriptors = len(os.listdir(f"/proc/{gateway.pid}/fd"))
    gateway.send_signal(signal.SIGTERM)
    say("ok end", gateway.wait(60), "descriptors", descriptors)


def check(client: Client) -> None:
    def rows() -> dict[str, Any]:
        return {row["tag"]: row for row in client.call("tags", {})["tags"]}

    def good(tag: str) -> Any:
        row = rows()[tag]
        return row["value"] if row["quality"] == "good" else None

    say("ok advert", wait("an advert", lambda: good("advert")), "rssi", wait("rssi", lambda: good("rssi")))
    say("ok read", wait("a connection", lambda: good("temperature")))
    first = wait("a notification", lambda: good("humidity"))
    later = wait("more notifications", lambda: value if (value := good("humidity")) and value > first else None)
    say("ok notify", first, later)
    found = [row for row in client.stream("scan", {"channel": "radio", "options": {"seconds": 2}}) if "address" in row]
    say("ok scan", [(row["address"], row["name"], row["rssi"]) for row in found])
    say("ok write", client.call("write", {"values": {"beacon.temperature": 12.5}}, 60))
    wait("the new value", lambda: True if good("temperature") == 12.5 else None)

    os.kill(int(Path("/run/bluetoothd.pid").read_text()), signal.SIGTERM)
    wait("an issue", lambda: True if "bluetooth_away" in str(client.call("status", {})["issues"]) else None)
    say("ok bluetoothd stopped, the issue is there")
    subprocess.Popen(["/usr/libexec/bluetooth/bluetoothd", "-n", "-E"])
    wait("power", lambda: True if subprocess.run(["bluetoothctl", "power", "on"], timeout=20).returncode == 0 else None)
    wait("no issue", lambda: None if "bluetooth_away" in str(client.call("status", {})["issues"]) else True)
    before = rows()["humidity"]["ts"]
    wait(
        "notifications again",
        lambda: True if good("humidity") is not None and rows()["humidity"]["ts"] > before else None,
    )
    say("ok bluetoothd restarted", good("humidity"))


if __name__ == "__main__":
    main()
