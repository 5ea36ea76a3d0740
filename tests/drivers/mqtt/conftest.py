"""A client of another author at the broker."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.mosquitto import Broker
from tests.support.mqtt_device import MqttDevice


@pytest.fixture
def sender(broker: Broker) -> Any:
    device = MqttDevice(broker.port)
    yield device
    device.close()
