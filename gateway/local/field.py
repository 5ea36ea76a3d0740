"""Ops of commissioning: frames of a wire, addresses without a tag, scans."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from gateway.driver import Frame
from gateway.errors import ConfigError
from gateway.local.arguments import mapping, seconds, text
from gateway.local.wire import OpError
from gateway.model import Quality, Tag
from gateway.runtime.exploring import adhoc_tag, explained
from gateway.runtime.node import Node, shown

_MOST_FRAMES = 1000
_MOST_S = 24 * 3600.0
_PROBE_S = 30.0


class FieldOps:
    """The ops over one running node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def trace(self, args: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Frames of a device or a channel for `for_s` seconds. Beyond a bound the oldest that wait are dropped."""
        name, lasting = text(args, "name"), seconds({"for_s": 60.0, **args}, "for_s", _MOST_S)
        if name is None:
            raise OpError('trace takes {"name": "device or channel", "for_s": seconds up to a day}', code=400)
        device = self._node.tags.device(name)
        runner = self._node.channels.runner(device.channel if device else name)
        if runner is None:
            raise OpError(f"there is no running device or channel {name}", code=404)
        frames: asyncio.Queue[Frame] = asyncio.Queue()
        dropped = 0

        def listen(frame: Frame) -> None:
            nonlocal dropped
            if frames.qsize() >= _MOST_FRAMES:
                frames.get_nowait()
                dropped += 1
            frames.put_nowait(frame)

        stop = runner.trace(listen, name if device else None)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(lasting):
                    while True:
                        frame = await frames.get()
                        if dropped:
                            lost, dropped = dropped, 0
                            yield {"lost": lost}
                        yield _frame(frame)
        finally:
            stop()

    async def probe(self, args: dict[str, Any]) -> dict[str, Any]:
        """Read addresses of a device that no tag names: `keys` are those of a tag. Nothing is published."""
        name, keys = text(args, "device"), args.get("keys")
        if not isinstance(keys, list) or not keys or not all(isinstance(each, dict) for each in keys):
            raise OpError('probe takes {"device": ..., "keys": [{"address": ..., "type": ...}, ...]}', code=400)
        device = self._node.tags.device(name) if name is not None else None
        if device is None:
            raise OpError(f"there is no device {name}", code=404)
        runner = self._node.channels.runner(device.channel)
        if runner is None:
            raise OpError(f"the channel of {name} is not running", code=504)
        try:
            tags = [adhoc_tag(runner.channel, runner.spec, device, each) for each in keys]
        except ConfigError as error:
            raise OpError(explained(error), code=400) from error
        async with asyncio.timeout(_PROBE_S):
            rows = await runner.probe(tags)
        return {"tags": [_row(tag, value, quality, ts) for tag, value, quality, ts in rows]}

    async def scan(self, args: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Findings of a scan: of a device, of a channel, or of a wire that `settings` of a driver describe."""
        options, settings = mapping(args, "options"), mapping(args, "settings")
        channel, name, driver = text(args, "channel"), text(args, "device"), text(args, "driver") or "modbus"
        if name is not None:
            device = self._node.tags.device(name)
            if device is None:
                raise OpError(f"there is no device {name}", code=404)
            channel, options = device.channel, {**options, "device": name}
        async for finding in _told(self._node.explorer.scan(channel, driver, settings, options)):
            yield finding

    async def browse(self, args: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """What there is on a channel, or on a wire that `settings` of a driver describe, as a tree."""
        options, settings = mapping(args, "options"), mapping(args, "settings")
        channel, driver = text(args, "channel"), text(args, "driver")
        if channel is None and (driver is None or not settings):
            raise OpError('browse takes {"channel": ...}, or {"driver": ..., "settings": {...}}', code=400)
        async for item in _told(self._node.explorer.browse(channel, driver or "", settings, options)):
            yield item


async def _told(found: AsyncIterator[Any]) -> AsyncIterator[dict[str, Any]]:
    try:
        async for finding in found:
            yield dict(finding)
    except ValueError as error:
        raise OpError(str(error), code=400) from error
    finally:
        await found.aclose()  # type: ignore[attr-defined]


def _frame(frame: Frame) -> dict[str, Any]:
    direction = "sent" if frame.sending else "received"
    return {"ts": frame.ts, "direction": direction, "unit": frame.unit, "hex": frame.data.hex(), "text": frame.text}


def _row(tag: Tag, value: Any, quality: int, ts: int | None) -> dict[str, Any]:
    return {
        "device": tag.device,
        "tag": tag.path,
        "value": shown(tag, value),
        "unit": tag.spec.unit,
        "quality": Quality(quality).text,
        "ts": ts,
        "age": 0,
    }
