"""A release is fetched by a process of its own (gateway.ota.fetch): started, watched and answered here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from gateway.errors import GatewayError

_SILENCE_S = 20 * 60.0
"""Longer than all attempts for one file and their pauses."""
_END_S = 5.0
_MOST_LINE = 1 << 16
_KEPT_ENV = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "OTA_KILL_AT")


class Plan(Struct, frozen=True):
    """What would be fetched: `bytes` of it; `installed`: what it needs unpacked. `slot` is empty for a driver."""

    plan: str
    version: str
    slot: str
    urgency: str
    installed: int
    bytes: int
    runtime: bool = True


class Parts(Protocol):
    """Brings files in parts, over MQTT."""

    async def fetch(self, name: str, offset: int, count: int) -> tuple[list[bytes], int]:
        """Parts that follow each other from `offset`, at most `count`, and the file's size; -1 where there is no such
        file. Raises GatewayError when nothing comes.
        """
        ...

    async def close(self) -> None:
        """Nothing more is fetched."""
        ...


MOST_WRONG = 3
"""So often a file may come other than it was signed: a line or a proxy damages it now and then, a repository always."""


class FetchFailed(GatewayError):
    """Not all of it came. `reason` as of ReleaseRefused, or `system`; `file`: what came other than it was signed."""

    def __init__(self, reason: str, text: str, file: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        self.file = file


class Fetching:
    """One process. `may` is told the plan before anything large comes, and raises to end it; `progress` gets bytes and
    of how many. `parts` answers for files where the order has no address.
    """

    def __init__(
        self,
        order: Mapping[str, Any],
        may: Callable[[Plan], Awaitable[None]],
        progress: Callable[[int, int], Awaitable[None]],
        parts: Parts | None = None,
    ) -> None:
        self._order = order
        self._may = may
        self._progress = progress
        self._parts = parts

    async def run(self) -> None:
        """Until all of it is in the inbox. Raises FetchFailed, and what `may` raises. The process ends with it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-m", "gateway.ota.fetch",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_MOST_LINE,
            env={name: os.environ[name] for name in _KEPT_ENV if name in os.environ},
        )  # fmt: skip
        try:
            await self._talk(process)
        finally:
            await asyncio.shield(_end(process))

    async def _talk(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        await _write(process.stdin, json.dumps(self._order).encode() + b"\n")
        while True:
            try:
                async with asyncio.timeout(_SILENCE_S):
                    line = await process.stdout.readline()
            except TimeoutError:
                raise FetchFailed("link", f"nothing came for {_SILENCE_S / 60:.0f} min") from None
            except ValueError:
                raise FetchFailed("system", "the process that fetches says what cannot be read") from None
            if not line:
                raise FetchFailed("system", "the process that fetches ended before it was done")
            if await self._heard(_row(line), process.stdin):
                return

    async def _heard(self, row: Mapping[str, Any], to: asyncio.StreamWriter) -> bool:
        """One line of the process; whether it was the last."""
        if "ok" in row:
            if not row["ok"]:
                raise FetchFailed(str(row.get("reason")), str(row.get("text")), str(row.get("file", "")))
            return True
        if "plan" in row:
            await self._may(msgspec.convert(row, Plan))
            await _write(to, b"go\n")
        elif "want" in row:
            await _write(to, await self._answer(row))
        else:
            await self._progress(int(row["bytes"]), int(row["total"]))
        return False

    async def _answer(self, row: Mapping[str, Any]) -> bytes:
        """A line about the parts that follow it (gateway/ota/sources.py reads them)."""
        parts, total, failed = list[bytes](), -1, "there is no other way to fetch it"
        if self._parts is not None:
            try:
                parts, total = await self._parts.fetch(str(row["want"]), int(row["offset"]), int(row["count"]))
                failed = ""
            except GatewayError as error:
                failed = str(error)
        head = {"sizes": [len(part) for part in parts], "total": total, "failed": failed}
        return json.dumps(head).encode() + b"\n" + b"".join(parts)


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise FetchFailed("system", "the process that fetches says what cannot be read")
    return row


async def _write(to: asyncio.StreamWriter, content: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # why it ended is read, or that it did
        to.write(content)
        await to.drain()


async def _end(process: asyncio.subprocess.Process) -> None:
    """It ends by itself when its input does; else it is killed."""
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        try:
            async with asyncio.timeout(_END_S if process.stdout is not None and process.stdout.at_eof() else 0.2):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
