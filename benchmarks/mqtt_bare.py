"""The two ends of the measurement of MQTT devices: `send` publishes JSON documents of ten values, `take` is the loop that
one writes in an afternoon: aiomqtt and json.loads, nothing kept, acknowledged on receipt.

python -m benchmarks.mqtt_bare send PORT MESSAGES_PER_S    (0: as fast as the broker takes them)
python -m benchmarks.mqtt_bare take PORT
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

DEVICES, VALUES = 20, 10


def send(port: int, rate: float) -> None:
    """For ever. Prints how many the broker has acknowledged, each second."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "sender", protocol=paho.MQTTv5)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    acked = 0

    def published(*_: object) -> None:
        nonlocal acked
        acked += 1

    client.on_publish = published
    begin = told = time.monotonic()
    sent = 0
    while True:
        payload = json.dumps({f"v{k}": round(20 + (sent * 7 + k) % 100 / 10, 1) for k in range(VALUES)})
        client.publish(f"plant/d{sent % DEVICES:02d}/state", payload, 1)
        sent += 1
        while sent - acked > 900 or (rate and sent > (time.monotonic() - begin) * rate):
            time.sleep(0.0005)
        if time.monotonic() - told > 1:
            told = time.monotonic()
            print(f"acked {acked}", flush=True)


async def take(port: int) -> None:
    """For ever. Prints how many came, each second."""
    count, told = 0, time.monotonic()
    latest: dict[str, list[float]] = {}
    names = [f"v{k}" for k in range(VALUES)]
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("plant/+/state", 1)
        print("taking", flush=True)
        async for message in client.messages:
            document = json.loads(message.payload)  # type: ignore[arg-type]
            latest[message.topic.value] = [document[name] for name in names]
            count += 1
            if time.monotonic() - told > 1:
                told = time.monotonic()
                print(f"came {count}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(int(sys.argv[2]), float(sys.argv[3]))
    else:
        try:
            import uvloop
        except ImportError:
            asyncio.run(take(int(sys.argv[2])))
        else:
            uvloop.run(take(int(sys.argv[2])))
