"""Serves a repository over the broker, to gateways that reach nothing else (protocol.md 1.1: `want` and `part`).

A gateway asks for parts of a file by offset and count; each is a message of its own. Gateways are served in turns, a
part each, at one rate for all. What a gateway asked for and did not get yet is bounded; a new want takes the place of
an old one for the same file. Nothing is kept: who misses a part asks again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from msgspec import Struct

from gateway.fleet.document import decode
from gateway.fleet.link import Link
from gateway.fleet.repositoryfiles import LONGEST_NAME, RepositoryFiles
from gateway.mqttclient.connection import Inbound
from gateway.settings.ids import is_id

PART = 65_536
NO_FILE = 2**64 - 1
DEFAULT_RATE = 1_000_000
MOST_PARTS = 64
"""Of one want."""
_MOST_WANTS = 8
"""Of one gateway that wait."""
_MOST_GATEWAYS = 1000
_AT_ONCE = 4
_BINARY = "application/octet-stream"


class Want(Struct):
    """What a gateway asks for: `count` parts of `file` from `offset` on."""

    v: int
    file: str
    offset: int
    count: int = 1


class _Asked(Struct):
    topic: str
    file: str
    offset: int
    left: int
    first: bool = True


def part_payload(file: str, size: int | None, data: bytes) -> bytes:
    """The form of a part: the name's length (2 bytes), the name, the file's size (8 bytes, all ones: there is no such
    file), the bytes.
    """
    name = file.encode()
    return len(name).to_bytes(2, "big") + name + (NO_FILE if size is None else size).to_bytes(8, "big") + data


class PartServer:
    """`rate`: bytes a second, of all gateways together. `served` counts parts, `ignored` wants that were none."""

    def __init__(self, files: RepositoryFiles, tenant: str, rate: int | None = None) -> None:
        self._files = files
        self._tenant = tenant
        self._rate = rate or DEFAULT_RATE
        self._asked: OrderedDict[str, list[_Asked]] = OrderedDict()
        self._free_at = 0.0
        self.served = 0
        self.ignored = 0

    async def run(self, link: Link) -> None:
        """Serve on a connection; ends with it. Raises BrokerAway, BrokerRefuses."""
        self._asked.clear()
        async with link.listen([f"fp/1/{self._tenant}/+/job/+/want"], self.take) as listening:
            while True:
                await listening.until(lambda: bool(self._asked))
                turn = [self._next() for _ in range(min(_AT_ONCE, len(self._asked)))]
                await self._serve(link, [asked for asked in turn if asked is not None])

    def take(self, message: Inbound) -> None:
        """A want of a gateway."""
        _, _, _, gateway, _, job, *_ = (*message.topic.split("/"), "", "", "")
        want = decode(message.payload, Want)
        if want is None or not self._is_good(gateway, job, want):
            self.ignored += 1
            return
        known = self._asked.setdefault(gateway, [])
        known[:] = [each for each in known if each.file != want.file or each.topic.split("/")[5] != job]
        known.append(
            _Asked(f"fp/1/{self._tenant}/{gateway}/job/{job}/part", want.file, want.offset, min(want.count, MOST_PARTS))
        )
        del known[:-_MOST_WANTS]

    def waiting(self, gateway: str) -> tuple[_Asked, ...]:
        """What a gateway asked for and did not get yet."""
        return tuple(self._asked.get(gateway, ()))

    def _is_good(self, gateway: str, job: str, want: Want) -> bool:
        named = is_id(gateway) and is_id(job) and 0 < len(want.file.encode()) <= LONGEST_NAME
        room = gateway in self._asked or len(self._asked) < _MOST_GATEWAYS
        return named and room and 0 <= want.offset < 2**63 and want.count >= 1

    def _next(self) -> _Asked | None:
        """One part of the gateway whose turn it is."""
        if not self._asked:
            return None
        gateway, known = self._asked.popitem(last=False)
        first = known[0]
        part = _Asked(first.topic, first.file, first.offset, 1, first.first)
        first.offset += PART
        first.first = False
        first.left -= 1
        if first.left == 0:
            known.pop(0)
        if known:
            self._asked[gateway] = known
        return part

    async def _serve(self, link: Link, parts: list[_Asked]) -> None:
        """Publish them side by side, at the rate."""
        loop = asyncio.get_running_loop()
        faults: list[Exception] = []
        async with asyncio.TaskGroup() as group:
            for asked in parts:
                await asyncio.sleep(max(0.0, self._free_at - loop.time()))
                payload = await asyncio.to_thread(self._payload, asked)
                if payload is None:
                    continue
                self._free_at = max(loop.time(), self._free_at) + len(payload) / self._rate
                group.create_task(
                    self._publish(link, f"{asked.topic}/{asked.offset}", payload, faults), name="fleet:part"
                )
        if faults:
            raise faults[0]

    def _payload(self, asked: _Asked) -> bytes | None:
        """None where nothing is to be said: behind the end, but for the first part of a want, which then is empty."""
        found = self._files.read(asked.file, asked.offset, PART)
        if not asked.first and (found is None or asked.offset >= found[0]):
            return None
        size, data = found if found is not None else (None, b"")
        return part_payload(asked.file, size, data)

    async def _publish(self, link: Link, topic: str, payload: bytes, faults: list[Any]) -> None:
        try:
            await link.publish(topic, payload, content_type=_BINARY)
            self.served += 1
        except Exception as error:  # noqa: BLE001 - raised by whoever started us, as one
            faults.append(error)
