"""Profiles of MQTT devices without a broker: messages as a case gives them, through formats, paths and words.

`given`: `messages`, a list of `{topic, json | text | hex | msgpack | cbor}`; `~/x` is below the device's topic;
without a topic it is the device's own. The last value of each tag counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from drivers.mqtt.driver import maps_of
from drivers.mqtt.formats import BadPayload, decoder
from drivers.mqtt.mapping import TopicMap
from drivers.mqtt.point import PointError, below, points_of
from drivers.mqtt.topics import is_wild, matches
from drivers.mqtt.trace import MOST
from gateway.driver import Frame
from gateway.errors import PermanentError
from gateway.fake_context import FakeContext
from gateway.model import Access, ChannelSpec, Value
from gateway.rehearsal import GivenError, Place, Played, Rehearsal

_FORM = "messages: [{topic: ~/state, json: {temperature: 21.5}}]"
_PAYLOADS = ("json", "text", "hex", "msgpack", "cbor")


def rehearsal() -> Rehearsal:
    """Of this driver."""
    return Rehearsal({"url": "mqtt://127.0.0.1"}, {"topic": "device"}, play, places, recall)


def play(channel: ChannelSpec, given: Mapping[str, Any]) -> Played:
    """The last value of each tag after these messages."""
    context = FakeContext(channel)
    (device,) = context.devices
    maps = maps_of(channel.settings, device, context)
    found: dict[str, tuple[Value, int]] = {}
    for number, row in enumerate(_rows(given)):
        place = ("messages", number)
        if not isinstance(row, dict):
            raise GivenError(place, "a message is a mapping", _FORM)
        topic = _topic(device.spec.settings.topic, row, place)
        payload = _payload(row, place)
        takers = [each for each in maps if matches(each.filter, topic)]
        if not takers:
            raise GivenError((*place, "topic"), f"no tag is at the topic {topic}", _filters(maps))
        for taker in takers:
            _take(taker, payload, place, found)
    return Played(found)


def _take(taker: TopicMap, payload: bytes, place: tuple[str | int, ...], found: dict[str, tuple[Value, int]]) -> None:
    try:
        columns = list(taker.columns(decoder(taker.format)(payload), 0, "good"))
    except RuntimeError as error:
        raise PermanentError(str(error)) from error
    except (BadPayload, ValueError) as error:
        raise GivenError(place, f"the payload cannot be read: {error}") from error
    for each in columns:
        index = each.index if each.index is not None else range(len(each.values))
        codes = each.quality if each.quality is not None else [0] * len(each.values)
        for i, value, code in zip(index, each.values, codes, strict=True):
            found[taker.block.tags[i].path] = (value, code)


def _rows(given: Mapping[str, Any]) -> list[Any]:
    for key in given:
        if key != "messages":
            raise GivenError((key,), f"`{key}` is not known here", _FORM)
    rows = given.get("messages", [])
    if not isinstance(rows, list):
        raise GivenError(("messages",), "`messages` is a list", _FORM)
    return rows


def _topic(own: str, row: dict[str, Any], place: tuple[str | int, ...]) -> str:
    written = row.get("topic", own)
    try:
        topic = below(own, str(written))
    except PointError as error:
        raise GivenError((*place, "topic"), str(error), error.hint) from error
    if not topic or is_wild(topic):
        raise GivenError((*place, "topic"), f"a message needs a topic, not {topic or 'none'}", _FORM)
    return topic


def _payload(row: dict[str, Any], place: tuple[str | int, ...]) -> bytes:
    kinds = [key for key in row if key != "topic"]
    if len(kinds) != 1 or kinds[0] not in _PAYLOADS:
        raise GivenError(place, f"a message has one of {', '.join(_PAYLOADS)}", _FORM)
    kind, value = kinds[0], row[kinds[0]]
    if kind == "json":
        return json.dumps(value).encode()
    if kind == "text":
        return str(value).encode()
    if kind == "hex":
        try:
            return bytes.fromhex(str(value))
        except ValueError:
            raise GivenError((*place, kind), "these are no hex digits") from None
    return _packed(kind, value)


def _packed(kind: str, value: Any) -> bytes:
    if kind == "msgpack":
        import msgpack

        packed: bytes = msgpack.packb(value)
        return packed
    try:
        import cbor2
    except ImportError as error:
        raise PermanentError("pip install 'fieldpost[cbor]' for payloads of CBOR") from error
    return bytes(cbor2.dumps(value))


def _filters(maps: Iterable[TopicMap]) -> str:
    return f"known: {', '.join(sorted({each.filter for each in maps}))}"


def recall(channel: ChannelSpec, device: str, frames: Sequence[Frame]) -> Mapping[str, Any]:
    """The latest message of each topic that brings a tag, without the device's name."""
    context = FakeContext(channel)
    maps = maps_of(channel.settings, context.devices[0], context)
    own = context.devices[0].spec.settings.topic
    found: dict[str, dict[str, Any]] = {}
    for frame in frames:
        topic = frame.text.partition(" ")[0].replace(device, context.devices[0].id)
        if frame.sending or len(frame.data) >= MOST or not any(matches(each.filter, topic) for each in maps):
            continue
        found.pop(topic, None)
        below_own = bool(own) and topic.startswith(f"{own}/")
        shown = f"~/{topic.removeprefix(f'{own}/')}" if below_own else topic
        found[topic] = ({} if topic == own else {"topic": shown}) | _shown(frame.data)
    return {"messages": list(found.values())} if found else {}


def _shown(payload: bytes) -> dict[str, Any]:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return {"hex": payload.hex()}
    try:
        value = json.loads(text)
    except ValueError:
        return {"text": text} if text.isprintable() else {"hex": payload.hex()}
    return {"json": value} if isinstance(value, dict | list) else {"text": text}


def places(channel: ChannelSpec) -> Iterable[Place]:
    """Topic and path of each tag."""
    (device,) = channel.devices
    for spec in device.tags:
        if spec.virtual is None and spec.access is not Access.WRITE:
            point = points_of(channel.settings, device, spec)[0]
            words = "" if not point.words else f" {sorted(point.words.items(), key=str)}"
            yield Place(spec.path, f"{point.topic} {list(point.path)}", form=f"{spec.type.value}{words}")
