"""The broker fixture."""

import subprocess
from collections.abc import Callable

from tests.support import parts
from tests.support.certificates import Certificates
from tests.support.mosquitto import Broker


def _publish(broker: Broker, topic: str, *more: str) -> subprocess.CompletedProcess[str]:
    binary = parts.command("mosquitto_pub")
    argv = [binary, "-V", "mqttv5", "-q", "1", "-h", "localhost", "-p", str(broker.port), "-t", topic, "-m", "x", *more]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)


def test_a_broker_keeps_its_port_over_a_restart_and_a_kill(broker: Broker) -> None:
    port = broker.port
    broker.restart()
    assert _publish(broker, "a").returncode == 0
    broker.kill()
    assert _publish(broker, "a").returncode != 0
    broker.start()
    assert broker.port == port
    assert _publish(broker, "a").returncode == 0


def test_a_forbidden_topic_is_refused_until_the_access_file_allows_it(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(acl="topic readwrite allowed/#\n")
    assert "Not authorized" in _publish(broker, "denied").stderr
    assert _publish(broker, "allowed/x").stderr == ""


def test_client_certificates_are_demanded(make_broker: Callable[..., Broker], certificates: Certificates) -> None:
    broker = make_broker(tls=certificates)
    pair = certificates.make("gw1")
    trust = ("--cafile", str(certificates.ca))
    assert _publish(broker, "a", *trust).returncode != 0
    assert _publish(broker, "a", *trust, "--cert", str(pair.cert), "--key", str(pair.key)).returncode == 0
