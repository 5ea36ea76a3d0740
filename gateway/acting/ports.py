"""What an action is, and the doors through which one reaches the world. The composition root implements the doors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from gateway.model import Value, WriteResult
from gateway.rulebook import Step


class Action(Protocol):
    """A step of a rule that is due. Values and texts are resolved (gateway.rulebook.Step says which kind has what)."""

    @property
    def seq(self) -> int: ...

    @property
    def rule(self) -> str: ...

    @property
    def edge(self) -> str: ...

    @property
    def step(self) -> Step: ...

    @property
    def values(self) -> tuple[tuple[str, Value], ...]:
        """Full tag names and values."""
        ...

    @property
    def text(self) -> str: ...

    @property
    def dry_run(self) -> bool:
        """Told, not done."""
        ...


class Writes(Protocol):
    """The one way of every write (gateway.commands.Commands)."""

    async def write(
        self, values: Mapping[str, object], *, origin: str, via: str, rid: str = "", deadline_s: float = ...
    ) -> list[WriteResult]: ...


class Doors(Protocol):
    """The other ways. Each raises GatewayError for what is not done, with a `code` where it has one."""

    async def desire(self, device: str, values: dict[str, Any], who: str) -> None:
        """Set desired values of a device's shadow; returns when they are on disk."""
        ...

    async def command(self, op: str, device: str, args: dict[str, Any], who: str, within_s: float) -> dict[str, Any]:
        """Serve an op (`device` empty: without one) and give the body of its result."""
        ...

    async def publish(self, uplink: str, topic: str, payload: bytes, *, retain: bool, expiry_s: float) -> None:
        """Returns when the broker has it. `uplink` empty: the first."""
        ...

    def notify(self, to: Sequence[str], text: str, who: str) -> Sequence[str]:
        """Hand a message to notifications; which of them do not take it, and why not."""
        ...


OK, REJECTED, FAILED, SUPERSEDED, EXPIRED, DRY_RUN = "ok", "rejected", "failed", "superseded", "expired", "dry_run"
"""States of an action that has ended; the first five are those of a write."""


class Outcome(Struct, frozen=True):
    """How an action ended. `code` as in protocol.md 1.3."""

    state: str = OK
    code: int = 200
    text: str = ""
