"""A private system bus with a BlueZ on it, for real bleak: started, stopped and restarted by a test."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.eventually import wait_until
from tests.support.parts import command, require
from tests.support.processes import ROOT, Process, Processes

ENVIRONMENT = "0000181a-0000-1000-8000-00805f9b34fb"
TEMPERATURE = "00002a6e-0000-1000-8000-00805f9b34fb"
HUMIDITY = "00002a6f-0000-1000-8000-00805f9b34fb"
BATTERY_SERVICE = "0000180f-0000-1000-8000-00805f9b34fb"
BATTERY = "00002a19-0000-1000-8000-00805f9b34fb"
BTHOME = "0000fcd2-0000-1000-8000-00805f9b34fb"
EDDYSTONE = "0000feaa-0000-1000-8000-00805f9b34fb"
BTHOME_DATA = "40016402ca0903bf13"
"""100 %, 25.06 °C, 50.55 % (bthome.io, "Format")."""
RUUVI_DATA = "0512fc5394c37c0004fffc040cac364200cdcbb8334c884f"
"""Valid data of the test vectors of data format 5 (docs.ruuvi.com)."""

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


def thermometer(**changes: Any) -> dict[str, Any]:
    """A device with a temperature that can be read, written and notifies, and one that can only be read."""
    characteristics = [
        {"uuid": TEMPERATURE, "flags": ["read", "write", "notify"], "value": "ca09", "period": 0.05},
        {"uuid": HUMIDITY, "flags": ["read"], "value": "bf13"},
    ]
    gatt = [{"uuid": ENVIRONMENT, "characteristics": characteristics}]
    return {"name": "env", "uuids": [ENVIRONMENT], "gatt": gatt, **changes}


class Bluetooth:
    """The bus and the BlueZ of one test. `env` is what a gateway needs to find them."""

    def __init__(self, processes: Processes, *, adapter: dict[str, Any] | None = None) -> None:
        require("dbus-daemon", "bleak")
        self._processes = processes
        self._directory = Path(tempfile.mkdtemp(prefix="fp-bus-"))
        self._adapter = adapter if adapter is not None else {}
        self._devices: dict[str, dict[str, Any]] = {}
        self._bus: Process | None = None
        self._bluez: Process | None = None
        self._control: socket.socket | None = None
        self.env = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self._directory / 'bus'}"}
        (self._directory / "bus.conf").write_text(_CONFIG.format(socket=self._directory / "bus"))

    # --- life

    def start(self) -> Bluetooth:
        self.start_bus()
        self.start_bluez()
        return self

    def start_bus(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self._directory / "bus").unlink()
        argv = [command("dbus-daemon"), f"--config-file={self._directory / 'bus.conf'}", "--nofork", "--nopidfile"]
        self._bus = self._processes.start(self._processes.unique("dbus"), [*argv, "--nosyslog"])
        wait_until((self._directory / "bus").exists, 10, why="the bus listens")

    def start_bluez(self, *, adapter: bool = True) -> None:
        control = self._directory / "control"
        with contextlib.suppress(FileNotFoundError):
            control.unlink()
        settings = json.dumps(self._adapter) if adapter else ""
        argv = [sys.executable, "-m", "tests.support.bluez.server", str(control), settings]
        self._bluez = self._processes.start(self._processes.unique("bluez"), argv, env=self.env, cwd=ROOT)
        self._bluez.wait_output("ready")
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._control.settimeout(20)
        self._control.connect(str(control))
        self._file = self._control.makefile("rw", encoding="utf-8")
        for address, spec in self._devices.items():
            self.ask("device", address=address, spec=spec)

    def stop_bluez(self) -> None:
        """As when bluetoothd is killed."""
        assert self._bluez is not None
        self._bluez.kill()
        self._hang_up()

    def stop_bus(self) -> None:
        """The bus goes, and BlueZ with it."""
        assert self._bus is not None
        self._bus.kill()
        self.stop_bluez()

    def restart_bus(self) -> None:
        self.stop_bus()
        self.start()

    def close(self) -> None:
        self._hang_up()
        for process in (self._bluez, self._bus):
            if process is not None:
                process.end()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _hang_up(self) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._control.close()
            self._control = None

    # --- the world

    def ask(self, do: str, **order: Any) -> Any:
        self._file.write(json.dumps({"do": do, **order}) + "\n")
        self._file.flush()
        answer = json.loads(self._file.readline())
        assert "error" not in answer, answer
        return answer["ok"]

    def device(self, address: str, **spec: Any) -> None:
        """A device that advertises; again with other keys to change what it says. It outlasts restarts of BlueZ."""
        self._devices[address] = {**self._devices.get(address, {}), **spec}
        self.ask("device", address=address, spec=spec)

    def say(self, address: str, **spec: Any) -> None:
        """A device says this, once."""
        self.ask("device", address=address, spec=spec)
        self.ask("say", address=address)

    def look(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("look")
        return found

    def characteristic(self, address: str, uuid: str = TEMPERATURE) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("characteristic", address=address, uuid=uuid)
        return found


__all__ = ["BTHOME", "BTHOME_DATA", "RUUVI_DATA", "TEMPERATURE", "Bluetooth", "thermometer"]
