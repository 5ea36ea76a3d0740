"""The birth: the gateway's model as one retained message, or as parts where one is too small (protocol.md 1.3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from gateway.canonical import digest
from gateway.health import Health
from gateway.mqttclient.connection import REFUSED, Connection, Outgoing
from gateway.uplink.codecs.base import JSON
from gateway.uplink.memory import Memory
from gateway.uplink.ports import Identity, ModelView, TagRow

COLUMNS = ["alias", "device", "tag", "type", "unit", "access"]
STATE = "birth"
_RETRY_S = 60.0


class Birth(Struct, frozen=True):
    """Messages in the order they go, parts before `birth`. `hash` names the model, however it is cut."""

    hash: str
    dict_no: int
    parts: int
    messages: tuple[Outgoing, ...]


def make_birth(identity: Identity, model: ModelView, limit: int) -> Birth:
    """The birth of `model` in messages of at most `limit` bytes (a single row is never cut)."""
    body = birth_body(identity, model)
    hash_ = birth_hash(body)
    head = {"v": 1, "gateway": identity.id, "version": identity.version, "hash": hash_, **body}
    whole = msgspec.json.encode(head)
    topic = f"{identity.root}/birth"
    if len(whole) <= limit:
        return Birth(hash_, model.dict_no, 1, (_retained(topic, whole),))
    chunks = list(_chunks(body["tags"], max(limit - 200, 1)))
    rows = tuple(
        _retained(
            f"{topic}/{part}",
            msgspec.json.encode({"v": 1, "gateway": identity.id, "hash": hash_, "part": part, "tags": chunk}),
        )
        for part, chunk in enumerate(chunks, 1)
    )
    del head["tags"]
    head["parts"] = len(chunks)
    return Birth(hash_, model.dict_no, len(chunks), (*rows, _retained(topic, msgspec.json.encode(head))))


def birth_body(identity: Identity, model: ModelView) -> dict[str, Any]:
    """What is hashed besides `v`: the same for the same model, whatever order its sources had (W12)."""
    return {
        "v": 1,
        "gateway": identity.id,
        "dict": model.dict_no,
        "parts": 1,
        "devices": [list(row) for row in sorted(model.devices)],
        "columns": COLUMNS,
        "tags": [list(row) for row in sorted(model.rows, key=_alias)],
    }


def birth_hash(body: dict[str, Any]) -> str:
    """First 16 hex digits of SHA-256 over the canonical JSON of the whole birth without `hash` and `version`."""
    return digest({key: value for key, value in body.items() if key not in {"hash", "version"}}, 16)


def _alias(row: TagRow) -> int:
    return row.alias


def _chunks(rows: list[list[Any]], limit: int) -> list[list[list[Any]]]:
    chunks: list[list[list[Any]]] = [[]]
    size = 0
    for row in rows:
        length = len(msgspec.json.encode(row)) + 1
        if chunks[-1] and size + length > limit:
            chunks.append([])
            size = 0
        chunks[-1].append(row)
        size += length
    return chunks


def _retained(topic: str, payload: bytes) -> Outgoing:
    return Outgoing(topic, payload, JSON if payload else None, retain=True)


class BirthKeeper:
    """Keeps the retained birth at a broker equal to the model: published only when its hash differs from the one
    last acknowledged at that broker address, or when asked.
    """

    def __init__(
        self, name: str, identity: Identity, model: Callable[[], ModelView], memory: Memory, health: Health
    ) -> None:
        self._name = name
        self._identity = identity
        self._model = model
        self._memory = memory
        self._health = health
        self._ask = asyncio.Event()
        self._force = asyncio.Event()
        self._forced = False
        self._dict_acked = -1
        self.hash: str | None = None

    def request(self, *, force: bool = False) -> None:
        """Look at the model again; with `force` publish even what is known."""
        if force:
            self._forced = True
            self._force.set()
        self._ask.set()

    def ready(self, dict_no: int) -> bool:
        """Whether the broker has a birth that names this dictionary or a later one (W14); asks for it if not."""
        if self._dict_acked >= dict_no:
            return True
        self._ask.set()
        return False

    async def run(self, connection: Connection, limit: Callable[[], int], changed: Callable[[], None]) -> None:
        """Serve one connection. `changed` is called after each acknowledged birth."""
        self._dict_acked = -1
        self._ask.set()
        while True:
            await self._ask.wait()
            self._ask.clear()
            before = (self.hash, self._dict_acked)
            if not await self._publish(connection, limit()):
                await self._rest()
            elif before != (self.hash, self._dict_acked):  # else who waits for another dictionary would ask for ever
                changed()

    async def _rest(self) -> None:
        """Refused: it is an issue, and tried again in a while or when a person asks, not at each commit."""
        self._force.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_S):
                await self._force.wait()
        self._ask.set()

    async def _publish(self, connection: Connection, limit: int) -> bool:
        birth = make_birth(self._identity, self._model(), limit)
        known = dict(self._memory.get(STATE) or {})
        hash_, parts = known.get(connection.url, (None, 0))
        forced, self._forced = self._forced, False
        if hash_ != birth.hash or forced:
            leftover = [
                _retained(f"{self._identity.root}/birth/{part}", b"")
                for part in range(birth.parts + 1 if birth.parts > 1 else 1, (parts if parts > 1 else 0) + 1)
            ]
            for message in (*birth.messages, *leftover):
                code = await connection.publish(message)
                if code >= REFUSED:
                    self._tell(message.topic, code)
                    return False
            known[connection.url] = [birth.hash, birth.parts]
            await self._memory.set(STATE, known)
        self._health.clear("uplink_birth", self._name)
        self.hash = birth.hash
        self._dict_acked = birth.dict_no
        return True

    def _tell(self, topic: str, code: int) -> None:
        self._health.set(
            "uplink_birth",
            self._name,
            f"the broker refuses {topic} with code 0x{code:02x}: consumers do not learn the tags",
            "allow this gateway's user to publish retained messages below its root, and look at the size limit",
        )
