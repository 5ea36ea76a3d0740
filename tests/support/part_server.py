"""Somebody far away who serves a repository in parts over MQTT (protocol.md: job/{id}/want and job/{id}/part)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.job_cloud import ROOT

PART = 65536


class PartServer:
    """`wanted`: (file, offset, count) as asked. `lose`: numbers of parts that are not sent."""

    def __init__(self, port: int, folder: Path) -> None:
        self.folder = folder
        self.wanted: list[tuple[str, int, int]] = []
        self.lose: set[int] = set()
        self.sent = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "part-server", protocol=paho.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe(f"{ROOT}/job/+/want", 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        want = json.loads(message.payload)
        name, offset, count = want["file"], want["offset"], want["count"]
        self.wanted.append((name, offset, count))
        file = self.folder / name
        content = file.read_bytes() if file.is_file() else None
        total = 2**64 - 1 if content is None else len(content)
        head = len(name).to_bytes(2, "big") + name.encode() + total.to_bytes(8, "big")
        below = message.topic.removesuffix("want") + "part/"
        for number in range(count):
            start = offset + number * PART
            if number and (content is None or start >= len(content)):
                break
            self.sent += 1
            if self.sent not in self.lose:
                client.publish(f"{below}{start}", head + (content or b"")[start : start + PART], 1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
