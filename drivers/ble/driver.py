"""The Bluetooth LE driver: sessions with an adapter, one after the other, and what the gateway asks of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from drivers.ble import asking
from drivers.ble.address import InGatt
from drivers.ble.advert import Advert, on_air
from drivers.ble.budget import Budget
from drivers.ble.check import keeps
from drivers.ble.failures import failure_of
from drivers.ble.fields import TEXTS
from drivers.ble.patterns import patterns_of
from drivers.ble.scan import Scan, options_of
from drivers.ble.settings import ChannelSettings
from drivers.ble.station import Station, counters
from drivers.ble.strangers import Strangers
from gateway.backoff import Backoff
from gateway.driver import Columns, DriverContext, Frame
from gateway.errors import DeviceUnavailable, LinkLost, PermanentError, WriteRejected
from gateway.model import Device, Tag, Value
from gateway.transform import to_raw

if TYPE_CHECKING:
    from drivers.ble.gatt import Link
    from drivers.ble.radio import Radio

RETRY_FIRST_S = 1.0
RETRY_CAP_S = 30.0
HEALTHY_S = 30.0
DEAF_S = 300.0
"""An adapter that heard something and then nothing for so long is asked anew: some stop without a word."""
_AWAY = "bluetooth_away"
_PASSIVE = "bluetooth_not_passive"
_RESPONSE = {"auto": None, "yes": True, "no": False}
MISSING = "bleak is not installed: pip install 'fieldpost[ble]'"
_running: set[int] = set()
"""Drivers that use bleak now: what it keeps for a process goes with the last."""


class BleDriver:
    """One adapter and its devices. Also Asking, Writer, Scanning, Tracing, Counting."""

    def __init__(self) -> None:
        self._ctx: DriverContext | None = None
        self._counts = counters()
        self._stations: dict[str, Station] = {}
        self._by_address: dict[str, Station] = {}
        self._matching: list[Station] = []
        self._links: dict[str, Link] = {}
        self._strangers = Strangers(self._sighted)
        self._budget: Budget | None = None
        self._scans: list[Scan] = []
        self._listener: Callable[[Frame], None] | None = None
        self._heard_at = 0.0

    # --- life

    async def run(self, ctx: DriverContext) -> NoReturn:
        try:
            from drivers.ble import radio
        except ImportError as error:
            raise PermanentError(f"{MISSING} ({error})") from error
        self._ctx = ctx
        self._budget = Budget(ctx.channel.settings.connections)
        self._stations = {device.id: Station(ctx, device, self._counts) for device in ctx.devices}
        stations = self._stations.values()
        self._by_address = {each.address: each for each in stations if each.address}
        self._matching = [each for each in stations if each.matcher is not None]
        radio.assume_bluez_version()
        _running.add(id(self))
        try:
            for station in stations:
                if station.by_adverts:
                    station.watch()
            await self._sessions(radio)
        finally:
            _running.discard(id(self))
            for station in stations:
                station.close()
            if not _running:
                await radio.leave_bleak()

    async def _sessions(self, radio: Any) -> NoReturn:
        """Sessions for ever; an adapter that is away is asked again with growing pauses."""
        ctx = self._context()
        backoff = Backoff(RETRY_FIRST_S, RETRY_CAP_S)
        while True:
            began = ctx.clock.mono()
            try:
                await self._session(radio.Radio(ctx.clock, self._heard, self._fault))
            except radio.ERRORS as error:
                failure = failure_of(error)
                ctx.issue(_AWAY, f"Bluetooth cannot be used: {failure.text}", failure.repair)
                ctx.link(up=False, why=failure.text)
                for station in self._stations.values():
                    station.deaf(failure.text, at_once=failure.silent)
            if ctx.clock.mono() - began >= HEALTHY_S:
                backoff.reset()
            await ctx.clock.sleep(backoff.next())

    async def _session(self, radio: Radio) -> None:
        """From the adapter's opening to its end. Returns to have it opened anew, raises what radio.ERRORS has."""
        ctx = self._context()
        settings: ChannelSettings = ctx.channel.settings
        patterns = patterns_of(self._stations.values()) if settings.scanning == "passive" else None
        tasks: set[asyncio.Task[None]] = set()
        try:
            refused = await radio.open(settings.adapter, patterns, ctx.task_group)
            self._counts["sessions"] += 1
            self._heard_at = 0.0
            self._tell_up(radio, refused)
            self._open_links(radio, tasks)
            await self._until_gone(radio)
        finally:
            ctx.link(up=False)
            self._links.clear()
            for task in tasks:
                task.cancel()
            try:
                if tasks:
                    await asyncio.wait(tasks)
            finally:
                await radio.close()

    def _tell_up(self, radio: Radio, refused: str) -> None:
        ctx = self._context()
        ctx.link(up=True)
        ctx.clear(_AWAY)
        for station in self._stations.values():
            station.hears()
        if refused:
            text = f"the scan is an active one: {refused}"
            ctx.issue(_PASSIVE, text, "start bluetoothd with --experimental, or write `scanning: active`")
        else:
            ctx.clear(_PASSIVE)
        ctx.log.info("adapter %s scans %s", radio.adapter, "passively" if radio.passive else "actively")

    def _open_links(self, radio: Radio, tasks: set[asyncio.Task[None]]) -> None:
        from drivers.ble.gatt import Link

        ctx = self._context()
        assert self._budget is not None
        stations = [each for each in self._stations.values() if each.settings.kind == "gatt"]
        enough = len(stations) <= ctx.channel.settings.connections
        for station in stations:
            path = f"/org/bluez/{radio.adapter}/dev_{station.address.replace(':', '_')}"
            keep = keeps(station.device.spec) or (enough and station.settings.connect == "auto")
            link = Link(
                ctx, station, self._budget, path,
                keep=keep, counts=self._counts, trace=self._frame, release=radio.release,
            )  # fmt: skip
            self._links[station.device.id] = link
            tasks.add(ctx.task_group.create_task(link.run(), name=f"bluetooth {station.device.id}"))

    async def _until_gone(self, radio: Radio) -> None:
        """Wait for the session's end. Raises BluetoothAway; returns when the adapter has gone deaf."""
        clock = self._context().clock
        ended = asyncio.Event()
        gone = self._context().task_group.create_task(_pass_on(radio.gone, ended))
        try:
            while True:
                timer = clock.call_later(DEAF_S / 5, ended.set)
                await ended.wait()
                timer.cancel()
                if radio.gone.is_set():
                    raise radio.why_gone()
                ended.clear()
                if self._heard_at and clock.mono() - self._heard_at > DEAF_S:
                    self._context().log.warning("nothing was heard for %g s: the scan begins anew", DEAF_S)
                    return
        finally:
            gone.cancel()
            await asyncio.wait({gone})

    # --- adverts

    def _heard(self, advert: Advert) -> None:
        self._counts["adverts"] += 1
        self._heard_at = advert.mono
        station = self._station_of(advert)
        said = ""
        if station is None:
            self._counts["unknown_devices"] += advert.address not in self._strangers
            self._strangers.heard(advert)
        else:
            said = station.heard(advert)
            if (link := self._links.get(station.device.id)) is not None:
                link.seen()
        for scan in self._scans:
            scan.hear(advert)
        if self._listener is not None:
            self._frame(Frame(advert.ts, False, on_air(advert), f"{advert.address} {advert.rssi} dBm {said}".rstrip()))

    def _station_of(self, advert: Advert) -> Station | None:
        station = self._by_address.get(advert.address)
        if station is None:
            station = next((each for each in self._matching if each.matcher is not None and each.matcher(advert)), None)
        return station

    def _fault(self, error: Exception) -> None:
        self._counts["faults"] += 1
        self._context().log.error("an advert", exc_info=error)

    def _sighted(self, sighting: Any) -> None:
        self._context().sighted(sighting)

    # --- what the gateway asks

    async def ask(self, device: Device, tags: Sequence[Tag]) -> Sequence[Columns]:
        """Read now what has a connection; of adverts what was heard last."""
        station = self._stations[device.id]
        addresses = asking.addresses_of(station, tags)
        over = asking.in_gatt(tags, addresses)
        rows: list[tuple[Value, int]] = []
        if over:
            link = self._link(device)
            rows = await self._in_time(link.do(lambda connection: link.read_tags(connection, over)))
        now, read = self._context().clock.wall_ms(), iter(rows)
        answers = [
            (*next(read), now) if isinstance(address, InGatt) else asking.heard_last(station, tag, address)
            for tag, address in zip(tags, addresses, strict=True)
        ]
        return asking.columns(answers)

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        """Write one field of a characteristic."""
        (address,) = asking.addresses_of(self._stations[device.id], [tag])
        if not isinstance(address, InGatt):
            raise WriteRejected(f"{tag.name}: adverts cannot be written", code=403)
        raw = value if address.field.kind in TEXTS else to_raw(tag.spec, value)
        if isinstance(raw, str) and address.field.kind == "bytes":
            raw = _hex(tag, raw)
        try:
            if not address.field.offset and address.field.low is None:
                address.field.write(raw, b"")  # type: ignore[arg-type]
        except ValueError as error:
            raise WriteRejected(f"{tag.name}: {error}", code=422) from error
        link, response = self._link(device), _RESPONSE[tag.spec.source.response]
        await self._in_time(link.do(lambda connection: link.write_tag(connection, address, raw, response)))

    async def _in_time(self, request: Any) -> Any:
        """Give up a little before the gateway would: then the reason is told."""
        limit = self._context().channel.timeout_s * 1.9
        try:
            async with asyncio.timeout(limit):
                return await request
        except TimeoutError as error:
            text = f"no connection and answer within {limit:g} s: give the channel a longer `timeout`"
            raise DeviceUnavailable(text) from error

    def _link(self, device: Device) -> Link:
        link = self._links.get(device.id)
        if link is None:
            raise LinkLost("Bluetooth is away")
        return link

    async def scan(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """What was heard lately and what is heard now."""
        scan = Scan(options_of(options), self._context().clock, self._describe)
        before = [each.last for each in self._stations.values() if each.last is not None] + self._strangers.adverts()
        self._scans.append(scan)
        try:
            async for row in scan.findings(before):
                yield row
        finally:
            self._scans.remove(scan)

    def _describe(self, advert: Advert) -> tuple[str, dict[str, Any] | None]:
        """Device id and values of a configured device."""
        station = self._station_of(advert)
        if station is None:
            return "", None
        last = [(tag.path, station.reporter.last(i)) for i, tag in enumerate(station.device.tags)]
        return station.device.id, {path: known[0][1] for path, known in last if known is not None} or None

    def trace(self, listener: Callable[[Frame], None] | None) -> None:
        """Adverts and values of characteristics as frames."""
        self._listener = listener

    def owns_frame(self, device: Device, frame: Frame) -> bool:
        station = self._stations.get(device.id)
        return station is not None and bool(station.address) and frame.text.startswith(station.address)

    def counters(self) -> Mapping[str, int]:
        merged = sum(station.reporter.merged for station in self._stations.values())
        connected = self._budget.used if self._budget is not None else 0
        return {**self._counts, "merged": merged, "connected": connected, "strangers": len(self._strangers)}

    def _frame(self, frame: Frame) -> None:
        if self._listener is not None:
            self._listener(frame)

    def _context(self) -> DriverContext:
        if self._ctx is None:
            raise RuntimeError("the driver has no context yet: call run first")
        return self._ctx


async def _pass_on(event: asyncio.Event, to: asyncio.Event) -> None:
    await event.wait()
    to.set()


def _hex(tag: Tag, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise WriteRejected(f"{tag.name}: {text!r} are no hex digits", code=422) from None
