"""Subscriptions with bounds: on what a session and the server hold, and on what one answer carries.

The library looks through all items of a subscription for each one that is changed or deleted, and publishes all that
waits in one answer; with some thousand items each of these stops the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.monitored_item_service import MonitoredItemService
from asyncua.server.subscription_service import SubscriptionService

from drivers.opcua.server import limits

_SLICE = 100
"""Items that are made before others get a turn."""


class PlantItems(MonitoredItemService):  # type: ignore[misc]
    """The items of one subscription, found by their number."""

    def __len__(self) -> int:
        return len(self._monitored_items)

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        made = []
        for start in range(0, len(params.ItemsToCreate), _SLICE):
            part = ua.CreateMonitoredItemsParameters(ItemsToCreate=params.ItemsToCreate[start : start + _SLICE])
            made += await super().create_monitored_items(part)
            await asyncio.sleep(0)
        return made

    def _modify_monitored_item(self, params: ua.MonitoredItemModifyRequest) -> ua.MonitoredItemModifyResult:
        result = ua.MonitoredItemModifyResult()
        item = self._monitored_items.get(params.MonitoredItemId)
        if item is None:
            result.StatusCode = ua.StatusCode(ua.StatusCodes.BadMonitoredItemIdInvalid)
            return result
        wanted = params.RequestedParameters
        item.queue_size = result.RevisedQueueSize = self._revise_queue_size(wanted.QueueSize)
        result.RevisedSamplingInterval = self.isub.data.RevisedPublishingInterval
        if wanted.Filter is not None:
            item.filter = wanted.Filter
        item.client_handle = wanted.ClientHandle
        return result

    def _delete_monitored_items(self, mid: int) -> ua.StatusCode:
        item = self._monitored_items.get(mid)
        if item is None or item.callback_handle is None:  # an event's
            return super()._delete_monitored_items(mid)
        self.aspace.delete_datachange_callback(item.callback_handle)
        self._monitored_datachange.pop(item.callback_handle, None)
        self._monitored_items.pop(mid)
        self.isub.forget(mid)
        return ua.StatusCode()


class PlantSubscription(InternalSubscription):  # type: ignore[misc]
    """A subscription whose answers have a bounded number of values."""

    def __init__(self, data: ua.CreateSubscriptionResult, aspace: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, aspace, *args, **kwargs)
        self.monitored_item_srv: PlantItems = PlantItems(self, aspace)

    def forget(self, mid: int) -> None:
        """What waits of an item that is gone."""
        self._triggered_datachanges.pop(mid, None)

    def _pop_publish_result(self) -> ua.PublishResult:
        result = super()._pop_publish_result()
        result.MoreNotifications = bool(self._publishing_enabled and self._triggered_datachanges)
        return result

    def _pop_triggered_datachanges(self, result: ua.PublishResult) -> None:
        waiting = self._triggered_datachanges
        if not waiting:
            return
        items: list[Any] = []
        while waiting and len(items) < limits.NOTIFICATIONS:
            mid = next(iter(waiting))
            values = waiting.pop(mid)
            room = limits.NOTIFICATIONS - len(items)
            items += values[:room]
            if values[room:]:
                waiting[mid] = values[room:]
        result.NotificationMessage.NotificationData.append(ua.DataChangeNotification(MonitoredItems=items))


class PlantSubscriptions(SubscriptionService):  # type: ignore[misc]
    """All subscriptions of the server. `shortest_ms`: of a publishing interval; `most_items`: of the server."""

    def __init__(self, aspace: Any, iserver: Any, *, shortest_ms: float, most_items: int) -> None:
        super().__init__(aspace, iserver)
        self._shortest_ms = shortest_ms
        self._most_items = most_items

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., Any],
        session_id: ua.NodeId,
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:
        """Raises ServiceError when the session, or the server, has too many."""
        if (
            len(self.of(session_id)) >= limits.SUBSCRIPTIONS
            or len(self.subscriptions) >= self.iserver.max_subscriptions
        ):
            raise ServiceError(ua.StatusCodes.BadTooManySubscriptions)
        result = ua.CreateSubscriptionResult()
        result.RevisedPublishingInterval = self.interval(params.RequestedPublishingInterval)
        result.RevisedLifetimeCount = self._clamp_lifetime_count(params.RequestedLifetimeCount)
        result.RevisedMaxKeepAliveCount = self._clamp_keep_alive_count(params.RequestedMaxKeepAliveCount)
        self._sub_id_counter += 1
        number = result.SubscriptionId = self._sub_id_counter
        made = PlantSubscription(
            result,
            self.aspace,
            callback,
            session_id,
            request_callback=request_callback,
            delete_callback=lambda: self.subscriptions.pop(number, None),
            no_acks_limit=self.iserver.max_unacked_messages_per_subscription,
            max_queue_size=self.iserver.max_monitored_item_queue_size,
            publishing_enabled=params.PublishingEnabled,
        )
        await made.start()
        self.subscriptions[number] = made
        return result

    def interval(self, wanted: float) -> float:
        """Milliseconds between two answers: never faster than changes are told."""
        if not wanted >= self._shortest_ms:  # NaN, too
            return self._shortest_ms
        return min(wanted, limits.LONGEST_MS)

    def of(self, session_id: ua.NodeId) -> list[PlantSubscription]:
        """The subscriptions of a session."""
        return [each for each in self.subscriptions.values() if each.session_id == session_id]

    def room(self, session_id: ua.NodeId, *, named: bool) -> int:
        """How many more items a session may have. Of the server's, half is kept for users with a name."""
        everybody = self._most_items if named else self._most_items // 2
        held = sum(len(each.monitored_item_srv) for each in self.subscriptions.values())
        mine = sum(len(each.monitored_item_srv) for each in self.of(session_id))
        return max(0, min(everybody - held, self._most_items // 2 - mine))
