"""Browse in pieces: an answer has a bounded number of references, the rest is fetched by continuation points."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.address_space import AddressSpace
from msgspec import Struct

from drivers.opcua.server.limits import POINTS, REFERENCES

_SLICE = 1000
"""References that are looked at before others get a turn."""


class _Point(Struct, frozen=True):
    """Where to go on. The references of a node never change while the server runs."""

    what: ua.BrowseDescription
    at: int
    most: int


class Views:
    """What one session browses."""

    def __init__(self, aspace: AddressSpace) -> None:
        self._aspace = aspace
        self._points: dict[bytes, _Point] = {}

    async def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        most = params.RequestedMaxReferencesPerNode or REFERENCES
        return await self._all([_Point(what, 0, min(most, REFERENCES)) for what in params.NodesToBrowse])

    async def browse_next(self, params: ua.BrowseNextParameters) -> list[ua.BrowseResult]:
        points = [self._points.pop(name or b"", None) for name in params.ContinuationPoints]
        if params.ReleaseContinuationPoints:
            return []
        return await self._all(points)

    async def _all(self, points: Sequence[_Point | None]) -> list[ua.BrowseResult]:
        results, room = [], REFERENCES
        kinds: dict[ua.NodeId, frozenset[ua.NodeId]] = {}
        for point in points:
            if point is None:
                invalid = ua.StatusCode(ua.StatusCodes.BadContinuationPointInvalid)
                results.append(ua.BrowseResult(invalid))
                continue
            result = await self._one(point, room, kinds)
            room -= len(result.References)
            results.append(result)
        return results

    async def _one(self, point: _Point, room: int, kinds: dict[ua.NodeId, frozenset[ua.NodeId]]) -> ua.BrowseResult:
        what = point.what
        node = self._aspace.get(what.NodeId)
        if node is None:
            return ua.BrowseResult(ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown))
        wanted = self._kinds(what, kinds)
        result, most = ua.BrowseResult(), min(point.most, room)
        for at in range(point.at, len(node.references)):
            if at % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            reference = node.references[at]
            if not _fits(what, reference, wanted):
                continue
            if len(result.References) >= most:
                result.ContinuationPoint = self._keep(_Point(what, at, point.most))
                break
            result.References.append(reference)
        return result

    def _keep(self, point: _Point) -> bytes:
        name = secrets.token_bytes(8)
        while len(self._points) >= POINTS:
            self._points.pop(next(iter(self._points)))
        self._points[name] = point
        return name

    def _kinds(
        self, what: ua.BrowseDescription, known: dict[ua.NodeId, frozenset[ua.NodeId]]
    ) -> frozenset[ua.NodeId] | None:
        """The types of references that are wanted; None for all."""
        of = what.ReferenceTypeId
        if of.is_null():
            return None
        if not what.IncludeSubtypes:
            return frozenset({of})
        if of not in known:
            if of not in self._aspace:
                raise ServiceError(ua.StatusCodes.BadReferenceTypeIdInvalid)
            known[of] = frozenset(self._with_subtypes(of))
        return known[of]

    def _with_subtypes(self, of: ua.NodeId) -> set[ua.NodeId]:
        subtype = ua.NodeId(ua.ObjectIds.HasSubtype)
        found, left = {of}, [of]
        while left:
            node = self._aspace.get(left.pop())
            for reference in node.references if node is not None else ():
                if reference.IsForward and reference.ReferenceTypeId == subtype and reference.NodeId not in found:
                    found.add(reference.NodeId)
                    left.append(reference.NodeId)
        return found


def _fits(what: ua.BrowseDescription, reference: ua.ReferenceDescription, wanted: frozenset[ua.NodeId] | None) -> bool:
    forward = what.BrowseDirection == ua.BrowseDirection.Forward
    if what.BrowseDirection != ua.BrowseDirection.Both and forward != bool(reference.IsForward):
        return False
    if wanted is not None and reference.ReferenceTypeId not in wanted:
        return False
    return not what.NodeClassMask or bool(what.NodeClassMask & reference.NodeClass)
