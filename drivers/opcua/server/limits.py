"""How much one client may ask for at once, and hold: one request must not keep the devices waiting.

The library takes a request apart, answers it and puts the answer together in one go, in the loop that polls the
devices. So the items of a request are counted before it is taken apart (`count`), and heavy requests of all clients
take turns (`Turns`). What is announced is in the standard's OperationLimits (OPC 10000-5, 6.3.11).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from msgspec import Struct

READ = 1000
WRITE = 200
BROWSE = 100
ITEMS = 500
PATHS = 100
REGISTER = 500
CALLS = 10
FEW = 100
"""Of what nobody needs many: subscriptions of one call, acknowledgements."""
REFERENCES = 500
"""References in one answer to Browse; the rest is fetched by continuation points."""
POINTS = BROWSE
"""Continuation points of a session; the oldest go first."""
NOTIFICATIONS = 500
"""In one answer to Publish; the rest comes with the next."""
SUBSCRIPTIONS = 20
"""Of one session."""
QUEUE = 100
"""Values that wait for one monitored item."""
LONGEST_MS = 3_600_000.0
LIGHT = 20
"""A request of so few items does not wait for its turn."""
_BYTES = 128 * 1024
"""The longest request, but for writes: arrays within arrays are not counted."""
_LONGEST_PAUSE_S = 0.1

ANNOUNCED = {
    "MaxNodesPerRead": READ,
    "MaxNodesPerWrite": WRITE,
    "MaxNodesPerBrowse": BROWSE,
    "MaxMonitoredItemsPerCall": ITEMS,
    "MaxNodesPerTranslateBrowsePathsToNodeIds": PATHS,
    "MaxNodesPerRegisterNodes": REGISTER,
    "MaxNodesPerMethodCall": CALLS,
}


class Shape(Struct, frozen=True):
    """A request's array of items: how many there may be, and how many bytes of fixed size stand before it. A negative
    `before`: a View stands before them, too.
    """

    most: int
    before: int = 0
    bytes: int = _BYTES


def _request(name: str) -> ua.NodeId:
    return ua.NodeId(getattr(ua.ObjectIds, f"{name}Request_Encoding_DefaultBinary"))


BROWSE_NEXT = _request("BrowseNext")
SHAPES = {
    _request("Read"): Shape(READ, 12),  # MaxAge, TimestampsToReturn
    _request("Write"): Shape(WRITE, bytes=4 << 20),
    _request("Browse"): Shape(BROWSE, -4),  # View, RequestedMaxReferencesPerNode
    BROWSE_NEXT: Shape(BROWSE, 1),  # ReleaseContinuationPoints
    _request("TranslateBrowsePathsToNodeIds"): Shape(PATHS, bytes=32 * 1024),
    _request("RegisterNodes"): Shape(REGISTER),
    _request("UnregisterNodes"): Shape(REGISTER),
    _request("Call"): Shape(CALLS),
    _request("CreateMonitoredItems"): Shape(ITEMS, 8),  # SubscriptionId, TimestampsToReturn
    _request("ModifyMonitoredItems"): Shape(ITEMS, 8),
    _request("DeleteMonitoredItems"): Shape(ITEMS, 4),
    _request("SetMonitoringMode"): Shape(ITEMS, 8),
    _request("SetPublishingMode"): Shape(FEW, 1),
    _request("DeleteSubscriptions"): Shape(FEW),
    _request("TransferSubscriptions"): Shape(FEW),
    _request("Publish"): Shape(1000),
}
_OTHER = Shape(0)
UNSERVED = frozenset(
    _request(name) for name in ("AddNodes", "DeleteNodes", "AddReferences", "DeleteReferences", "HistoryRead")
)
HEAVY = frozenset(SHAPES) - {_request(name) for name in ("Write", "Call", "Publish")}
"""What is done at once; a write waits for its device."""


def count(typeid: ua.NodeId, body: Any) -> int:
    """Items of a request whose header was taken off. Raises ServiceError where there are too many, or bytes."""
    if typeid in UNSERVED:
        raise ServiceError(ua.StatusCodes.BadServiceUnsupported)
    shape = SHAPES.get(typeid, _OTHER)
    found = 0 if shape is _OTHER else _count(shape, body.copy())
    if found > shape.most:
        raise ServiceError(ua.StatusCodes.BadTooManyOperations)
    if len(body) > shape.bytes:
        raise ServiceError(ua.StatusCodes.BadRequestTooLarge)
    return found


def _count(shape: Shape, body: Any) -> int:
    try:
        if shape.before < 0:
            ua.ua_binary.nodeid_from_binary(body)
            body.read(8 + 4)  # the rest of the View: Timestamp, ViewVersion
        body.read(abs(shape.before))
        return int(struct.unpack("<i", body.read(4))[0])
    except Exception as error:  # the library's own reader has many ways to fail
        raise ServiceError(ua.StatusCodes.BadDecodingError) from error


class Turns:
    """Heavy requests of all clients one after the other, with a pause as long as each took: the gateway's devices have
    half of the time.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        async with self._lock:
            began = loop.time()
            try:
                yield
            finally:
                await asyncio.sleep(min(loop.time() - began, _LONGEST_PAUSE_S))
