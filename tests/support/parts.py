"""External parts of the tests, and the one way to miss them.

`require("mosquitto")` skips the test with one line that names the part and the command that installs it. With CI=1
in the environment it fails instead, so that a green run has run everything. No other skip exists in the tests.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

NODE_SET = Path(__file__).resolve().parent.parent / "peers"
"""Where the npm set of the foreign peers is installed."""


EDGEX_FILES = Path(__file__).resolve().parents[3] / "shared/fixtures/edgex"
EDGEX_VECTORS = EDGEX_FILES / "transform_vectors.json"
KUBEEDGE_FILES = Path(__file__).resolve().parents[3] / "shared/fixtures/kubeedge"
"""Third parties' files are never part of this project; they stand beside it where they are allowed to be used."""


@dataclass(frozen=True)
class Part:
    """`present` says whether the part is there; `install` is the command that brings it."""

    present: Callable[[], bool]
    install: str


def _command(name: str, install: str) -> Part:
    return Part(lambda: _which(name) is not None, install)


def _which(name: str) -> str | None:
    """Like a root shell finds it: Debian keeps daemons in sbin, which the path of a user may lack."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:/usr/sbin:/sbin")


def _module(name: str, install: str) -> Part:
    return Part(lambda: importlib.util.find_spec(name) is not None, install)


def _node(name: str) -> Part:
    installed = NODE_SET / "node_modules" / name / "package.json"
    return Part(installed.is_file, "npm ci --prefix tests/peers")


def _libmodbus_headers() -> bool:
    return any(Path(root, "modbus/modbus.h").is_file() for root in ("/usr/include", "/usr/local/include"))


PARTS: dict[str, Part] = {
    "mosquitto": _command("mosquitto", "apt install mosquitto"),
    "mosquitto_pub": _command("mosquitto_pub", "apt install mosquitto-clients"),
    "mosquitto_sub": _command("mosquitto_sub", "apt install mosquitto-clients"),
    "mosquitto_passwd": _command("mosquitto_passwd", "apt install mosquitto"),
    "openssl": _command("openssl", "apt install openssl"),
    "snmpd": _command("snmpd", "apt install snmpd"),
    "socat": _command("socat", "apt install socat"),
    "mbpoll": _command("mbpoll", "apt install mbpoll"),
    "gcc": _command("gcc", "apt install gcc"),
    "pkg-config": _command("pkg-config", "apt install pkg-config"),
    "libmodbus": Part(_libmodbus_headers, "apt install libmodbus-dev"),
    "dbus-daemon": _command("dbus-daemon", "apt install dbus"),
    "faketime": _command("faketime", "apt install faketime"),
    "ip": _command("ip", "apt install iproute2"),
    "tc": _command("tc", "apt install iproute2"),
    "iptables-legacy": _command("iptables-legacy", "apt install iptables"),
    "mkfs.ext4": _command("mkfs.ext4", "apt install e2fsprogs"),
    "systemd-analyze": _command("systemd-analyze", "apt install systemd"),
    "systemd-nspawn": _command("systemd-nspawn", "apt install systemd-container"),
    "nsenter": _command("nsenter", "apt install util-linux"),
    "mmdebstrap": _command("mmdebstrap", "apt install mmdebstrap"),
    "qemu-system-aarch64": _command("qemu-system-aarch64", "apt install qemu-system-arm"),
    "qemu-aarch64-static": _command("qemu-aarch64-static", "apt install qemu-user-static"),
    "lintian": _command("lintian", "apt install lintian"),
    "nginx": _command("nginx", "apt install nginx-light"),
    "node": _command("node", "apt install nodejs"),
    "npm": _command("npm", "apt install npm"),
    "modbus-serial": _node("modbus-serial"),
    "aedes": _node("aedes"),
    "node-opcua": _node("node-opcua"),
    "qemu-system-x86_64": _command("qemu-system-x86_64", "apt install qemu-system-x86"),
    "bluetoothd": Part(Path("/usr/libexec/bluetooth/bluetoothd").is_file, "apt install bluez"),
    "depmod": _command("depmod", "apt install kmod"),
    "bumble": _module("bumble", "pip install -e .[vm]"),
    "bleak": _module("bleak", "pip install -e .[ble]"),
    "bthome_ble": _module("bthome_ble", "pip install -e .[ble-parsers]"),
    "pymodbus": _module("pymodbus", "pip install -e .[modbus]"),
    "asyncua": _module("asyncua", "pip install -e .[opcua]"),
    "uvloop": _module("uvloop", "pip install -e .[uvloop]"),
    "websockets": _module("websockets", "pip install -e .[demo]"),
    "amqtt": _module("amqtt", "pip install -e .[demo]"),
    "edgex-vectors": Part(EDGEX_VECTORS.is_file, "placing shared/fixtures beside the project's folder"),
    "kubeedge-files": Part(KUBEEDGE_FILES.is_dir, "placing shared/fixtures beside the project's folder"),
    "root": Part(lambda: os.geteuid() == 0, "sudo make test-system"),
}


def missing(name: str) -> str | None:
    """None when the part is there, else the line that tells how to get it."""
    part = PARTS[name]
    return None if part.present() else f"missing: {name}; install it with: {part.install}"


def require(*names: str) -> None:
    """Stop the test when a part is missing: a skip on a laptop, a failure with CI=1."""
    for name in names:
        line = missing(name)
        if line is None:
            continue
        if os.environ.get("CI") == "1":
            pytest.fail(line, pytrace=False)
        pytest.skip(line)  # not on CI: a laptop may lack a part, and the line names what to install


def command(name: str) -> str:
    """Full path of a required command."""
    require(name)
    path = _which(name)
    assert path is not None
    return path
