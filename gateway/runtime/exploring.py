"""Looking beyond the configuration through the running gateway: an address without a tag, a wire without a channel."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.context import ChannelRunner
from gateway.driver import DriverSpec, Fault, wire_of
from gateway.errors import ConfigError, DeviceUnavailable, GatewayError
from gateway.model import ChannelSpec, Device, Tag, TagSpec
from gateway.runtime.channels import Channels
from gateway.settings.convert import hook
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.tag_keys import TagMaker
from gateway.settings.yaml_reader import read_documents

CONNECT_S = 10.0
TEMPORARY = "temporary"


class Unknown(GatewayError):
    """Something that is not there to be asked."""

    code = 404


class NotPossible(GatewayError):
    """Words that cannot be used; the text says why."""

    code = 400


class Busy(GatewayError):
    """Something that is done one at a time is being done."""

    code = 409


def adhoc_tag(channel: ChannelSpec, driver: DriverSpec, device: Device, keys: Mapping[str, Any]) -> Tag:
    """A tag from a tag's keys that no configuration holds. Raises ConfigError with every fault."""
    problems = Problems()
    (document,) = read_documents("(given)", json.dumps(dict(keys)), problems)
    layers = Layers(document.data, Origin(document))
    spec = TagMaker(driver, {}, "(given)", problems).make("asked", layers)
    problems.raise_if_any()
    assert spec is not None  # its absence is a problem
    if spec.virtual is not None:
        problems.at(layers.origin(), "a computed tag is not read from a device")
        problems.raise_if_any()
    if spec.scale_from is not None and device.tag(spec.scale_from) is None:
        problems.at(layers.origin("scale_from"), f"{device.id} has no tag `{spec.scale_from}`")
    for fault in _faults(channel, driver, device, spec):
        problems.at(layers.origin(), fault.message, fault.hint)
    problems.raise_if_any()
    return Tag(device.id, str(keys.get("address", "asked")), -1, 0, spec)


def _faults(channel: ChannelSpec, driver: DriverSpec, device: Device, spec: TagSpec) -> list[Fault]:
    only = replace(device.spec, tags=(spec,))
    return [fault for fault in driver.check(replace(channel, devices=(only,))) if ".tags." in fault.path]


def explained(error: ConfigError) -> str:
    """The faults of given words as one text, without places in files."""
    return "; ".join(p.message + (f" ({p.hint})" if p.hint else "") for p in error.problems)


class Explorer:
    """Scans of configured channels and of wires that no channel holds."""

    def __init__(self, channels: Channels, load: Any, runner: Any) -> None:
        self._channels = channels
        self._load = load
        self._runner = runner
        self._busy: set[str] = set()

    async def scan(
        self, channel: str | None, driver: str, settings: Mapping[str, Any], options: Mapping[str, Any]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Findings of a scan of a configured channel, or of what `settings` say. Raises Unknown, NotPossible,
        Busy, DeviceUnavailable.
        """
        async for finding in self._look("scan", channel, driver, settings, options):
            yield finding

    async def browse(
        self, channel: str | None, driver: str, settings: Mapping[str, Any], options: Mapping[str, Any]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """What there is, as a tree (gateway.abilities.Browsing). Raises as scan does."""
        async for item in self._look("browse", channel, driver, settings, options):
            yield item

    async def _look(
        self, what: str, channel: str | None, driver: str, settings: Mapping[str, Any], options: Mapping[str, Any]
    ) -> AsyncIterator[Mapping[str, Any]]:
        if channel is None:
            channel = self._holder(driver, settings)
        name = channel or f"{driver}:{json.dumps(dict(settings), sort_keys=True)}"
        if name in self._busy:
            raise Busy("a scan of this wire is running already")
        self._busy.add(name)
        try:
            async with (
                self._at(what, channel, driver, settings) as runner,
                contextlib.aclosing(getattr(runner, what)(options)) as found,
            ):
                async for finding in found:
                    yield finding
        finally:
            self._busy.discard(name)

    def _holder(self, driver: str, settings: Mapping[str, Any]) -> str | None:
        """The running channel that holds the same wire: with its login and certificates it is looked at."""
        wanted = self._wire(driver, self._convert(driver, settings))
        for spec in self._channels.specs():
            if wanted is None or spec.driver != driver or self._channels.runner(spec.id) is None:
                continue
            if self._wire(driver, spec.settings) == wanted:
                return spec.id
        return None

    def _convert(self, driver: str, settings: Mapping[str, Any]) -> Any:
        try:
            return msgspec.convert(dict(settings), self._load(driver).channel, dec_hook=hook)
        except (msgspec.ValidationError, ValueError) as error:
            raise NotPossible(str(error)) from error

    def _wire(self, driver: str, settings: Any) -> str | None:
        try:
            return wire_of(self._load(driver), settings)
        except Exception as error:
            raise NotPossible(str(error)) from error

    @contextlib.asynccontextmanager
    async def _at(
        self, what: str, channel: str | None, driver: str, settings: Mapping[str, Any]
    ) -> AsyncIterator[ChannelRunner]:
        if channel is not None:
            runner = self._channels.runner(channel)
            if runner is None:
                raise Unknown(f"there is no running channel {channel}")
            yield runner
            return
        spec = ChannelSpec(TEMPORARY, driver, self._convert(driver, settings), (), timeout_s=1.0, probe_s=2.0)
        faults = [fault.message for fault in self._load(driver).check(spec)]
        if faults:
            raise NotPossible("; ".join(faults))
        made: ChannelRunner = self._runner(spec)
        task = asyncio.create_task(made.run(), name="temporary channel")
        try:
            await _ready(made, what, task)
            yield made
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=5.0)


async def _ready(runner: ChannelRunner, what: str, task: asyncio.Task[Any]) -> None:
    """Wait until a temporary channel has its wire, where it needs one. Raises DeviceUnavailable with the reason."""
    for _ in range(int(CONNECT_S / 0.05)):
        if runner.ready_to(what):
            return
        reason = runner.trouble
        if reason or task.done():
            raise DeviceUnavailable(str(reason or "the driver stopped"))
        await asyncio.sleep(0.05)
    raise DeviceUnavailable(f"not connected within {CONNECT_S:g} s")
