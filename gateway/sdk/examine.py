"""`fieldpost driver test`: finds the driver's peer and channel, and runs the conformance checks on them."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.conformance import Report, Result, examine, reaching
from gateway.conformance.bench import Bench, Peer
from gateway.conformance.examining import Began, unheard
from gateway.errors import GatewayError
from gateway.model import ChannelSpec, Value
from gateway.registry import Registry
from gateway.rulebook import Expressions
from gateway.sdk.installed import Conformance, Papers, papers
from gateway.settings.credentials import credentials_of
from gateway.settings.loader import load_files, read_tree
from gateway.wired import wired_channel

_GATEWAY = b"gateway: {id: driver-test}\n"


class CannotTest(GatewayError):
    """There is nothing to test the driver with; the text says what is needed."""


class Wish(Struct, frozen=True):
    """What the command line asks for. `channel`: a channel file, instead of the driver's own peer."""

    channel: Path | None = None
    unreachable: str = ""
    writes: Mapping[str, Value] = {}
    udp: bool = False
    proxied: bool = True
    only: Collection[str] = ()
    patience_s: float = 10.0


async def run_checks(
    name: str,
    wish: Wish,
    told: Callable[[Result], None],
    expressions: Expressions | None = None,
    began: Began = unheard,
) -> Report:
    """Run the checks; `began` hears of each before its result is `told`. Raises DriverNotUsable,
    CannotTest, PapersWrong, ConfigError.
    """
    registry = Registry()
    spec = registry.load(name)
    own = papers(name)
    how = own.conformance or Conformance()
    if wish.channel is not None:
        how = Conformance(udp=wish.udp or how.udp, proxied=wish.proxied and how.proxied, quiet=how.quiet)
        channel = _from_file(name, wish.channel, registry, expressions)
    else:
        channel = _own_channel(own, registry, expressions)
    writes = dict(wish.writes) or how.writes
    async with AsyncExitStack() as stack:
        if wish.channel is None and (serve := own.peer()) is not None:
            bench = await stack.enter_async_context(Bench())
            channel = _led_to(channel, await bench.peer(_bound(serve, channel)))
        return await examine(
            spec,
            channel,
            unreachable=_nowhere(channel, wish.unreachable),
            writes=writes,
            udp=how.udp,
            proxied=how.proxied and wish.proxied,
            quiet=how.quiet,
            only=wish.only,
            patience_s=wish.patience_s,
            told=told,
            began=began,
        )


def _bound(serve: Callable[..., AbstractAsyncContextManager[Any]], channel: ChannelSpec) -> Peer:
    """A peer may want to know which channel it is to answer."""
    return functools.partial(serve, channel) if inspect.signature(serve).parameters else serve


def _led_to(channel: ChannelSpec, where: Any) -> ChannelSpec:
    """The channel with the peer's port in its url; a mapping gives several settings."""
    if isinstance(where, int):
        return reaching(channel, where)
    if isinstance(where, Mapping):
        return replace(channel, settings=replace(channel.settings, **where))
    raise CannotTest(f"the driver's peer gives {where!r}: neither a port nor a mapping of settings")


def _nowhere(channel: ChannelSpec, url: str) -> ChannelSpec | None:
    return replace(channel, settings=replace(channel.settings, url=url)) if url else None


def _own_channel(own: Papers, registry: Registry, expressions: Expressions | None) -> ChannelSpec:
    how = own.conformance
    text = own.text(how.channel) if how is not None else None
    if how is None or text is None:
        raise CannotTest(f"driver {own.name} brings no peer (`conformance` in its quality.yaml); give --channel FILE")
    return _load(
        {"gateway.yaml": _GATEWAY, f"channels/{Path(how.channel).stem}.yaml": text}, own.name, registry, expressions
    )


def _from_file(name: str, file: Path, registry: Registry, expressions: Expressions | None) -> ChannelSpec:
    """A channel file alone, or with the profiles of the configuration folder that it stands in."""
    if not file.is_file():
        raise CannotTest(f"there is no file {file}")
    tree: dict[str, str | bytes] = {"gateway.yaml": _GATEWAY}
    folder = file.resolve().parent.parent
    if file.resolve().parent.name == "channels" and (folder / "gateway.yaml").is_file():
        tree |= {path: text for path, text in read_tree(folder).items() if path.startswith("profiles/")}
    tree[f"channels/{file.stem}.yaml"] = file.read_bytes()
    return _load(tree, name, registry, expressions, folder)


def _load(
    tree: dict[str, str | bytes],
    name: str,
    registry: Registry,
    expressions: Expressions | None,
    folder: Path | None = None,
) -> ChannelSpec:
    settings = load_files(
        tree,
        registry.load,
        env=os.environ,
        credentials=credentials_of(folder or Path(), os.environ),
        base=folder,
        expressions=expressions,
    )
    found = [channel for channel in settings.channels if channel.driver == name]
    if not found:
        raise CannotTest(f"the file has no channel of driver {name}")
    return wired_channel(found[0])
