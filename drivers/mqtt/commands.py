"""Values to payloads of commands, and the wait for what the device makes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from drivers.mqtt.jsonpath import put
from drivers.mqtt.point import Outlet
from gateway.errors import WriteRejected
from gateway.model import Tag, TagSpec, Value, ValueType
from gateway.objects import from_text
from gateway.transform import RAW, to_raw

MARK = "$value"
_UNPROCESSABLE = 422


def payload_of(spec: TagSpec, value: Value, outlet: Outlet, words: Mapping[str, Any]) -> bytes:
    """The bytes of a command. Raises WriteRejected for what the tag's type cannot hold."""
    raw = _raw(spec, value, words)
    if outlet.payload is None:
        document = raw if outlet.path is None else put(outlet.path, raw)
    elif outlet.payload == MARK:
        document = raw
    else:
        document = _filled(outlet.payload, raw)
    return _encode(document, outlet.format)


def _raw(spec: TagSpec, value: Value, words: Mapping[str, Any]) -> Any:
    """The value as the device writes it: scale and offset undone, a word where the tag has words."""
    kind = spec.type
    if kind is ValueType.OBJECT:
        try:
            return from_text(str(value))
        except ValueError as error:
            raise WriteRejected(f"{spec.path}: {error}", code=_UNPROCESSABLE) from error
    raw: Any = value
    if RAW[kind].bits:
        raw = to_raw(spec, value)
        if isinstance(raw, float) and raw.is_integer() and abs(raw) < 1e15:
            raw = int(raw)  # 21, not 21.0: many parsers of devices know whole numbers only
    for word, meaning in words.items():
        if meaning == raw and isinstance(meaning, bool) == isinstance(raw, bool):
            return word
    return raw


def _filled(template: Any, raw: Any) -> Any:
    if isinstance(template, dict):
        return {key: _filled(item, raw) for key, item in template.items()}
    if isinstance(template, list):
        return [_filled(item, raw) for item in template]
    if template == MARK:
        return raw
    return template.replace(MARK, _text(raw)) if isinstance(template, str) else template


def _text(raw: Any) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return raw if isinstance(raw, str) else json.dumps(raw) if isinstance(raw, dict | list) else str(raw)


def _encode(document: Any, form: str) -> bytes:
    if form == "json":
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=_hex).encode()
    if form == "msgpack":
        import msgpack

        packed: bytes = msgpack.packb(document)
        return packed
    if form == "cbor":
        import cbor2

        made: bytes = cbor2.dumps(document)
        return made
    if isinstance(document, bytes):
        return document
    return _text(document).encode()


def _hex(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} is not known in JSON")


class Echo:
    """What a device says of one tag since a write of it began."""

    def __init__(self, tag: Tag) -> None:
        self.tag = tag
        self.values: list[Value] = []
        self._more = asyncio.Event()

    def seen(self, value: Value) -> None:
        if value is not None:
            self.values = [*self.values[-15:], value]
            self._more.set()

    async def wait(self, fits: Callable[[Value], bool], within_s: float) -> tuple[bool, Value]:
        """As gateway.abilities.Echoing.echoed."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for value in self.values:
                        if fits(value):
                            return True, value
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            return False, self.values[-1] if self.values else None
