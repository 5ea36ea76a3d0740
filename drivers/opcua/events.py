"""Events and alarms of a server as entries of the event stream (OPC 10000-5, 6.4; OPC 10000-9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from asyncua import ua

from drivers.opcua.values import Mismatch, jsonable

_BASE = 2041  # BaseEventType
_FIELDS: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("type", _BASE, ("EventType",)),
    ("id", _BASE, ("EventId",)),
    ("node", _BASE, ("SourceNode",)),
    ("source", _BASE, ("SourceName",)),
    ("time", _BASE, ("Time",)),
    ("message", _BASE, ("Message",)),
    ("severity", _BASE, ("Severity",)),
    ("condition", 2782, ("ConditionName",)),
    ("retain", 2782, ("Retain",)),
    ("enabled", 2782, ("EnabledState", "Id")),
    ("acknowledged", 2881, ("AckedState", "Id")),
    ("confirmed", 2881, ("ConfirmedState", "Id")),
    ("active", 2915, ("ActiveState", "Id")),
)


def event_filter(severity: int) -> Any:
    """Which fields are wanted, of events from this severity on."""
    found = ua.EventFilter()
    for _, kind, path in _FIELDS:
        found.SelectClauses.append(_operand(kind, path))
    if severity > 1:
        element = ua.ContentFilterElement()
        element.FilterOperator = ua.FilterOperator.GreaterThanOrEqual
        limit = ua.LiteralOperand(Value=ua.Variant(severity, ua.VariantType.UInt16))
        element.FilterOperands = [_operand(_BASE, ("Severity",)), limit]
        found.WhereClause.Elements.append(element)
    return found


def _operand(kind: int, path: tuple[str, ...]) -> Any:
    operand = ua.SimpleAttributeOperand()
    operand.TypeDefinitionId = ua.NodeId(kind)
    operand.BrowsePath = [ua.QualifiedName(name) for name in path]
    operand.AttributeId = ua.AttributeIds.Value
    return operand


def told(notification: Any) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(client handle, what, fields) of each event of a notification. Fields that an event has not are left out."""
    for event in notification.Events or ():
        fields: dict[str, Any] = {}
        for (name, _, _), variant in zip(_FIELDS, event.EventFields, strict=False):
            try:
                value = jsonable(variant.Value)
            except Mismatch:
                continue
            if value is not None:
                fields[name] = value
        what = "alarm" if "active" in fields or "condition" in fields else "event"
        yield event.ClientHandle, what, fields


__all__ = ["event_filter", "told"]
