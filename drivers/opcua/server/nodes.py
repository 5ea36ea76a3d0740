"""The address space: a folder for each device, folders for the levels of tag paths, a variable for each tag.

Node ids are texts of namespace 1, `pump.bearing1/temp`, and stay as long as the tag has its name. Reads call back for
the latest value, so that a tag that nobody watches costs nothing; what is watched is told of changes.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AttributeValue
from asyncua.server.internal_server import InternalServer

from drivers.opcua.server.values import data_value, variant_type
from gateway.serving.contract import Offer, ServerContext, Shown

NAMESPACE = 1
_ADMIN = User(role=UserRole.Admin)
_SLICE = 50
"""Tags that are made, or told of, before others get a turn."""
_READ, _WRITE = 1, 2  # AccessLevel, OPC 10000-3, 8.57
_UNITS = "http://www.opcfoundation.org/UA/units/un/cefact"


class Nodes:
    """The nodes of a server's offers."""

    def __init__(self, ctx: ServerContext, iserver: InternalServer) -> None:
        self._ctx = ctx
        self._iserver = iserver
        self._folders: set[str] = set()
        self._types = [variant_type(offer) for offer in ctx.offers]
        self._watched: list[AttributeValue] = []
        self._told: list[Shown | None] = [None] * len(ctx.offers)
        self.places: dict[ua.NodeId, int] = {}
        """Place of a tag by its node."""

    async def build(self) -> None:
        """Make all nodes."""
        for start in range(0, len(self._ctx.offers), _SLICE):
            for place in range(start, min(start + _SLICE, len(self._ctx.offers))):
                self._make(place, self._ctx.offers[place])
            await asyncio.sleep(0)

    async def tell(self, places: Iterable[int]) -> None:
        """Tell whoever watches that these tags have news."""
        for count, place in enumerate(places):
            if count % _SLICE == 0:
                await asyncio.sleep(0)
            callbacks = self._watched[place].datachange_callbacks
            if not callbacks:
                self._told[place] = None
                continue
            shown = self._ctx.current(place)
            if shown == self._told[place]:
                continue
            self._told[place] = shown
            value = self._value(place)
            for handle, callback in list(callbacks.items()):
                await callback(handle, value)

    def knows(self, node_id: ua.NodeId) -> bool:
        """Whether there is such a node at all."""
        return node_id in self._iserver.aspace

    def rows(self) -> Sequence[dict[str, Any]]:
        """A row for each tag."""
        return [
            {
                "tag": offer.name,
                "node_id": f"ns={NAMESPACE};s={offer.name}",
                "type": kind.name,
                "unit": offer.unit,
                "low": offer.range[0] if offer.range else None,
                "high": offer.range[1] if offer.range else None,
                "access": "rw" if offer.writable and offer.readable else "w" if offer.writable else "r",
            }
            for offer, kind in zip(self._ctx.offers, self._types, strict=True)
        ]

    def _make(self, place: int, offer: Offer) -> None:
        node_id = ua.NodeId(offer.name, NAMESPACE)
        levels = offer.path.split("/")
        parent = self._folder(offer.device, levels[:-1])
        analog = ua.ObjectIds.AnalogItemType if offer.range is not None else ua.ObjectIds.BaseDataVariableType
        self._add(node_id, levels[-1], parent, _variable(offer, self._types[place]), ua.ObjectIds.HasComponent, analog)
        if offer.range is not None:
            span = ua.Range(Low=float(offer.range[0]), High=float(offer.range[1]))
            self._property(node_id, offer, "EURange", span, ua.ObjectIds.Range)
        if offer.unit:
            unit = ua.EUInformation(_UNITS, -1, ua.LocalizedText(offer.unit), ua.LocalizedText(offer.unit))
            self._property(node_id, offer, "EngineeringUnits", unit, ua.ObjectIds.EUInformation)
        self._iserver.set_attribute_value_callback(node_id, lambda _node, _attribute: self._value(place))
        self._watched.append(self._iserver.aspace[node_id].attributes[ua.AttributeIds.Value])
        self.places[node_id] = place

    def _value(self, place: int) -> ua.DataValue:
        return data_value(self._ctx.current(place), self._types[place], dt.datetime.now(dt.UTC))

    def _folder(self, device: str, levels: Sequence[str]) -> ua.NodeId:
        """The folder of a tag. Its id ends with a stroke below the device, where a tag may have the same name."""
        parent = ua.NodeId(ua.ObjectIds.ObjectsFolder)
        for depth in range(len(levels) + 1):
            name = levels[depth - 1] if depth else device
            text = f"{device}.{'/'.join(levels[:depth])}/" if depth else device
            node_id = ua.NodeId(text, NAMESPACE)
            if text not in self._folders:
                self._folders.add(text)
                attributes = ua.ObjectAttributes(DisplayName=ua.LocalizedText(name), EventNotifier=0)
                self._add(node_id, name, parent, attributes, ua.ObjectIds.Organizes, ua.ObjectIds.FolderType)
            parent = node_id
        return parent

    def _property(self, parent: ua.NodeId, offer: Offer, name: str, value: Any, data_type: int) -> None:
        attributes = ua.VariableAttributes(
            DisplayName=ua.LocalizedText(name),
            Value=ua.Variant(value, ua.VariantType.ExtensionObject),
            DataType=ua.NodeId(data_type),
            ValueRank=ua.ValueRank.Scalar,
            AccessLevel=_READ,
            UserAccessLevel=_READ,
        )
        node_id = ua.NodeId(f"{offer.name}#{name}", NAMESPACE)
        self._add(node_id, name, parent, attributes, ua.ObjectIds.HasProperty, ua.ObjectIds.PropertyType, namespace=0)

    def _add(
        self,
        node_id: ua.NodeId,
        name: str,
        parent: ua.NodeId,
        attributes: Any,
        reference: int,
        of_type: int,
        namespace: int = NAMESPACE,
    ) -> None:
        is_variable = isinstance(attributes, ua.VariableAttributes)
        item = ua.AddNodesItem(
            ParentNodeId=parent,
            ReferenceTypeId=ua.NodeId(reference),
            RequestedNewNodeId=node_id,
            BrowseName=ua.QualifiedName(name, namespace),
            NodeClass=ua.NodeClass.Variable if is_variable else ua.NodeClass.Object,
            NodeAttributes=attributes,
            TypeDefinition=ua.NodeId(of_type),
        )
        for result in self._iserver.node_mgt_service.add_nodes([item], _ADMIN):
            result.StatusCode.check()


def _variable(offer: Offer, kind: ua.VariantType) -> ua.VariableAttributes:
    access = (_READ if offer.readable else 0) | (_WRITE if offer.writable else 0)
    return ua.VariableAttributes(
        DisplayName=ua.LocalizedText(offer.path.rpartition("/")[2]),
        Description=ua.LocalizedText(offer.name),
        Value=ua.Variant(None, ua.VariantType.Null),
        DataType=ua.NodeId(kind.value),
        ValueRank=ua.ValueRank.Scalar,
        AccessLevel=access,
        UserAccessLevel=access,
        MinimumSamplingInterval=0.0,
    )
