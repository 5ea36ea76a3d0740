"""Writes: the tag's value as a value of the node's own type."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from asyncua import ua

from drivers.opcua.address import Address, Selector
from drivers.opcua.refusal import ServerRefused
from drivers.opcua.session import Session
from drivers.opcua.status import is_bad
from drivers.opcua.values import KINDS, SPANS, Mismatch, fields_of
from gateway.errors import WriteRejected
from gateway.model import Tag, Value, ValueType
from gateway.objects import from_text
from gateway.transform import RAW, to_raw

_DATA_TYPE, _VALUE, _RANK = 14, 13, 15
_STRUCTURE = 22
_UNPROCESSABLE = 422
_FLOAT32_MOST = 3.4028234663852886e38


class NodeWriter:
    """Writes of one connection. The type of each node is asked for once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kinds: dict[Any, tuple[int, bool]] = {}

    async def write(self, node: Any, address: Address, tag: Tag, value: Value) -> None:
        """Write one tag. An element of an array or a field of a structure is put into the value as it is read just
        before. Raises WriteRejected, ServerRefused, DeviceUnavailable.
        """
        wanted = raw_of(tag, value)
        kind, is_array = await self._kind(node)
        if address.selectors or kind == _STRUCTURE:
            kind, current = await self._current(node)
            is_array = isinstance(current, list)
            try:
                wanted = merged(current, address.selectors, wanted, kind)
            except Mismatch as error:
                raise WriteRejected(f"{tag.path}: {error}", code=_UNPROCESSABLE) from error
        else:
            wanted = coerced_or_rejected(tag.path, kind, wanted, is_array=is_array)
        await self._put(node, kind, wanted, is_array=is_array)

    async def _put(self, node: Any, kind: int, value: Any, *, is_array: bool) -> None:
        item = ua.WriteValue()
        item.NodeId = node
        item.AttributeId = ua.AttributeIds.Value
        # no status and no times: many servers refuse to have those written
        item.Value = ua.DataValue(ua.Variant(value, ua.VariantType(kind), is_array=is_array))
        request = ua.WriteRequest()
        request.Parameters.NodesToWrite = [item]
        answer = await self._session.call(request, ua.WriteResponse)
        code = answer.Results[0].value
        if is_bad(code):
            raise ServerRefused(code)

    async def _kind(self, node: Any) -> tuple[int, bool]:
        """Built-in type and whether it is an array. Raises ServerRefused."""
        known = self._kinds.get(node)
        if known is not None:
            return known
        ((_, kind, status),) = await self._session.values([node], _DATA_TYPE)
        if is_bad(status):
            raise ServerRefused(status)
        ((_, rank, _),) = await self._session.values([node], _RANK)
        number = kind.Identifier if kind.NamespaceIndex == 0 and isinstance(kind.Identifier, int) else 0
        if 1 <= number <= _STRUCTURE and number in KINDS:
            found = (number, isinstance(rank, int) and rank >= 0)
        else:  # a subtype (Duration, an enumeration) or any number: what it holds now tells
            now, value = await self._current(node)
            found = (now, isinstance(value, list))
        self._kinds[node] = found
        return found

    async def _current(self, node: Any) -> tuple[int, Any]:
        ((kind, value, status),) = await self._session.values([node], _VALUE)
        if is_bad(status):
            raise ServerRefused(status, "its value is needed for the write and cannot be read")
        if kind == 0:
            raise WriteRejected("the node has no value yet, so its type is not known", code=_UNPROCESSABLE)
        return kind, value


def raw_of(tag: Tag, value: Value) -> Any:
    """The value that the server shall have, still in the tag's type. Raises WriteRejected."""
    spec = tag.spec
    if spec.type is ValueType.OBJECT:
        try:
            return from_text(value) if isinstance(value, str) else value
        except ValueError as error:
            raise WriteRejected(f"{tag.path}: {error}", code=_UNPROCESSABLE) from error
    if RAW[spec.type].bits == 0:
        return value
    return to_raw(spec, value)


def coerced_or_rejected(what: str, kind: int, value: Any, *, is_array: bool) -> Any:
    """A value for a type. Raises WriteRejected."""
    try:
        return coerced_all(kind, value, is_array=is_array)
    except Mismatch as error:
        raise WriteRejected(f"{what}: {error}", code=_UNPROCESSABLE) from error


def coerced_all(kind: int, value: Any, *, is_array: bool) -> Any:
    """A scalar, or each element of an array (of arrays). Raises Mismatch."""
    if not is_array:
        return coerced(kind, value)
    if not isinstance(value, list | tuple):
        raise Mismatch(f"{value!r} is no list, and the node is an array")
    return [coerced_all(kind, each, is_array=isinstance(each, list)) for each in value]


def coerced(kind: int, value: Any) -> Any:
    """A scalar of a built-in type. Raises Mismatch."""
    name = KINDS.get(kind, str(kind))
    if isinstance(value, list | dict):
        raise Mismatch(f"{value!r} is no {name}")
    if kind in SPANS:
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        low, high = SPANS[kind]
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise Mismatch(f"{value!r} does not fit {name} ({low} to {high})")
        return number
    if kind == 1:
        if isinstance(value, bool) or value in {0, 1}:
            return bool(value)
        raise Mismatch(f"{value!r} is no {name}")
    if kind in {10, 11}:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Mismatch(f"{value!r} is no {name}")
        if kind == 10 and abs(value) > _FLOAT32_MOST:
            raise Mismatch(f"{value!r} does not fit {name}")
        return float(value)
    return _special(kind, name, value)


def _special(kind: int, name: str, value: Any) -> Any:
    """Texts, times, bytes and names."""
    try:
        if kind == 13:
            return _moment(value)
        if kind == 15:
            return bytes(value) if isinstance(value, bytes) else b64decode(value, validate=True)
        if not isinstance(value, str):
            raise Mismatch(f"{value!r} is no {name}")
        if kind in {12, 16}:
            return value if kind == 12 else ua.XmlElement(value)
        if kind == 14:
            return uuid.UUID(value)
        if kind in {17, 18}:
            return ua.NodeId.from_string(value)
        if kind == 20:
            return ua.QualifiedName(value)
        if kind == 21:
            return ua.LocalizedText(value)
    except (ValueError, TypeError, ua.UaError) as error:
        raise Mismatch(f"{value!r} is no {name}: {error}") from error
    raise Mismatch(f"a {name} cannot be written")


def _moment(value: Any) -> dt.datetime:
    """UTC ms, or an ISO text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return dt.datetime.fromtimestamp(value / 1000, dt.UTC)
    if isinstance(value, str):
        found = dt.datetime.fromisoformat(value)
        return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    raise Mismatch(f"{value!r} is no time: write UTC ms or 2026-01-31T12:00:00Z")


def merged(current: Any, selectors: Sequence[Selector], value: Any, kind: int) -> Any:
    """`current` with `value` where the selectors lead. A map changes the fields that it names. Raises Mismatch."""
    if not selectors:
        return _shaped(current, value, kind)
    first, rest = selectors[0], selectors[1:]
    if isinstance(first, int):
        if not isinstance(current, list) or first >= len(current):
            size = len(current) if isinstance(current, list) else 0
            raise Mismatch(f"there is no element [{first}]: the value has {size}")
        changed = list(current)
        changed[first] = merged(changed[first], rest, value, kind)
        return changed
    if first not in fields_of(current):
        raise Mismatch(f"there is no field {first}")
    return dataclasses.replace(current, **{first: merged(getattr(current, first), rest, value, 0)})


def _shaped(current: Any, value: Any, kind: int) -> Any:
    """A value in the shape of the one that is there now."""
    names = fields_of(current)
    if names:
        if not isinstance(value, dict):
            raise Mismatch(f"{value!r} is no map, and the node is a structure")
        unknown = [name for name in value if name not in names]
        if unknown:
            raise Mismatch(f"the structure has no field {unknown[0]}; it has {', '.join(names)}")
        changes = {name: _shaped(getattr(current, name), each, 0) for name, each in value.items()}
        return dataclasses.replace(current, **changes)
    if isinstance(current, list):
        if not isinstance(value, list):
            raise Mismatch(f"{value!r} is no list")
        like = current[0] if current else None
        return [_shaped(like, each, kind) if like is not None else each for each in value]
    if kind and kind != _STRUCTURE:
        return coerced(kind, value)
    return _as(current, value)


def _as(current: Any, value: Any) -> Any:
    """A field's value in the type of the one that is there: a structure's fields do not say theirs."""
    if isinstance(current, bool):
        return coerced(1, value)
    if isinstance(current, float):
        return coerced(11, value)
    if isinstance(current, int):
        number = coerced(8, value)
        return type(current)(number)
    if isinstance(current, dt.datetime):
        return coerced(13, value)
    if isinstance(current, bytes):
        return coerced(15, value)
    if isinstance(current, ua.LocalizedText):
        return coerced(21, value)
    return value


__all__ = ["NodeWriter", "coerced", "coerced_all", "merged", "raw_of"]
