"""The Modbus TCP server at work: who may connect, how many at once, for how long in silence."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from drivers.modbus import served
from drivers.modbus.address import classic
from drivers.modbus.server.answers import Answers
from drivers.modbus.server.check import forms_of, status_of
from drivers.modbus.server.layout import STATUS_HEAD, Layout, lay_out
from drivers.modbus.server.points import Point
from drivers.modbus.server.settings import ServerSettings
from gateway.serving.contract import Client, ServerContext

_KEPT = "places"
_SEND_S = 5.0
"""A client that does not take its answer in this time is cut off."""
_FRAME_S = 5.0
"""A request that has begun is there in this time, or the connection is closed."""
_SHAKE_S = 10.0


class ModbusServer:
    """One attempt of a server."""

    def __init__(self) -> None:
        self._open: dict[asyncio.StreamWriter, Client] = {}
        self._layout: Layout | None = None

    async def run(self, ctx: ServerContext) -> None:
        settings: ServerSettings = ctx.settings
        layout = self._layout = _laid_out(ctx, settings)
        began = ctx.clock.mono()
        sentinel = settings.bad == "sentinel"
        answers = Answers(ctx, layout, sentinel=sentinel, life=lambda: ctx.clock.mono() - began)
        allowed = [ipaddress.ip_network(text) for text in settings.clients]

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = writer.get_extra_info("peername")
            host = str(peer[0]) if peer else ""
            if not _may(host, allowed) or len(self._open) >= settings.max_clients:
                ctx.log.warning("a connection of %s is refused: %d are open", host, len(self._open))
                writer.transport.abort()
                return
            self._open[writer] = Client(f"{host}:{peer[1]}" if peer else "", ctx.clock.wall_ms())
            ctx.task_group.create_task(self._serve(ctx, settings, answers, host, reader, writer))

        shake = {"ssl": _tls(ctx, settings.tls), "ssl_handshake_timeout": _SHAKE_S} if settings.tls else {}
        server = await asyncio.start_server(accept, ctx.host, ctx.port, **shake)  # type: ignore[arg-type]
        try:
            ctx.listening()
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()
            for writer in list(self._open):
                writer.transport.abort()

    def clients(self) -> Sequence[Client]:
        return list(self._open.values())

    def map(self) -> Sequence[Mapping[str, Any]]:
        """A row for each tag, in the order of the tables."""
        layout = self._layout
        if layout is None:
            return []
        status = layout.status
        return [_row(point, status.table.value, status.offset) for point in _in_order(layout.points)]

    async def _serve(
        self,
        ctx: ServerContext,
        settings: ServerSettings,
        answers: Answers,
        host: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """One connection to its end: a request at a time, whatever the client sends."""
        who = f"{host} (modbus {ctx.name})"
        units = {settings.unit_id, 0, 255}  # Messaging on TCP/IP V1.0b, 4.4.1.2: 255, and 0 is accepted too
        try:
            while True:
                number, unit, pdu = await _next(reader, float(settings.idle))
                answer = await answers.answer(pdu, who) if unit in units else served.refusal(pdu, served.NO_TARGET)
                writer.write(served.frame(number, unit, answer))
                async with asyncio.timeout(_SEND_S):
                    await writer.drain()
        except (asyncio.IncompleteReadError, OSError):  # gone, silent, or too slow; TimeoutError is an OSError
            pass
        except served.Garbage as garbage:
            ctx.log.info("%s speaks no Modbus: %s", host, garbage)
        except Exception:  # one client's request must not end the others
            ctx.log.exception("a request of %s failed", host)
        finally:
            self._open.pop(writer, None)
            with contextlib.suppress(Exception):
                writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()


async def _next(reader: asyncio.StreamReader, idle_s: float) -> tuple[int, int, bytes]:
    """The next request; a silence between two may last for `idle_s`, one within a request not."""
    async with asyncio.timeout(idle_s) as limit:
        first = await reader.readexactly(1)
        limit.reschedule(asyncio.get_running_loop().time() + _FRAME_S)
        return await served.read_request(reader, strict=True, first=first)


def _may(host: str, allowed: Sequence[Any]) -> bool:
    if not allowed:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in allowed)


def _laid_out(ctx: ServerContext, settings: ServerSettings) -> Layout:
    """The places of all tags, kept for the next start."""
    kept = ctx.memory.get(_KEPT) or {}
    layout = lay_out(forms_of(settings, ctx.offers), kept, status_of(settings))
    if layout.kept != kept:
        ctx.memory.put(_KEPT, layout.kept)
    for name in layout.moved:
        ctx.log.warning("%s has another address now: `map` gave its own to another tag", name)
    return layout


def _tls(ctx: ServerContext, files: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(ctx.base / files["cert"], ctx.base / files["key"])
    if "ca" in files:
        context.load_verify_locations(ctx.base / files["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _in_order(points: Sequence[Point]) -> list[Point]:
    return sorted(points, key=lambda point: (point.table.value, point.first))


def _row(point: Point, table: str, status: int) -> dict[str, Any]:
    form, offer = point.form, point.offer
    return {
        "tag": offer.name,
        "address": point.address.short,
        "classic": classic(point.table, point.first),
        "registers": 0 if point.table.is_bits else form.count,
        "type": form.type.value,
        "word_order": form.order,
        "scale": form.scale,
        "unit": offer.unit,
        "low": offer.range[0] if offer.range else None,
        "high": offer.range[1] if offer.range else None,
        "access": "rw" if point.writable and offer.readable else "w" if point.writable else "r",
        "quality_at": f"{table}/{status + STATUS_HEAD + point.status}",
    }
