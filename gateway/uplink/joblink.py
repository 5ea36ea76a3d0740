"""Jobs over one uplink: what stands on `job/next` comes in, states of jobs go out until the broker has them.

What is done with a job is not known here: nothing of it is loaded before the first one comes (gateway/jobs).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.clock import Clock, Timer
from gateway.errors import GatewayError
from gateway.health import Health
from gateway.mqttclient.connection import REFUSED, Connection, Outgoing
from gateway.uplink.codecs.base import JSON
from gateway.uplink.verdict import Beside, tell_refused_beside

if TYPE_CHECKING:
    from gateway.settings.types import UplinkSettings
    from gateway.uplink.ports import Identity, JobPort, JobStatus

NEXT = "job/next"
ASK_AGAIN_S = 60.0
"""After a job that found no room on disk, or came too fast, what stands there is asked for again."""
MAX_PENDING = 128
"""Statuses that wait for their turn: more are not kept of a flood of messages that are no jobs."""
_JOBS = Beside("job", "job/+/status", "how jobs of this gateway end")

_log = logging.getLogger("fieldpost.jobs")


class JobBox:
    """What one uplink has still to tell: the latest status of each job. `bell` rings when there is something."""

    def __init__(self) -> None:
        self.pending: dict[str, JobStatus] = {}
        self.bell = asyncio.Event()

    def put(self, status: JobStatus) -> None:
        self.pending[status.key] = status
        if len(self.pending) > MAX_PENDING:  # ends come again with the next connection, and so does what stands there
            del self.pending[next(iter(self.pending))]
        self.bell.set()


class JobLink:
    """`ops`: what this uplink may ask for."""

    def __init__(
        self, name: str, health: Health, identity: Identity, ops: Sequence[str], port: JobPort, clock: Clock
    ) -> None:
        self._name = name
        self._health = health
        self._identity = identity
        self._ops = ops
        self._port = port
        self._clock = clock
        self._ask_again = asyncio.Event()
        self._asking: Timer | None = None

    async def handle(self, payload: bytes) -> None:
        """Take what stands on `job/next`. Returns when it is on disk, or will be asked for again."""
        try:
            await self._port.take(self._name, self._ops, payload)
        except GatewayError as error:
            if self._asking is None:  # once, whatever comes until then
                _log.warning("a job is not stored, it is asked for again: %s", error)
                self._asking = self._clock.call_later(ASK_AGAIN_S, self._ask)

    def _ask(self) -> None:
        self._asking = None
        self._ask_again.set()

    async def run(self, connection: Connection, limit: int, ask_again: Callable[[], None]) -> None:
        """Tell what there is, for as long as the connection lasts, in messages of at most `limit` bytes. Raises
        ConnectionLost. `ask_again` subscribes once more, so that what is retained comes again.
        """
        self._ask_again.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell(connection, limit))
            while True:
                await self._ask_again.wait()
                self._ask_again.clear()
                ask_again()

    async def _tell(self, connection: Connection, limit: int) -> None:
        box = self._port.box(self._name)
        self._port.reconnected(self._name)
        while True:
            box.bell.clear()
            while box.pending:
                status = box.pending.pop(next(iter(box.pending)))
                topic = f"job/{status.id}/status"
                message = Outgoing(f"{self._identity.root}/{topic}", fitting(status.body, limit), JSON)
                code = await connection.publish(message)
                tell_refused_beside(self._health, self._name, self._identity, _JOBS, topic, code)
                if code < REFUSED and status.final:
                    self._port.told(self._name, status)
            await box.bell.wait()


def job_link(
    settings: UplinkSettings, health: Health, identity: Identity, port: JobPort | None, clock: Clock
) -> JobLink | None:
    """None for an uplink that brings no jobs."""
    if port is None or not settings.numbered or not settings.jobs:
        return None
    return JobLink(settings.name, health, identity, settings.jobs, port, clock)


def fitting(body: dict[str, Any], limit: int) -> bytes:
    """The message, without the details that make it longer than `limit` bytes."""
    whole = msgspec.json.encode(body)
    if len(whole) <= limit:
        return whole
    kept = {key: body["detail"][key] for key in ("code", "reason") if key in body["detail"]}
    kept["text"] = f"the details have {len(whole)} bytes, this uplink carries {limit}: `fieldpost jobs` shows them"
    return msgspec.json.encode({**body, "detail": kept})
