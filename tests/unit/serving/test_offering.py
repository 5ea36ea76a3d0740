"""What a server offers of a tag, and how it is told of changes."""

from __future__ import annotations

import asyncio

import pytest

from gateway.model import Access, ChannelSpec, DeviceSpec, Schedule, TagSpec, Transform, ValueType
from gateway.serving.context import Changes
from gateway.serving.contract import BOOL, BYTES, FLOAT, INT, OBJECT, TEXT
from gateway.serving.offering import Choice, offers_of


def spec(type: ValueType, **words) -> TagSpec:
    return TagSpec("t", type, source=None, **words)


def offered(tag: TagSpec, choice: Choice | None = None):
    channel = ChannelSpec("line", "sim", None, (DeviceSpec("d", None, (tag,), Schedule(1.0)),))
    return offers_of(choice or Choice(), [channel])


@pytest.mark.parametrize(
    ("tag", "kind", "span"),
    [
        (spec(ValueType.BOOL), BOOL, (0, 0)),
        (spec(ValueType.UINT16), INT, (0, 65535)),
        (spec(ValueType.INT16), INT, (-32768, 32767)),
        (spec(ValueType.BCD16), INT, (0, 9999)),
        (spec(ValueType.INT16, transform=Transform(scale=-10, offset=5)), INT, (-327665, 327685)),
        (spec(ValueType.UINT16, wrap=65536), INT, (0, 2**63 - 1)),
        (spec(ValueType.UINT16, transform=Transform(scale=0.1)), FLOAT, (0, 0)),
        (spec(ValueType.UINT16, scale_from="factor"), FLOAT, (0, 0)),
        (spec(ValueType.FLOAT32), FLOAT, (0, 0)),
        (spec(ValueType.STRING), TEXT, (0, 0)),
        (spec(ValueType.BYTES), BYTES, (0, 0)),
        (spec(ValueType.OBJECT), OBJECT, (0, 0)),
    ],
)
def test_the_kind_of_a_tags_values_follows_from_its_settings(tag, kind, span):
    (offer,) = offered(tag)
    assert (offer.kind, (offer.low, offer.high)) == (kind, span)


def test_a_tag_that_can_only_be_written_is_offered_to_those_who_may_write_it():
    tag = spec(ValueType.BOOL, access=Access.WRITE)
    assert offered(tag) == ()
    (offer,) = offered(tag, Choice(write=("d.t",)))
    assert (offer.readable, offer.writable) == (False, True)


def test_a_tag_that_nobody_can_write_is_not_writable_here():
    (offer,) = offered(spec(ValueType.BOOL), Choice(write=("*.*",)))
    assert (offer.readable, offer.writable) == (True, False)


async def test_changes_are_told_once_each_however_often_they_came():
    changes = Changes(3)
    assert await changes.take() == [0, 1, 2]
    changes.add([2, 1])
    changes.add([2])
    changes.add([])
    assert await changes.take() == [1, 2]
    waiting = asyncio.create_task(changes.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    changes.add([0])
    assert await waiting == [0]
