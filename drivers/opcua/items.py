"""Subscriptions and monitored items: what is asked of the server, and which nodes it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

from asyncua import ua
from msgspec import Struct

from drivers.opcua import limits
from drivers.opcua.publishing import Publishing, Subscription
from drivers.opcua.refusal import ServerRefused
from drivers.opcua.session import Session
from drivers.opcua.settings import ChannelSettings, TagSettings
from gateway.model import Device, TagSpec
from gateway.transform import RAW

VALUE = 13
_SHORTEST_S = 0.05
_LONGEST_S = 60.0
_MOST_QUEUE = 100
_NO_FILTER = frozenset(
    {
        0x80430000,  # BadMonitoredItemFilterInvalid
        0x80440000,  # BadMonitoredItemFilterUnsupported
        0x80450000,  # BadFilterNotAllowed
        0x808E0000,  # BadDeadbandFilterInvalid
    }
)
POLLABLE = frozenset(
    {
        0x80430000,
        0x80440000,
        0x80410000,  # BadMonitoringModeInvalid
        0x800B0000,  # BadServiceUnsupported
        0x80DB0000,  # BadTooManyMonitoredItems
        0x80770000,  # BadTooManySubscriptions
        0x803D0000,  # BadNotSupported
        0x80400000,  # BadNotImplemented
        0x80030000,  # BadOutOfMemory
        0x80040000,  # BadResourceUnavailable
    }
)
"""Refusals of a subscription or an item that do not speak against reading the node."""


class Wanted(Struct, frozen=True):
    """One item: handle of the tag, its node, seconds between samples, values kept, absolute deadband in raw units."""

    handle: int
    node: Any
    sampling_s: float
    queue: int
    deadband: float | None = None


def interval_of(device: Device, spec: TagSpec) -> float:
    """How often a value of this tag is wanted, seconds."""
    source: TagSettings = spec.source
    if source.sampling is not None:
        return source.sampling
    return (spec.schedule or device.spec.schedule).every_s


def deadband_of(spec: TagSpec) -> float | None:
    """The deadband in the server's units, where the server can apply it."""
    report, raw = spec.report, RAW[spec.type]
    if report.deadband is None or report.deadband <= 0 or raw.bits <= 1:
        return None
    if spec.transform.base is not None or spec.transform.edgex is not None:
        return None
    if spec.transform.mask is not None or spec.transform.shift or spec.source.address.rstrip().endswith("]"):
        return None
    return report.deadband / abs(spec.transform.scale or 1.0)


class Items:
    """Makes the subscriptions of one session."""

    def __init__(self, session: Session, publishing: Publishing, settings: ChannelSettings) -> None:
        self._session = session
        self._publishing = publishing
        self._settings = settings.subscription
        self._ids: dict[int, tuple[Subscription, int]] = {}

    def wanted(self, device: Device, spec: TagSpec, handle: int, node: Any) -> Wanted:
        """What to ask for a tag."""
        every_s = interval_of(device, spec)
        source: TagSettings = spec.source
        queue = source.queue or self._settings.queue
        if queue is None:
            publishing = self._settings.publishing_interval or every_s
            queue = min(max(math.ceil(publishing / every_s) * 2 if every_s > 0 else _MOST_QUEUE, 1), _MOST_QUEUE)
        return Wanted(handle, node, every_s, queue, deadband_of(spec) if self._settings.deadband else None)

    async def add(self, wanted: Sequence[Wanted]) -> dict[int, int]:
        """Monitor these. Returns the status of each handle that is refused. Raises ServerRefused when the server has
        no subscriptions, LinkLost.
        """
        refused: dict[int, int] = {}
        rest = list(wanted)
        while rest:
            subscription = self._with_room() or await self._subscribe(rest)
            room = self._session.bounds.of(limits.SUBSCRIPTION) - subscription.items
            part, rest = rest[:room], rest[room:]
            again: list[Wanted] = []
            for item, code in await self._monitor(subscription, part):
                if code in _NO_FILTER and item.deadband is not None:
                    again.append(Wanted(item.handle, item.node, item.sampling_s, item.queue))
                else:
                    refused[item.handle] = code
            for item, code in await self._monitor(subscription, again):
                refused[item.handle] = code
        return refused

    def _with_room(self) -> Subscription | None:
        most = self._session.bounds.of(limits.SUBSCRIPTION)
        return next((s for s in self._publishing.subscriptions.values() if s.items < most), None)

    async def _subscribe(self, wanted: Sequence[Wanted]) -> Subscription:
        shortest = min((item.sampling_s for item in wanted), default=1.0)
        interval = self._settings.publishing_interval or min(max(shortest, _SHORTEST_S), _LONGEST_S)
        keep_alive = max(round(self._settings.keep_alive / interval), 1)
        request = ua.CreateSubscriptionRequest()
        parameters = request.Parameters
        parameters.RequestedPublishingInterval = interval * 1000
        parameters.RequestedMaxKeepAliveCount = keep_alive
        parameters.RequestedLifetimeCount = max(round(self._settings.lifetime / interval), 3 * keep_alive)
        parameters.MaxNotificationsPerPublish = 0
        parameters.PublishingEnabled = True
        answer = (await self._session.call(request, ua.CreateSubscriptionResponse)).Parameters
        revised = answer.RevisedPublishingInterval / 1000
        silence = revised * max(answer.RevisedMaxKeepAliveCount, 1) * 1.5 + self._session.timeout_s + 1
        now = asyncio.get_running_loop().time()
        subscription = Subscription(answer.SubscriptionId, revised, silence, now)
        self._publishing.subscriptions[subscription.number] = subscription
        return subscription

    async def _monitor(self, subscription: Subscription, wanted: Sequence[Wanted]) -> list[tuple[Wanted, int]]:
        """Create items; those that are refused with their status."""
        refused: list[tuple[Wanted, int]] = []

        async def piece(part: Sequence[Wanted]) -> None:
            request = ua.CreateMonitoredItemsRequest()
            request.Parameters.SubscriptionId = subscription.number
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.Parameters.ItemsToCreate = [_item(each) for each in part]
            answer = await self._session.call(request, ua.CreateMonitoredItemsResponse)
            for each, result in zip(part, answer.Results, strict=True):
                if result.StatusCode.is_good():
                    subscription.items += 1
                    self._ids[each.handle] = (subscription, result.MonitoredItemId)
                else:
                    refused.append((each, result.StatusCode.value))

        await self._session.bounds.cut(limits.ITEMS, wanted, piece)
        return refused

    def has(self, handle: int) -> bool:
        """Whether the server monitors the node of this handle."""
        return handle in self._ids

    async def remove(self, handles: Iterable[int]) -> None:
        """Monitor these no longer. An item that the server has dropped by itself is no error."""
        by_subscription: dict[Subscription, list[int]] = {}
        for handle in handles:
            subscription, number = self._ids.pop(handle)
            by_subscription.setdefault(subscription, []).append(number)
            subscription.items -= 1
        for subscription, numbers in by_subscription.items():
            request = ua.DeleteMonitoredItemsRequest()
            request.Parameters.SubscriptionId = subscription.number
            request.Parameters.MonitoredItemIds = numbers
            with contextlib.suppress(ServerRefused):
                await self._session.call(request, ua.DeleteMonitoredItemsResponse)

    async def events(self, handle: int, node: Any, select: Any) -> None:
        """Monitor the events of a node. Raises ServerRefused."""
        subscription = self._with_room() or await self._subscribe([])
        item = ua.MonitoredItemCreateRequest()
        item.ItemToMonitor.NodeId = node
        item.ItemToMonitor.AttributeId = ua.AttributeIds.EventNotifier
        item.MonitoringMode = ua.MonitoringMode.Reporting
        item.RequestedParameters.ClientHandle = handle
        item.RequestedParameters.SamplingInterval = 0
        item.RequestedParameters.QueueSize = 1000
        item.RequestedParameters.DiscardOldest = True
        item.RequestedParameters.Filter = select
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = subscription.number
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.ItemsToCreate = [item]
        (result,) = (await self._session.call(request, ua.CreateMonitoredItemsResponse)).Results
        if not result.StatusCode.is_good():
            raise ServerRefused(result.StatusCode.value)


def _item(wanted: Wanted) -> Any:
    item = ua.MonitoredItemCreateRequest()
    item.ItemToMonitor.NodeId = wanted.node
    item.ItemToMonitor.AttributeId = ua.AttributeIds.Value
    item.MonitoringMode = ua.MonitoringMode.Reporting
    parameters = item.RequestedParameters
    parameters.ClientHandle = wanted.handle
    parameters.SamplingInterval = wanted.sampling_s * 1000
    parameters.QueueSize = wanted.queue
    parameters.DiscardOldest = True
    if wanted.deadband is not None:
        select = ua.DataChangeFilter()
        select.Trigger = ua.DataChangeTrigger.StatusValue
        select.DeadbandType = ua.DeadbandType.Absolute.value
        select.DeadbandValue = wanted.deadband
        parameters.Filter = select
    return item


__all__ = ["POLLABLE", "VALUE", "Items", "Wanted", "deadband_of", "interval_of"]
