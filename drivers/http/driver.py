"""The driver: connect, plan, read, write, close; browse and trace. What is sent and understood stands beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from drivers.http.answers import Decoder, parsed
from drivers.http.browsing import items, wanted
from drivers.http.client import Client
from drivers.http.settings import ChannelSettings, DeviceSettings, TagSettings, Tls
from drivers.http.target import below, target_of
from drivers.http.wire import pinned
from drivers.http.writing import sending
from gateway.clock import Clock
from gateway.driver import Columns, DriverContext, Frame, PollingDriver, Request
from gateway.errors import BadFrame, LinkLost, PermanentError, RequestRefused
from gateway.model import Block, Device, Tag, Value
from gateway.tls import TlsSettings, client_context


class Asked(Struct, frozen=True):
    """The detail of a request: a path below the server, and what its answer means."""

    path: str
    decoder: Decoder
    device: str


class HttpDriver(PollingDriver):
    """One server on one connection."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._base = ""
        self._clock: Clock | None = None
        self._devices: dict[str, int] = {}
        self._roots: list[tuple[str, str]] = []
        self._listener: Callable[[Frame], None] | None = None
        self._unit = -1
        self._ctx: DriverContext
        self._why: dict[str, str] = {}
        """By tag: why it has no value, as it was told."""

    async def connect(self, ctx: DriverContext) -> None:
        self._ctx = ctx
        settings: ChannelSettings = ctx.channel.settings
        target = target_of(settings.url)
        context = None
        if target.scheme == "https":
            try:
                context = client_context(_files(settings.tls))
            except (OSError, ValueError) as error:  # files that are not there, or are none; an SSLError is an OSError
                raise PermanentError(f"tls: {error}") from error
            if settings.fingerprint:
                context = pinned(context)
        if any(tag.spec.source.regex for device in ctx.devices for tag in device.tags):
            import regex  # noqa: F401 - here, so that a plan need not wait for it

        self._base, self._clock = target.base, ctx.clock
        self._devices = {device.id: number for number, device in enumerate(ctx.devices)}
        self._roots = _roots(ctx.devices)
        self._client = Client(target, settings, context, ctx.channel.timeout_s)
        self._client.listener = self._heard
        await self._client.connect()

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def plan(self, device: Device, tags: Sequence[Tag]) -> Sequence[Request]:
        """Tags of one path are one request; another place of the time makes another one, as it has one time only."""
        settings: DeviceSettings = device.spec.settings
        groups: dict[tuple[str, str], list[Tag]] = {}
        for tag in tags:
            source: TagSettings = tag.spec.source
            time = settings.time if source.time is None else source.time
            groups.setdefault((source.path, time), []).append(tag)
        requests = []
        for (path, time), together in groups.items():
            asked = Asked(below(settings.base, path), Decoder(together, settings, time), device.id)
            text = f"GET {asked.path}" + (f", time at {time}" if time else "")
            requests.append(Request(Block(device.id, together), asked, text))
        return requests

    async def read(self, request: Request) -> Columns:
        asked: Asked = request.detail
        answer = await self._at(asked.device).get(self._base + asked.path)
        try:
            columns = asked.decoder.columns(answer)
        except BadFrame as error:
            raise BadFrame(f"{request.text}: {error}") from error
        if columns.quality is not None or self._why:
            self._explain(asked.decoder)
        return columns

    def _explain(self, decoder: Decoder) -> None:
        """Tell what is new of the reasons why tags have no value."""
        for tag, why in decoder.reasons():
            if self._why.get(tag.name, "") != why:
                self._why[tag.name] = why
                self._ctx.explain(tag, why)
            if not why:
                self._why.pop(tag.name, None)

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        made = sending(tag, value)
        settings: DeviceSettings = device.spec.settings
        path = self._base + below(settings.base, made.path)
        await self._at(device.id).send(made.method, path, made.body, made.content_type)

    def describe(self, request: Request) -> Mapping[str, Any]:
        asked: Asked = request.detail
        return {"method": "GET", "path": asked.path, "tags": [tag.path for tag in request.block.tags]}

    def counters(self) -> Mapping[str, int]:
        return dict(self._client.counts) if self._client is not None else {}

    async def browse(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """The leaves of the answers at the paths that the channel's tags have, or of the one at `at`."""
        look = wanted(options)
        for base, path in [("", look.at)] if look.at else self._roots:
            try:
                answer = await self._at("").get(self._base + below(base, path))
                document = parsed(answer.body)
            except (RequestRefused, BadFrame) as error:
                yield {"address": below(base, path), "name": path, "path": path, "kind": "refused", "text": str(error)}
                continue
            for item in items(path, document, look):
                yield item

    def trace(self, listener: Callable[[Frame], None] | None) -> None:
        self._listener = listener

    def owns_frame(self, device: Device, frame: Frame) -> bool:
        return frame.unit == self._devices.get(device.id, -2)

    def _at(self, device: str) -> Client:
        if self._client is None:
            raise LinkLost("not connected")
        self._unit = self._devices.get(device, -1)
        return self._client

    def _heard(self, sending: bool, data: bytes, text: str) -> None:
        if self._listener is not None and self._clock is not None:
            self._listener(Frame(self._clock.wall_ms(), sending, data, text, self._unit))


def _roots(devices: Sequence[Device]) -> list[tuple[str, str]]:
    """Bases and paths of the tags, each once."""
    found = {(device.spec.settings.base, tag.spec.source.path): None for device in devices for tag in device.tags}
    return list(found) or [("", "/")]


def _files(tls: Tls | None) -> TlsSettings | None:
    if tls is None:
        return None
    files = {"ca": tls.ca, "cert": tls.cert, "key": tls.key}
    return TlsSettings(**{key: Path(file) for key, file in files.items() if file})
