"""The demo's MQTT broker: mosquitto where it is installed, else amqtt from the extra `demo`."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import GatewayError

_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
"""
_SBIN = "/usr/sbin:/usr/local/sbin:/sbin"  # not on everybody's path


class NoBroker(GatewayError):
    """Neither broker is installed."""


@dataclass(frozen=True, slots=True)
class Broker:
    """How to start one."""

    name: str
    command: tuple[str, ...]


def find_broker(folder: Path, port: int) -> Broker:
    """The broker that is here, to listen at `port` on loopback; its files go to `folder`. Raises NoBroker."""
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path=_SBIN)
    if mosquitto:
        config = folder / "mosquitto.conf"
        config.write_text(_MOSQUITTO.format(port=port), encoding="ascii")
        config.chmod(0o644)
        return Broker("mosquitto", (mosquitto, "-c", str(config)))
    if importlib.util.find_spec("amqtt"):
        return Broker("amqtt", (sys.executable, "-m", "gateway.demo.amqtt_broker", str(port)))
    raise NoBroker("the demo needs a broker: `apt install mosquitto`, or `pip install 'fieldpost[demo]'`")
