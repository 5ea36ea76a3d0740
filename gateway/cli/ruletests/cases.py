"""A test of rules as values, checked against the configuration that it is for."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.model import Tag, Value


class Reading(Struct, frozen=True):
    """A reading that a step gives. `quality` as in gateway.model.Quality."""

    tag: Tag
    value: Value
    quality: int


class Order(Struct, frozen=True):
    """What a step does to an alarm. `key`: its name as written; `seconds`: how long it is shelved."""

    what: str
    key: str
    seconds: float = 0.0


class Expected(Struct, frozen=True):
    """An effect that must have come. `wanted`: fields that a line of outcomes must have, `shown`: as it was written."""

    wanted: dict[str, Any]
    shown: str
    line: int


class Wanted(Struct, frozen=True):
    """A value that a tag must have now; `quality` empty: any that is good."""

    tag: Tag
    value: Value
    quality: str
    line: int


class Step(Struct, frozen=True):
    """A moment of a test, ms from its start. `expect` None: nothing is asked here, () nothing may have come.

    `clock`: UTC ms that the wall clock is set to at that moment.
    """

    at: int
    line: int
    clock: int | None = None
    readings: tuple[Reading, ...] = ()
    orders: tuple[Order, ...] = ()
    expect: tuple[Expected, ...] | None = None
    ordered: bool = False
    values: tuple[Wanted, ...] = ()


class Case(Struct, frozen=True):
    """One test. `start`: UTC ms of its beginning. `only`: ids of the rules and alarms that it is about; empty: all."""

    file: str
    name: str
    line: int
    start: int
    steps: tuple[Step, ...]
    only: frozenset[str] = frozenset()
