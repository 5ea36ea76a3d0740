"""A client's session: what it writes goes through the gateway's commands, and what it holds has bounds."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User
from asyncua.server.internal_session import InternalSession

from drivers.opcua.server.views import Views

Write = Callable[[ua.WriteParameters, User, str], Awaitable[list[ua.StatusCode]]]
"""Does the writes of a client: what, who, and the address it comes from."""
_SLICE = 100
"""Nodes that are read before others get a turn."""
_INVALID = ua.StatusCodes.BadSubscriptionIdInvalid


class PlantSession(InternalSession):  # type: ignore[misc]
    """A session. Other sessions' subscriptions are none of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made = time.monotonic()
        self.peer_certificate: bytes | None = None
        self.done: Write | None = None
        self._views = Views(self.aspace)
        if self.external:  # who knows the token can bring the session to another connection
            self.iserver.unregister_external_session(self)
            self.auth_token = ua.NodeId(secrets.token_bytes(32), 0, ua.NodeIdType.ByteString)
            self.iserver.register_external_session(self)

    @property
    def host(self) -> str:
        return str(self.name[0]) if isinstance(self.name, tuple) else ""

    def activate_session(
        self, params: ua.ActivateSessionParameters, peer_certificate: bytes | None
    ) -> ua.ActivateSessionResult:
        """Raises ServiceError when there are too many clients without a name: some room is kept for users."""
        named = isinstance(params.UserIdentityToken, ua.UserNameIdentityToken)
        if not named and not self.is_activated() and self.iserver.nameless() >= self.iserver.most_nameless:
            raise ServiceError(ua.StatusCodes.BadTooManySessions)
        return super().activate_session(params, peer_certificate)

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        if self.done is None:
            return list(await super().write(params))
        return await self.done(params, self.user, self.host)

    async def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        found: list[ua.DataValue] = []
        for start in range(0, len(params.NodesToRead), _SLICE):
            if start:
                await asyncio.sleep(0)
            part = ua.ReadParameters(NodesToRead=params.NodesToRead[start : start + _SLICE])
            found += await super().read(part)
        return found

    async def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        return await self._views.browse(params)

    async def browse_next(self, parameters: ua.BrowseNextParameters) -> list[ua.BrowseResult]:
        return await self._views.browse_next(parameters)

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        """Those that find room; the others are refused one by one."""
        self._check(params.SubscriptionId)
        items = params.ItemsToCreate
        room = self.subscription_service.room(self.session_id, named=self.user.name is not None)
        params.ItemsToCreate = items[:room]
        made = await super().create_monitored_items(params)
        full = ua.StatusCode(ua.StatusCodes.BadTooManyMonitoredItems)
        return [*made, *(ua.MonitoredItemCreateResult(full) for _ in items[room:])]

    async def modify_monitored_items(
        self, params: ua.ModifyMonitoredItemsParameters
    ) -> list[ua.MonitoredItemModifyResult]:
        self._check(params.SubscriptionId)
        return list(await super().modify_monitored_items(params))

    async def delete_monitored_items(self, params: ua.DeleteMonitoredItemsParameters) -> list[ua.StatusCode]:
        self._check(params.SubscriptionId)
        return list(await super().delete_monitored_items(params))

    async def set_monitoring_mode(self, params: ua.SetMonitoringModeParameters) -> list[ua.StatusCode]:
        self._check(params.SubscriptionId)
        return list(await super().set_monitoring_mode(params))

    def modify_subscription(self, params: ua.ModifySubscriptionParameters) -> ua.ModifySubscriptionResult:
        self._check(params.SubscriptionId)
        return super().modify_subscription(params)

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        self._check(params.SubscriptionId)
        return super().republish(params)

    def publish(self, acks: Iterable[ua.SubscriptionAcknowledgement] | None = None) -> tuple[int, list[ua.StatusCode]]:
        """The library's, with the number of this session's subscriptions, not of all."""
        mine = {each.data.SubscriptionId for each in self.subscription_service.of(self.session_id)}
        if not mine:
            raise ServiceError(ua.StatusCodes.BadNoSubscription)
        codes = []
        for ack in acks or ():
            if ack.SubscriptionId in mine:
                self.subscription_service.subscriptions[ack.SubscriptionId].publish([ack.SequenceNumber])
            codes.append(ua.StatusCode(ua.StatusCodes.Good if ack.SubscriptionId in mine else _INVALID))
        return len(mine), codes

    async def set_publishing_mode(self, params: ua.SetPublishingModeParameters) -> list[ua.StatusCode]:
        for number in params.SubscriptionIds:
            self._check(number)
        return list(await super().set_publishing_mode(params))

    async def delete_subscriptions(self, ids: list[int]) -> list[ua.StatusCode]:
        mine = [number for number in dict.fromkeys(ids) if self._has(number)]
        codes = dict(zip(mine, await super().delete_subscriptions(mine), strict=True))
        return [codes.pop(number, ua.StatusCode(_INVALID)) for number in ids]

    async def transfer_subscriptions(
        self, params: ua.TransferSubscriptionsParameters, callback: Callable[..., Any]
    ) -> list[ua.TransferResult]:
        """Subscriptions of a session of the same user and certificate (OPC 10000-4, 5.14.7)."""
        return [await self._transfer(int(number), callback) for number in params.SubscriptionIds]

    async def _transfer(self, number: int, callback: Callable[..., Any]) -> ua.TransferResult:
        subscription = self.subscription_service.subscriptions.get(number)
        owner = None if subscription is None else self.iserver.session_of(subscription.session_id)
        if owner is None or (owner.user.name, owner.peer_certificate) != (self.user.name, self.peer_certificate):
            return ua.TransferResult(StatusCode=ua.StatusCode(_INVALID))
        one = ua.TransferSubscriptionsParameters([number])
        (result,) = await super().transfer_subscriptions(one, callback)
        return result

    def _has(self, number: int) -> bool:
        found = self.subscription_service.subscriptions.get(number)
        return found is not None and bool(found.session_id == self.session_id)

    def _check(self, number: int) -> None:
        if not self._has(number):
            raise ServiceError(_INVALID)
