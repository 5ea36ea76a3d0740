"""A command by id as it is kept: what was asked, whom to answer, and the one final result.

The row is on disk before the command acts and carries all that is needed to answer after a restart.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

QUEUED = "queued"
"""Not final: waits for its turn or is at work. Found after a restart it is not done again."""


class Reply(Struct, frozen=True):
    """Who waits for the result: an uplink (`result/{rid}`), and the response topic of MQTT 5 if it named one."""

    uplink: str
    topic: str | None = None
    correlation: bytes | None = None


class CommandRow(Struct, frozen=True):
    """One known rid. `result` is the final message as JSON, empty until the command has ended; `args` are dropped then.

    `at` and `ended` in UTC ms, `mono_ms` the boot clock at arrival, to be compared within the same `boot` only.
    """

    rid: str
    hash: str
    op: str
    device: str | None
    args: dict[str, Any]
    origin: str
    via: str
    at: int
    mono_ms: int
    boot: str
    exp: int | None = None
    ttl: int | None = None
    state: str = QUEUED
    result: bytes = b""
    ended: int = 0
    ended_mono_ms: int = 0
    ended_boot: str = ""
    replies: tuple[Reply, ...] = ()

    @property
    def final(self) -> bool:
        """Whether the command has ended."""
        return self.state != QUEUED
