"""Faults of a real network stack: the gateway in a namespace of its own, its link cut, its packets dropped."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from drivers.modbus.silence import LIMIT
from tests.support import parts
from tests.support.eventually import wait_until
from tests.support.mosquitto import Broker
from tests.support.ports import free_port
from tests.support.scale import scaled
from tests.support.scene import Scene

MakeScene = Callable[..., Scene]


@dataclass(frozen=True)
class Link:
    """A namespace for the gateway; `host` is this side's address on the pair."""

    namespace: str
    host: str

    @property
    def prefix(self) -> list[str]:
        return ["ip", "netns", "exec", self.namespace]

    def run(self, *argv: str) -> None:
        subprocess.run([*self.prefix, *argv], check=True)

    def set(self, state: str) -> None:
        self.run("ip", "link", "set", "eth0", state)

    def rule(self, *rule: str) -> None:
        self.run("iptables-legacy", "-A", "OUTPUT", "-p", "tcp", *rule)

    def flush(self) -> None:
        self.run("iptables-legacy", "-F")


@pytest.fixture
def link() -> Iterator[Link]:
    parts.require("root", "ip", "iptables-legacy")
    number = os.getpid()
    made = Link(f"gw{number}", f"10.77.{number % 250}.1")
    ours, theirs = f"vh{number}", f"vg{number}"
    commands = [
        f"ip netns add {made.namespace}",
        f"ip link add {ours} type veth peer name {theirs}",
        f"ip link set {theirs} netns {made.namespace} name eth0",
        f"ip addr add {made.host}/24 dev {ours}",
        f"ip link set {ours} up",
        f"ip -n {made.namespace} addr add 10.77.{number % 250}.2/24 dev eth0",
        f"ip -n {made.namespace} link set lo up",
        f"ip -n {made.namespace} link set eth0 up",
    ]
    try:
        for command in commands:
            subprocess.run(command.split(), check=True)
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", made.namespace], check=False)
        subprocess.run(["ip", "link", "del", ours], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture
def scene(make_scene: MakeScene, make_broker: Callable[..., Broker], link: Link) -> Scene:
    port = free_port()
    broker = make_broker(port=port, extra=f"listener {port} {link.host}")
    return make_scene(4, broker=broker, host=link.host, prefix=link.prefix, timeout="1s")


def _online(scene: Scene) -> bool:
    status = scene.gateway.status()
    states = [state for channel in status["channels"].values() for state in channel["devices"].values()]
    return set(states) == {"online"} and status["uplinks"]["cloud"]["state"] == "online"


@pytest.mark.timeout(600)
def test_the_link_goes_down_and_comes_back(scene: Scene, link: Link) -> None:
    """Everything is away at once, devices and broker, and comes back by itself."""
    scene.wait_polls(3)
    cuts = scaled(2, 20)
    for _ in range(cuts):
        link.set("down")
        wait_until(lambda: not _online(scene), 90, every=0.3)
        link.set("up")
        wait_until(lambda: _online(scene), 120, every=0.3)
        scene.wait_polls(2, within=120)
    _what_came_is_right(scene, cuts)


@pytest.mark.timeout(600)
def test_packets_to_the_broker_are_dropped_without_a_word(scene: Scene, link: Link) -> None:
    scene.wait_polls(3)
    link.rule("--dport", str(scene.broker.port), "-j", "DROP")
    scene.wait_polls(scaled(20, 120), within=300)
    link.flush()
    scene.wait_delivered(within=180)
    scene.finish()


@pytest.mark.timeout(600)
def test_one_device_is_reset_and_the_others_do_not_notice(scene: Scene, link: Link) -> None:
    scene.wait_polls(3)
    link.rule("--dport", str(scene.plant.ports[0]), "-j", "REJECT", "--reject-with", "tcp-reset")
    scene.plant.hang_up(0)
    scene.wait_polls_of([(line, 1) for line in (1, 2, 3)], 10)
    link.flush()
    scene.wait_polls(2, within=120)
    assert scene.plant.accepted()[1:] == [1, 1, 1]
    _what_came_is_right(scene, 1)


def _what_came_is_right(scene: Scene, cuts: int) -> None:
    """Answers that died on the cut link are lost to everybody; what was read is complete. So many requests are given
    to a silent connection before it is replaced, and the kernel still delivers them when the link is back. The driver may
    be looking into the silence just then, with a read of one tag.
    """
    for unit in scene.plant.counts():
        scene.forgive(unit, at_most=LIMIT * cuts, in_part=cuts)
    scene.finish()
