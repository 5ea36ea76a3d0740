"""What is done on one connection: subscribe, poll, retry what is refused, and what is asked for meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from drivers.opcua import events, methods, writing
from drivers.opcua.address import Address, parse
from drivers.opcua.browsing import browse
from drivers.opcua.check import address_of
from drivers.opcua.decoding import unix_ms
from drivers.opcua.feed import Feed
from drivers.opcua.items import POLLABLE, VALUE, Items, interval_of
from drivers.opcua.nodes import Namespaces, Resolver, Unresolved
from drivers.opcua.polls import Polls
from drivers.opcua.publishing import Publishing
from drivers.opcua.refusal import ServerRefused
from drivers.opcua.session import Session
from drivers.opcua.settings import ChannelSettings, DeviceSettings
from drivers.opcua.status import is_bad, quality_of, words
from drivers.opcua.types import load_types
from drivers.opcua.values import converter
from gateway.backoff import Backoff
from gateway.driver import Columns, DriverContext
from gateway.errors import DeviceUnavailable, LinkLost
from gateway.model import Device, Tag, Value, ValueType

_RETRY_FIRST_S = 2.0
_RETRY_CAP_S = 120.0
_FRESH_EVERY_S = 1.0
_UNKNOWN = 0x80340000  # BadNodeIdUnknown
_MOST_NODES = 10_000
"""Node ids kept for tags that are asked for and not configured."""


class Work:
    """One connection at work."""

    def __init__(
        self,
        ctx: DriverContext,
        session: Session,
        feed: Feed,
        namespaces: Namespaces,
        answered: Callable[[], None],
    ) -> None:
        self.session = session
        self._ctx = ctx
        self._settings: ChannelSettings = ctx.channel.settings
        self._feed = feed
        self._answered = answered
        self._before = (feed.values, feed.overflows)
        self._resolver = Resolver(session, namespaces)
        self._publishing = Publishing(session, feed, heard=self._heard, events=self._event)
        self._items = Items(session, self._publishing, self._settings)
        self._polls = Polls(session, feed, self._heard)
        self._bad: dict[int, int] = {}
        self._nodes: dict[Address, Any] = {}
        self._devices = {device.id: device for device in ctx.devices}
        self._known_tags = frozenset(feed.tags)
        self._fresh_at = 0.0
        self._events: dict[int, str] = {}
        self._writer = writing.NodeWriter(session)
        self._methods = methods.Methods(session, self._resolver)
        self._publish_from = asyncio.Event()
        self._begun = asyncio.Event()

    def parts(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Everything that goes on by itself; each for ever. The first that raises LinkLost is the end of all."""
        return (self._run(), self._publish(), self._polls.run(), self._retry())

    async def _run(self) -> None:
        if self._wants_types():
            await load_types(self.session)
        await self._begin()
        self._begun.set()
        await asyncio.Event().wait()

    async def _begin(self) -> None:
        self._feed.forget_polls()
        for device in self._ctx.devices:
            self._ctx.online(device.id)
        self._feed.forget_failures()
        tags = [tag for tag in self._feed.tags if not tag.spec.on_demand]
        await self._start(self._feed.handle(tag) for tag in tags)
        await self._start_events()

    async def _start(self, handles: Iterable[int]) -> None:
        """Get values of these tags from now on; what is refused is told and tried again later."""
        tags = {handle: self._feed.tags[handle] for handle in handles}
        found = await self._resolver.resolve({self._address(tag) for tag in tags.values()})
        items, polled = [], []
        for handle, tag in tags.items():
            node = found[self._address(tag)]
            if isinstance(node, Unresolved):
                self._refuse(handle, node.code, str(node))
                continue
            self._nodes[self._address(tag)] = node
            device = self._devices[tag.device]
            if self._settings.read == "poll":
                polled.append((handle, node, interval_of(device, tag.spec)))
            else:
                items.append(self._items.wanted(device, tag.spec, handle, node))
        refused = await self._subscribe(items)
        for item in items:
            code = refused.get(item.handle)
            if code is None:
                self._bad.pop(item.handle, None)
            elif self._settings.read == "auto" and code in POLLABLE:
                tag = tags[item.handle]
                polled.append((item.handle, item.node, interval_of(self._devices[tag.device], tag.spec)))
            else:
                self._refuse(item.handle, code)
        for handle, _, _ in polled:
            self._bad.pop(handle, None)
        if polled:
            self._polls.add(polled)

    async def _subscribe(self, items: Sequence[Any]) -> dict[int, int]:
        if not items:
            return {}
        try:
            refused = await self._items.add(items)
        except ServerRefused as error:
            return {item.handle: error.code for item in items}
        except DeviceUnavailable as error:
            raise LinkLost(str(error)) from error
        if self._publishing.subscriptions:
            self._publish_from.set()
        return refused

    def _refuse(self, handle: int, code: int, why: str = "") -> None:
        self._bad[handle] = code
        self._feed.fail(handle, code, why)

    async def _publish(self) -> None:
        await self._publish_from.wait()
        await self._publishing.run()

    async def _retry(self) -> None:
        """A node that is not there may come: all that are missing are asked for again, later and later."""
        await self._begun.wait()
        backoff = Backoff(_RETRY_FIRST_S, _RETRY_CAP_S)
        while True:
            await asyncio.sleep(max(backoff.next(), _RETRY_FIRST_S / 2))
            try:
                await self._release_vanished()
            except DeviceUnavailable as error:
                raise LinkLost(str(error)) from error
            if not self._bad:
                backoff.reset()
                continue
            before = len(self._bad)
            try:
                if await self.session.refresh_namespaces():
                    self._resolver.namespaces.now(self.session.namespaces)
                await self._start(list(self._bad))
            except LinkLost:
                raise
            except (ServerRefused, DeviceUnavailable):
                continue
            if len(self._bad) < before:
                backoff.reset()

    async def _release_vanished(self) -> None:
        """Nodes that were there and are gone (a controller got a new program) are missing like any other from now on:
        the item of a node that comes back under its old name stays silent on many servers.
        """
        gone, self._feed.vanished = {h for h in self._feed.vanished if self._items.has(h)}, set()
        if gone:
            await self._items.remove(gone)
            self._bad.update(dict.fromkeys(gone, _UNKNOWN))
            for handle in gone:
                self._nodes.pop(self._address(self._feed.tags[handle]), None)

    def _heard(self) -> None:
        """Something came: what the devices show is true now."""
        self._answered()
        now = self._ctx.clock.mono()
        if now - self._fresh_at >= _FRESH_EVERY_S:
            self._fresh_at = now
            for device in self._ctx.devices:
                self._ctx.fresh(device.id)

    # --- what is asked for

    async def ask(self, device: Device, tags: Sequence[Tag]) -> list[Columns]:
        """Values of these tags now, each with its source time: one Columns for each moment."""
        addresses = [self._address(tag, device) for tag in tags]
        nodes = await self._known(addresses)
        moments: dict[int, tuple[list[int], list[Value], list[int]]] = {}
        places = [place for place, node in enumerate(nodes) if not isinstance(node, Unresolved)]

        def note(place: int, value: Value, code: int, ticks: int) -> None:
            index, values, codes = moments.setdefault(unix_ms(ticks) if ticks else 0, ([], [], []))
            index.append(place)
            values.append(value)
            codes.append(code)

        def tell(number: int, kind: int, value: Any, status: int, ticks: int) -> None:
            place = places[number]
            shown, code, why = None, quality_of(status), words(status)
            if not is_bad(status):
                convert = converter(tags[place].spec, addresses[place].selectors)
                shown, found, wrong = convert(kind, value)
                code, why = max(code, found), wrong or why
            note(place, shown, code, ticks)
            if tags[place] in self._known_tags:
                self._ctx.explain(tags[place], why)

        for place, node in enumerate(nodes):
            if isinstance(node, Unresolved):
                note(place, None, quality_of(node.code), 0)
        await self.session.read([nodes[place] for place in places], VALUE, tell)
        return [
            Columns(values, codes if any(codes) else None, index, ms if ms > 0 else None)
            for ms, (index, values, codes) in moments.items()
        ]

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        """Raises WriteRejected, RequestRefused, DeviceUnavailable."""
        address = self._address(tag, device)
        node = _node(*await self._known([address]))
        await self._writer.write(node, address, tag, value)

    async def call(self, device: Device, method: str, args: Mapping[str, Any]) -> Any:
        """Raises WriteRejected, RequestRefused, DeviceUnavailable."""
        return await self._methods.call(self._settings, device.spec.settings, method, args)

    def browse(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """The tree below a node."""
        return browse(self.session, self._resolver, options)

    async def _known(self, addresses: Sequence[Address]) -> list[Any]:
        missing = {address for address in addresses if address not in self._nodes}
        found = await self._resolver.resolve(missing) if missing else {}
        for address, node in found.items():
            if not isinstance(node, Unresolved) and len(self._nodes) < _MOST_NODES + len(self._feed.tags):
                self._nodes[address] = node
        return [self._nodes.get(address) or found[address] for address in addresses]

    def _address(self, tag: Tag, device: Device | None = None) -> Address:
        settings: DeviceSettings = (device or self._devices[tag.device]).spec.settings
        return address_of(self._settings, settings, tag.spec.source)

    def _wants_types(self) -> bool:
        """Whether the server's own structures must be known: reading their descriptions takes a while."""
        return any(
            tag.spec.type is ValueType.OBJECT or any(isinstance(s, str) for s in self._address(tag).selectors)
            for tag in self._feed.tags
        )

    # --- events

    async def _start_events(self) -> None:
        for number, device in enumerate(self._ctx.devices):
            settings: DeviceSettings = device.spec.settings
            if settings.events is None:
                continue
            handle = len(self._feed.tags) + number
            address = parse(settings.events.source, root=settings.root)
            try:
                node = _node(*await self._known([address]))
                await self._items.events(handle, node, events.event_filter(settings.events.severity))
            except ServerRefused as error:
                self._ctx.issue("opcua_no_events", f"the server tells no events of {address}: {error}", "", device.id)
                continue
            self._ctx.clear("opcua_no_events", device.id)
            self._events[handle] = device.id
            self._publish_from.set()

    def _event(self, found: Any) -> None:
        for handle, what, fields in events.told(found):
            device = self._events.get(handle)
            if device is not None:
                self._ctx.event(device, what, fields)

    # --- numbers

    @property
    def bad_nodes(self) -> int:
        return len(self._bad)

    def counters(self) -> dict[str, int]:
        """What happened on this connection."""
        values, overflows = self._before
        return {
            "notifications": self._publishing.messages,
            "keep_alives": self._publishing.keep_alives,
            "values": self._feed.values - values,
            "overflows": self._feed.overflows - overflows,
            "lost_messages": self._publishing.gaps,
            "poll_rounds": self._polls.rounds,
            "late_polls": self._polls.late,
        }


def _node(found: Any) -> Any:
    """A node id. Raises ServerRefused where an address leads to none."""
    if isinstance(found, Unresolved):
        raise ServerRefused(found.code, str(found))
    return found
