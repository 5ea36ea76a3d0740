"""A repository served over a real broker: parts as protocol.md has them, and nothing but what is in the folder."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.fleet import FleetError
from gateway.fleet.partserver import NO_FILE, PART, PartServer
from gateway.fleet.repositoryfiles import RepositoryFiles, published
from tests.integration.fleet.conftest import operator
from tests.support.eventually import eventually

ROOT = "fp/1/default"


class Asker:
    """Gateways that ask for parts. `parts`: (gateway, job, offset, file, size, bytes)."""

    def __init__(self, port: int) -> None:
        self.parts: list[tuple[str, str, int, str, int, bytes]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "asker", protocol=paho.MQTTv5)
        self._client.on_message = self._message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(f"{ROOT}/+/job/+/part/+", 1)
        self._client.loop_start()

    def want(
        self, file: Any, offset: Any = 0, count: Any = 1, *, gateway: str = "gw", job: str = "j1", v: int = 1
    ) -> None:
        self.raw(json.dumps({"v": v, "file": file, "offset": offset, "count": count}).encode(), gateway, job)

    def raw(self, payload: bytes, gateway: str = "gw", job: str = "j1") -> None:
        self._client.publish(f"{ROOT}/{gateway}/job/{job}/want", payload, 1)

    def _message(self, _client: Any, _userdata: Any, message: Any) -> None:
        _, _, _, gateway, _, job, _, offset = message.topic.split("/")
        length = int.from_bytes(message.payload[:2], "big")
        name, rest = message.payload[2 : 2 + length].decode(), message.payload[2 + length :]
        self.parts.append((gateway, job, int(offset), name, int.from_bytes(rest[:8], "big"), rest[8:]))

    def file(self, name: str, gateway: str = "gw") -> bytes:
        """What came of a file, put together."""
        found = {offset: data for to, _, offset, file, _, data in self.parts if (to, file) == (gateway, name)}
        return b"".join(found[offset] for offset in sorted(found))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def asker(broker: Any) -> Iterator[Asker]:
    made = Asker(broker.port)
    yield made
    made.close()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "metadata").mkdir(parents=True)
    (folder / "targets" / "wheels").mkdir(parents=True)
    (folder / "metadata" / "timestamp.json").write_bytes(b"{}")
    (folder / "targets" / "wheels" / "a.whl").write_bytes(os.urandom(5 * PART + 77))
    (folder / "targets" / "empty").write_bytes(b"")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "targets" / "link").symlink_to(tmp_path / "secret")
    (folder / "targets" / "outside").symlink_to(tmp_path)
    os.mkfifo(folder / "targets" / "fifo")
    return folder


@asynccontextmanager
async def serving(broker: Any, folder: Path, rate: int = 50_000_000) -> AsyncIterator[PartServer]:
    server = PartServer(RepositoryFiles(folder), "default", rate)
    async with operator(broker.url, settle_s=0.05) as fleet, fleet.another() as link, asyncio.TaskGroup() as group:
        running = group.create_task(server.run(link))
        await asyncio.sleep(0.1)  # the subscription
        yield server
        running.cancel()


async def test_a_file_comes_in_parts_with_its_name_and_size(broker: Any, asker: Asker, repository: Path) -> None:
    content = (repository / "targets/wheels/a.whl").read_bytes()
    async with serving(broker, repository):
        asker.want("targets/wheels/a.whl", 0, 3)
        await eventually(lambda: len(asker.parts) == 3)
        asker.want("targets/wheels/a.whl", 3 * PART, 64)
        await eventually(lambda: asker.file("targets/wheels/a.whl") == content)
        assert {part[4] for part in asker.parts} == {len(content)}
        assert sorted(part[2] for part in asker.parts) == [at * PART for at in range(6)], "none behind the end"


async def test_the_end_is_an_empty_part_and_what_is_not_there_has_no_size(
    broker: Any, asker: Asker, repository: Path
) -> None:
    size = 5 * PART + 77
    async with serving(broker, repository):
        asker.want("targets/wheels/a.whl", size, 4)
        asker.want("targets/empty", 0, 4)
        asker.want("targets/nothing.whl", 7, 64)
        await eventually(lambda: len(asker.parts) == 3)
    assert sorted(part[2:] for part in asker.parts) == [
        (0, "targets/empty", 0, b""),
        (7, "targets/nothing.whl", NO_FILE, b""),
        (size, "targets/wheels/a.whl", size, b""),
    ]


async def test_nothing_outside_of_the_folder_is_served(broker: Any, asker: Asker, repository: Path) -> None:
    names = [
        "../secret", "targets/../../secret", "/etc/passwd", "targets/link", "targets/outside/secret", "targets", "targets/",
        "targets//wheels/a.whl", "./metadata/timestamp.json", "targets/fifo", "metadata/timestamp.json\x00", "a" * 399,
    ]  # fmt: skip
    async with serving(broker, repository) as server:
        for number, name in enumerate(names):
            asker.want(name, number, 2, gateway=f"gw-{number}")
        await eventually(lambda: len(asker.parts) == len(names), why=lambda: str(asker.parts))
        assert {part[4:] for part in asker.parts} == {(NO_FILE, b"")}
        for payload in (b"", b"{", b"\xff" * 50, b"[]"):
            asker.raw(payload)
        for wrong in (
            {"file": 7},
            {"offset": -1},
            {"offset": 2**70},
            {"count": 0},
            {"v": 2},
            {"file": ""},
            {"file": "a" * 401},
        ):
            asker.want(**{"file": "metadata/timestamp.json", **wrong})
        await eventually(lambda: server.ignored == 11, why=lambda: str(server.ignored))
        asker.want("metadata/timestamp.json")
        await eventually(lambda: asker.parts[-1][5] == b"{}")


async def test_many_gateways_are_served_in_turns(broker: Any, asker: Asker, repository: Path) -> None:
    content = (repository / "targets/wheels/a.whl").read_bytes()
    names = [f"gw-{number}" for number in range(8)]
    async with serving(broker, repository):
        for name in names:
            asker.want("targets/wheels/a.whl", 0, 64, gateway=name)
        await eventually(lambda: len(asker.parts) >= 48, 20)
    digest = hashlib.sha256(content).digest()
    assert {hashlib.sha256(asker.file("targets/wheels/a.whl", name)).digest() for name in names} == {digest}
    last_first = max(asker.parts.index(next(part for part in asker.parts if part[0] == name)) for name in names)
    first_last = min(max(at for at, part in enumerate(asker.parts) if part[0] == name) for name in names)
    assert last_first < first_last, "everybody has a part before anybody has all"


async def test_a_want_takes_the_place_of_the_one_before_it(broker: Any, asker: Asker, repository: Path) -> None:
    """A gateway that asks again after a cut must not get everything twice."""
    async with serving(broker, repository, rate=PART * 4):
        asker.want("targets/wheels/a.whl", 0, 5)
        await eventually(lambda: len(asker.parts) >= 1)
        asker.want("targets/wheels/a.whl", 5 * PART, 1)
        await eventually(lambda: any(part[2] == 5 * PART for part in asker.parts))
        assert len(asker.parts) < 6


def test_what_is_published_is_read_from_the_newest_set(tmp_path: Path) -> None:
    folder = tmp_path / "metadata"
    folder.mkdir()

    def write(name: str, signed: Any) -> None:
        (folder / name).write_text(json.dumps({"signed": signed, "signatures": []}))

    with pytest.raises(FleetError, match="is no repository"):
        published(tmp_path)
    write("timestamp.json", {"meta": {"snapshot.json": {"version": 3}}})
    with pytest.raises(FleetError, match="no whole repository"):
        published(tmp_path)
    write("3.snapshot.json", {"meta": {"targets.json": {"version": 2}, "drivers-acme.json": {"version": 1}}})
    write("2.targets.json", {"targets": {"releases/a.json": {}}})
    write("1.drivers-acme.json", {"targets": {"drivers/acme/b.json": {}}})
    assert published(tmp_path) == {"releases/a.json", "drivers/acme/b.json"}
