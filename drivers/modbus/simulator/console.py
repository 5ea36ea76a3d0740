"""Runs a simulated device until it is told to stop, and obeys words: from a person's keyboard or a program's socket.

`fault WORDS`, `clear`, `set TAG=VALUE`, `show`, `log [N]`, `help`. The socket takes one line and gives one JSON line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from drivers.modbus.point import PointError
from drivers.modbus.settings import ChannelSettings
from drivers.modbus.simulator.faults import WORDS, Faults, FaultWordError
from drivers.modbus.simulator.image import Image
from drivers.modbus.simulator.server import Server
from drivers.modbus.simulator.unit import Unit
from drivers.modbus.transports import Line, place_of
from gateway.errors import WriteRejected
from gateway.model import ChannelSpec

_STEP_S = 0.5
_MOST_WORDS = 1_000_000
HELP = f"fault {WORDS}\nclear · set TAG=VALUE · show · log [N] · help"


class Desk:
    """What the words do. Units by number."""

    def __init__(self, units: Mapping[int, Unit], faults: Faults) -> None:
        self._units = units
        self._faults = faults

    def obey(self, line: str) -> dict[str, Any]:
        """Do one line; the answer as data with a `text` for people."""
        word, _, rest = line.strip().partition(" ")
        try:
            match word:
                case "fault":
                    self._faults.add(rest)
                    return {"ok": True, "text": f"faults: {', '.join(self._faults.texts)}"}
                case "clear":
                    self._faults.clear()
                    return {"ok": True, "text": "all is well"}
                case "set":
                    return self._set(rest)
                case "show":
                    return {"ok": True, "faults": self._faults.texts, "text": self._show()}
                case "log":
                    return self._log(int(rest or "10"))
                case "help" | "":
                    return {"ok": True, "text": HELP}
        except (FaultWordError, KeyError, ValueError, RecursionError, WriteRejected) as error:
            return {"ok": False, "text": str(error)}
        return {"ok": False, "text": f"{word!r} is no word; {HELP}"}

    def _set(self, text: str) -> dict[str, Any]:
        path, equals, raw = text.partition("=")
        if not equals:
            raise ValueError("write set TAG=VALUE")
        try:
            value = json.loads(raw)
        except ValueError:
            value = raw
        for unit in self._units.values():
            if path.strip() not in unit.image.tags():
                raise ValueError(f"there is no tag {path.strip()}")
            unit.image.set(path.strip(), value)
        return {"ok": True, "text": f"{path.strip()} = {value}"}

    def _show(self) -> str:
        unit = next(iter(self._units.values()))
        faults = ", ".join(self._faults.texts) or "none"
        return f"units {len(self._units)}, tags {len(unit.image.tags())}, requests {self._total()}, faults: {faults}"

    def _total(self) -> int:
        return sum(unit.total for unit in self._units.values())

    def _log(self, count: int) -> dict[str, Any]:
        seen = {
            str(number): [asdict(each) for each in list(unit.seen)[-count:]] for number, unit in self._units.items()
        }
        lines = [f"unit {n}: {row}" for n, rows in seen.items() for row in rows]
        return {"ok": True, "total": self._total(), "requests": seen, "text": "\n".join(lines) or "nothing yet"}


async def simulate(channel: ChannelSpec, options: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    """Serve the devices of `channel` until cancelled. Options: `host`, `port`, `rtu`, `pty`, `line`, `response_s`,
    `static`, `faults`, `sets`, `control`, `stdin`. Raises OSError, and ValueError for words it does not know.
    """
    faults = Faults()
    units = {
        device.settings.unit_id: Unit(
            Image(channel, device, static=bool(options.get("static"))), faults, device.profile
        )
        for device in channel.devices
    }
    desk = Desk(units, faults)
    for line in [
        *(f"fault {text}" for text in options.get("faults", ())),
        *(f"set {t}" for t in options.get("sets", ())),
    ]:
        answer = desk.obey(line)
        if not answer["ok"]:
            raise ValueError(answer["text"])
    server = Server(units, faults, response_s=options.get("response_s", 0.0), line=_line(options.get("line")))
    control = Path(options["control"]) if options.get("control") else None
    async with _served(server, options) as where, _controlled(desk, control), asyncio.TaskGroup() as group:
        numbers = ", ".join(map(str, units))
        tell(f"serving unit{'s' if len(units) > 1 else ''} {numbers} with {len(channel.devices[0].tags)} tags")
        tell(f"in a channel: {where}")
        group.create_task(_move(units))
        if options.get("stdin"):
            group.create_task(_keyboard(desk, tell))
        await asyncio.get_running_loop().create_future()


def _line(text: str | None) -> Line | None:
    """The serial line to take the time of. Raises ValueError."""
    if text is None:
        return None
    try:
        place = place_of(ChannelSettings(serial={"port": "/dev/simulated", "line": text}))
    except PointError as error:
        raise ValueError(str(error)) from None
    assert isinstance(place, Line)
    return place


@contextlib.asynccontextmanager
async def _served(server: Server, options: Mapping[str, Any]) -> AsyncIterator[str]:
    if options.get("pty") is not None:
        link = Path(options["pty"]) if options["pty"] else None
        line = _line(options.get("line") or "9600-8N1")
        assert line is not None
        # A pseudo-terminal takes no parity bit; a second stop bit is as long.
        stop = line.stop if line.parity == "N" else 2
        async with server.pty(link) as port:
            yield f"serial: {{port: {port}, line: {line.baud}-{line.bits}N{stop}}}"
        return
    host, rtu = options.get("host", "127.0.0.1"), bool(options.get("rtu"))
    async with server.tcp(host, options.get("port", 0), rtu=rtu) as port:
        yield f"url: {'rtu+tcp' if rtu else 'tcp'}://{host}:{port}"


async def _move(units: Mapping[int, Unit]) -> None:
    begin = time.monotonic()
    while True:
        await asyncio.sleep(_STEP_S)
        for unit in units.values():
            unit.image.move(time.monotonic() - begin)


async def _keyboard(desk: Desk, tell: Callable[[str], None]) -> None:
    if stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode):  # asyncio waits for pipes and terminals only
        for line in (await asyncio.to_thread(sys.stdin.read, _MOST_WORDS)).splitlines():
            tell(desk.obey(line)["text"])
        return
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in _lines(reader):
        tell(desk.obey(line)["text"])


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines as they come; one without an end is left out piece by piece."""
    while True:
        try:
            line = await reader.readline()
        except ValueError:  # longer than anybody's words; asyncio has dropped what came of it
            continue
        if not line:
            return
        yield line.decode(errors="replace")


@contextlib.asynccontextmanager
async def _controlled(desk: Desk, path: Path | None) -> AsyncIterator[None]:
    """With a socket for programs, where one is wanted."""
    if path is None:
        yield
        return

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            async for line in _lines(reader):
                writer.write(json.dumps(desk.obey(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_unix_server(serve, path)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from None
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - one system call at the end
