"""What a type wants at a place inside it: the words it takes there, and the keys."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from msgspec import inspect

from gateway.settings.positions import Key


def type_at(wanted: Any, steps: Sequence[Key]) -> inspect.Type | None:
    """The type at the end of `steps`; None where that cannot be told."""
    if wanted is None:
        return None
    try:
        found: inspect.Type | None = inspect.type_info(wanted)
    except (TypeError, NotImplementedError):
        return None
    for step in steps:
        found = next((inner for each in _members(found) if (inner := _inside(each, step)) is not None), None)
        if found is None:
            return None
    return found


def words(kind: inspect.Type | None) -> list[str]:
    """The words an enumeration or Literal accepts, or each item of a list of them; empty for other types."""
    found: list[str] = []
    for each in _members(kind):
        item = each.item_type if isinstance(each, inspect.ListType) else each
        if isinstance(item, inspect.LiteralType):
            found += [str(value) for value in item.values]
        elif isinstance(item, inspect.EnumType):
            found += [str(member.value) for member in item.cls if isinstance(member, enum.Enum)]
    return found


def keys(kind: inspect.Type | None) -> list[str]:
    """The keys that a mapping has there; empty where they are free."""
    return [
        field.encode_name for each in _members(kind) if isinstance(each, inspect.StructType) for field in each.fields
    ]


def _members(kind: inspect.Type | None) -> tuple[inspect.Type, ...]:
    if kind is None:
        return ()
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _inside(kind: inspect.Type, step: Key) -> inspect.Type | None:
    if isinstance(step, int):
        if isinstance(kind, inspect.ListType | inspect.VarTupleType):
            return kind.item_type
        return kind.item_types[step] if isinstance(kind, inspect.TupleType) and step < len(kind.item_types) else None
    if isinstance(kind, inspect.StructType):
        return next((field.type for field in kind.fields if field.encode_name == step), None)
    return kind.value_type if isinstance(kind, inspect.DictType) else None


__all__ = ["keys", "type_at", "words"]
