"""A gateway.uplink.ports.CommandTable in memory, and a desk over it: for tests without a disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from gateway.clock import Clock
from gateway.uplink.commanddesk import CommandDesk
from gateway.uplink.commandrow import CommandRow

BOOT = "5f0c9a1e"


class MemoryTable:
    """`fail`: what the next puts raise. `puts`: every row that was committed, in order."""

    def __init__(self) -> None:
        self.kept: dict[str, CommandRow] = {}
        self.puts: list[CommandRow] = []
        self.fail: list[Exception] = []

    def rows(self) -> list[CommandRow]:
        return list(self.kept.values())

    def get(self, rid: str) -> CommandRow | None:
        return self.kept.get(rid)

    async def put(self, row: CommandRow, forget: Sequence[str] = ()) -> None:
        if self.fail:
            raise self.fail.pop(0)
        self.puts.append(row)
        for rid in forget:
            self.kept.pop(rid, None)
        self.kept[row.rid] = row

    def told(self, rid: str, uplink: str) -> None:
        row = self.kept[rid]
        self.kept[rid] = replace(row, replies=tuple(each for each in row.replies if each.uplink != uplink))


async def nothing_shown(device: str, tags: Sequence[str]) -> dict[str, Any]:
    return {}


def desk(ops: Any, clock: Clock, table: Any = None, look: Any = nothing_shown, boot: str = BOOT) -> CommandDesk:
    """A desk that has taken up what its table holds."""
    made = CommandDesk(table or MemoryTable(), ops, look, clock, boot)
    made.restore()
    return made
