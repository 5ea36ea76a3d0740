"""The demo's MQTT broker: mosquitto where it is installed, else amqtt from the extra `demo`."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import sys
from dataclasses import dataclass

from gateway.demo.processes import CONFIG
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
    """How to start one. `config` is the text of the file that `CONFIG` in the command stands for.

    `user`: mosquitto gives up root by itself, but a process that changes its user is no longer ended with its parent
    (prctl(2), PR_SET_PDEATHSIG): so it is started as that user.
    """

    name: str
    command: tuple[str, ...]
    config: str = ""
    user: str | None = None
    mqtt5: bool = True


def find_broker(port: int) -> Broker:
    """The broker that is here, to listen at `port` on loopback. Raises NoBroker."""
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path=_SBIN)
    if mosquitto:
        user = _unprivileged() if os.geteuid() == 0 else None
        return Broker("mosquitto", (mosquitto, "-c", CONFIG), _MOSQUITTO.format(port=port), user)
    if importlib.util.find_spec("amqtt"):
        return Broker("amqtt", (sys.executable, "-P", "-m", "gateway.demo.amqtt_broker", str(port)), mqtt5=False)
    raise NoBroker("the demo needs a broker: `apt install mosquitto`, or `pip install 'fieldpost[demo]'`")


def _unprivileged() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "mosquitto" if "mosquitto" in names else "nobody"
