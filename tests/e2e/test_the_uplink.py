"""What the broker can do to an uplink, and what a person sees of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from tests.support import counting
from tests.support.certificates import Certificates
from tests.support.eventually import wait_until
from tests.support.gateway import Gateway
from tests.support.mosquitto import Broker
from tests.support.plant import Plant
from tests.support.proxy import Proxy
from tests.support.scene import Scene
from tests.support.sink import Sink

MakeScene = Callable[..., Scene]

ALLOW = "topic readwrite fp/#\n"
DENY = "topic deny fp/1/default/gw/up/telemetry\n"


def test_a_frozen_broker_loses_nothing(make_scene: MakeScene) -> None:
    scene = make_scene(3)
    scene.wait_polls(2)
    scene.broker.freeze()
    scene.wait_polls(8)
    scene.broker.thaw()
    scene.finish()


def test_a_silent_broker_does_not_slow_down_polling(
    make_scene: MakeScene, make_proxy: Callable[[int], Proxy], broker: Broker
) -> None:
    """The uplink's trouble stays with the uplink, at start too."""
    proxy = make_proxy(broker.port)
    proxy.black_hole()
    scene = make_scene(3, broker=broker, port=proxy.port)
    scene.wait_polls(6)
    proxy.pass_()
    scene.finish()


def test_the_second_address_serves_when_the_first_is_gone(make_scene: MakeScene, broker: Broker) -> None:
    from tests.support.ports import free_port

    urls = [f"mqtt://127.0.0.1:{free_port()}", f"mqtt://127.0.0.1:{broker.port}"]
    scene = make_scene(2, broker=broker, uplink={"urls": urls})
    scene.wait_polls(3)
    scene.finish()


def test_two_uplinks_have_cursors_of_their_own(
    make_scene: MakeScene, make_broker: Callable[..., Broker], make_sink: Callable[..., Sink]
) -> None:
    first, second = make_broker(), make_broker()
    other = make_sink(second.port)
    scene = make_scene(2, broker=first, start=False)
    uplinks = {
        "cloud": {"urls": [first.url], "codec": "json"},
        "plant": {"urls": [second.url], "codec": "native"},
    }
    counting.write_config(scene.gateway, scene.plant, uplinks)
    second.stop()
    scene.gateway.start()
    scene.wait_polls(6)
    wait_until(lambda: scene.sink.received() > 0, 30)
    assert scene.gateway.backlog("plant") > 0
    second.start()
    scene.wait_polls(2)
    wait_until(lambda: scene.gateway.backlog("plant") < 1000, 60, every=0.2, why="the second uplink catches up")
    scene.finish()
    mine = scene.sink.snapshot()
    key = next(key for key in mine.numbers if key[0] == "telemetry")
    upto = min(mine.upto(key), other.snapshot().upto(key))
    assert upto > 200 * 8, "the second got what it had missed"
    theirs = other.snapshot()
    assert theirs.conflicts == []
    assert {n: theirs.numbers[key][n] for n in range(1, upto)} == {n: mine.numbers[key][n] for n in range(1, upto)}


def test_tls_with_client_certificates(
    make_plant: Callable[..., Plant],
    gateway: Gateway,
    make_broker: Callable[..., Broker],
    certificates: Certificates,
) -> None:
    broker = make_broker(tls=certificates, acl="user gw\ntopic readwrite fp/1/default/gw/#\n")
    pair = certificates.make("gw")
    plant = make_plant(1)
    credentials = gateway.config / "credentials"
    credentials.mkdir()
    (credentials / "gw_key").write_bytes(pair.key.read_bytes())
    (credentials / "gw_key").chmod(0o600)
    tls = {"ca": str(certificates.ca), "cert": str(pair.cert), "key": "${credential:gw_key}"}
    counting.write_config(gateway, plant, {"cloud": {"urls": [broker.url], "tls": tls}})
    gateway.start()
    wait_until(lambda: gateway.status()["uplinks"]["cloud"]["state"] == "online", 30, every=0.2)
    wait_until(lambda: gateway.status()["journal"]["streams"]["telemetry"]["last"] > 0, 30, every=0.2)
    gateway.wait_drained(within=60, below=500)


def test_flat_shows_the_newest_value_per_tag_and_never_holds_the_journal(
    make_scene: MakeScene, make_sink: Callable[..., Sink]
) -> None:
    scene = make_scene(1, start=False)
    flat = make_sink(scene.broker.port, client_id="hmi", topic="plant/#", root="plant")
    uplinks = {"local": {"urls": [scene.broker.url], "codec": "flat", "topic": "plant/{device}/{tag}"}}
    counting.write_config(scene.gateway, scene.plant, uplinks)
    scene.gateway.start()
    scene.wait_polls(4)

    def newest() -> bool:
        messages = flat.on("d00u01/r007")
        return bool(messages) and json.loads(messages[-1].payload)["v"] >= 4

    wait_until(newest, 30)
    body = json.loads(flat.on("d00u01/r007")[-1].payload)
    assert set(body) == {"v", "q", "t"}
    assert body["q"] == "good"


def test_values_are_shown_by_the_command_line_as_they_are_sent(make_scene: MakeScene) -> None:
    scene = make_scene(1)
    scene.wait_polls(2)
    rows = scene.gateway.ask("tags", "d00u01")["tags"]
    assert len(rows) == 100
    assert {row["quality"] for row in rows} == {"good"}
    assert len({row["value"] for row in rows}) == 1
    plan = scene.gateway.ask("reads")["devices"]["d00u01"]["requests"]
    assert [(r["table"], r["address"], r["count"], r["tags"]) for r in plan] == [("holding", 0, 100, 100)]


def test_a_command_without_a_gateway_says_how_to_start_one(make_scene: MakeScene) -> None:
    scene = make_scene(1, start=False)
    answer = scene.gateway.cli("status")
    assert answer.code == 69
    assert "fieldpost run" in answer.err


def test_the_core_starts_without_drivers_of_other_protocols(make_scene: MakeScene) -> None:
    """The libraries asyncua and bleak are extras: neither is imported by a gateway that does not use them."""
    script = "import sys, gateway.app; sys.exit(any(name in sys.modules for name in ('asyncua', 'bleak', 'pymodbus')))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
