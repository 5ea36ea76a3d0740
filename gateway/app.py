"""The life of the process: configuration, start, run, stop. What it is made of is put together in wiring.py.

Order: configuration, store, tags with their last known values, then the consumers (journal, uplinks, local socket),
the drivers last. READY is told when the core is up, not when a device or a broker answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway import logs, sdnotify
from gateway.clock import SystemClock, boot_id, trust_of
from gateway.errors import ConfigError, GatewayError
from gateway.health import Health
from gateway.journal import Level
from gateway.local.handlers import handlers
from gateway.local.server import LocalServer
from gateway.registry import Registry
from gateway.release import release_ms, release_slot, version
from gateway.runtime.node import Node
from gateway.settings.credentials import credentials_of
from gateway.settings.generations import Generations
from gateway.settings.loader import load_files, read_tree
from gateway.settings.provisioned import FILE as PROVISIONED
from gateway.settings.types import GatewaySettings
from gateway.settings.whereabouts import store_path
from gateway.store import Store
from gateway.supervisor import CoreFailed
from gateway.tags import TagTable
from gateway.tls import TlsSettings
from gateway.vitals import Vitals
from gateway.watchdog import Watchdog
from gateway.wiring import Frame, Load, wire
from rules.expression import RuleExpressions

if TYPE_CHECKING:
    from gateway.runtime.updating import Updating

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CONFIG = 78
SOCKET_S = 2.0
STOP_S = 10.0
_CLOCK_LOOK_S = 10.0
_BIG = 500_000
"""Bytes of a configuration that takes much more memory while it is read than it needs afterwards."""

_log = logging.getLogger("fieldpost")


def run(config_dir: Path, state_dir: Path | None = None) -> int:
    """Run the gateway until it is told to stop. Returns the process' exit code (cli reference)."""
    logs.setup(os.environ.get("FIELDPOST_LOG", "INFO"))
    registry = Registry()
    load = _loader(config_dir, registry, state_dir)
    try:
        settings, found = _active(config_dir, load, registry, state_dir)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return EXIT_CONFIG
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(config_dir, settings, found, load, registry))
    except GatewayError as error:
        _log.critical("%s", error)
        return EXIT_FAILED


def _loader(config_dir: Path, registry: Registry, state_dir: Path | None) -> Load:
    credentials = credentials_of(config_dir)

    def load(files: Mapping[str, bytes], *, starting: bool = False) -> GatewaySettings:
        """`starting`: a driver that cannot be imported any more must not keep the other channels from running."""
        loaded = load_files(
            files,
            registry.load,
            env=os.environ,
            credentials=credentials,
            base=config_dir,
            state_dir=state_dir,
            keep_unusable=starting,
            expressions=RuleExpressions(),
            heard=_tell_notes,
            most_notes=1,
        )
        if sum(map(len, files.values())) > _BIG:
            from gateway.freeing import give_back  # few have so much

            give_back()
        return loaded

    return load


def _tell_notes(notes: Sequence[Any]) -> None:
    """Files of other gateways are part of the configuration: what of them has no meaning here is told by `check`."""
    if notes:
        _log.info("imported files have notes: `fieldpost check` shows them")


class _Found(Struct, frozen=True):
    """What the state directory held: its generations, and the change that was taken back (from, to)."""

    generations: Generations
    reverted: tuple[int, int] | None

    def tell(self, health: Health) -> None:
        """Raise what was found as issues."""
        if self.generations.damage:
            health.set(
                "generations_damaged",
                "config",
                "; ".join(self.generations.damage),
                "look at what runs with fieldpost generations, then apply the configuration folder again",
            )
        if self.reverted is not None:
            health.set(
                "config_reverted",
                "config",
                "generation {} was never confirmed and the gateway ended: generation {} runs".format(*self.reverted),
                "apply it again and confirm it, or correct it",
            )


def _active(config_dir: Path, load: Load, registry: Registry, state_dir: Path | None) -> tuple[GatewaySettings, _Found]:
    """The active generation's settings; the first start makes generation 1 of the config folder."""
    folder: GatewaySettings | None = None
    problems = ConfigError([])
    files: Mapping[str, bytes] = {}
    try:
        files = read_tree(config_dir)
        folder = load(files)
    except ConfigError as error:
        problems = error
        folder = _without_broken_drivers(files, load, registry)
    path = folder.store.path if folder else state_dir or store_path(config_dir)
    if path is None:
        raise problems  # nobody knows where the state is
    generations = Generations(path)
    found = _Found(generations, generations.recover())
    active = generations.active()
    if active is None:
        if folder is None:
            raise problems
        active = generations.create(files, note="first start", hash=folder.hash)
        generations.activate(active, confirm_within_s=None)
    elif problems.problems:
        _log.error("the configuration folder has errors; the active generation %d runs:\n%s", active.number, problems)
    held = active.files()
    if folder is not None and not problems.problems and held == files and PROVISIONED not in held:
        return folder, found  # the folder is what ran before: reading it once is enough
    folder = None  # two big ones at a time would be too much
    try:
        return load(held, starting=True), found
    except ConfigError as error:
        waiting = generations.pending()
        if waiting is None:
            raise
        target = generations.rollback(waiting.previous, reason=f"it cannot be loaded any more: {error}")
        return load(target.files(), starting=True), _Found(generations, (waiting.number, target.number))


def _without_broken_drivers(files: Mapping[str, bytes], load: Load, registry: Registry) -> GatewaySettings | None:
    """The folder's settings if the only thing wrong is that installed drivers cannot be imported: their channels
    become issues. A driver that nobody installed stays an error.
    """
    try:
        settings = load(files, starting=True)
    except ConfigError:
        return None
    known = registry.names()
    unusable = [channel for channel in settings.channels if channel.settings is None]
    return settings if all(channel.driver in known for channel in unusable) else None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop where it is installed, unless FIELDPOST_LOOP=asyncio."""
    if os.environ.get("FIELDPOST_LOOP") == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(config_dir: Path, settings: GatewaySettings, found: _Found, load: Load, registry: Registry) -> int:
    clock = SystemClock(trust_of(settings.clock_trust, release_ms()))
    health = Health(clock)
    store = Store(settings.store, clock, release_ms=release_ms(), health=health)
    store.open()
    node = wire(Frame(config_dir, settings, found.generations, load, registry), clock, health, store)
    found.tell(health)
    sockets = settings.store.path / "fieldpost.sock"
    local = LocalServer(sockets, handlers(node), logging.getLogger("fieldpost.local"))
    watchdog = Watchdog(settings.store.path, health)
    node.lags = watchdog.lags
    vitals = Vitals(settings.store.path, clock, health, lambda: _tls_files(node.settings))
    supervisor = node.supervisor
    supervisor.add_core("store", store.run)
    supervisor.add_core("watchdog", watchdog.run)
    supervisor.add_core("keeper", lambda: _keep(node))
    supervisor.add("local", local.run)
    supervisor.add("applier", node.applier.run)
    supervisor.add("discovery", node.discovery.run)
    supervisor.add("shadows", node.shadows.writes.run)
    node.desk.restore()
    supervisor.add("commands", node.desk.run)
    node.jobs.restore()
    supervisor.add("actions", node.actor.run)
    supervisor.add("notifications", node.notifier.run)
    supervisor.add("vitals", vitals.run)
    node.updating = _updating(node)
    if node.updating is not None:
        supervisor.add("updating", node.updating.run)
    names = TagTable.names(settings.channels)
    aliases = dict(zip(names, store.bind_aliases(names), strict=True))
    node.restored = store.last_values()
    for uplink in settings.uplinks:
        node.uplinks.start(uplink)
    node.uplinks.adopt()
    for channel in settings.channels:
        node.channels.start(channel, aliases, node.restored)
    node.notifier.reload(settings.book.notify)
    node.maintenance.restore()
    # Before anything is told: what stands before it in the journal was written by the process before. No commit of its
    # own, which would hold up that of the first readings.
    store.append_entry("event", start_entry(clock.wall_ms()), Level.LAZY)
    await node.ruling.start(settings.book, node.maintenance.holds.all())
    node.notifier.standing(node.ruling.waiting_for_ack())
    node.forces.restore()
    for server in settings.servers:
        node.servers.start(server, settings.channels)
    return await _run_supervised(node, local.listening)


def _updating(node: Node) -> Updating | None:
    """The gateway's part in updates, where it runs from a release slot."""
    if not release_slot():
        return None  # nothing of it is imported
    from gateway.ota.slots import own_slot
    from gateway.runtime.updating import Updating

    own = own_slot()
    return Updating(node, *own) if own else None


def start_entry(wall_ms: int) -> dict[str, Any]:
    """The event of a start: what came before it in the journal was written by another process."""
    return {"ts": wall_ms, "kind": "start", "version": version(), "boot": boot_id()}


def _tls_files(settings: GatewaySettings) -> dict[str, TlsSettings]:
    return {uplink.name: uplink.tls for uplink in settings.uplinks if uplink.tls is not None}


async def _keep(node: Node) -> None:
    """Core unit: checkpoints of last values, the clock's steps, drift of the configuration folder."""
    since = 0.0
    while True:
        await node.clock.sleep(min(_CLOCK_LOOK_S, node.settings.store.checkpoint_s))
        since += _CLOCK_LOOK_S
        node.store.observe_clock()
        await node.look_for_drift()
        if since >= node.settings.store.checkpoint_s:
            since = 0.0
            await node.checkpoint()


async def _run_supervised(node: Node, listening: asyncio.Event) -> int:
    """Run until a signal or a core failure; then stop drivers first, uplinks after them, the store last."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            os._exit(EXIT_FAILED)  # a second signal: at once
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    code = EXIT_OK
    async with asyncio.TaskGroup() as group:
        running = group.create_task(_supervise(node), name="supervisor")
        stop = group.create_task(stopping.wait(), name="signals")
        # What lives from the start on is not gone through again: a full collection of it stops the loop for 20 ms.
        gc.freeze()
        await _answering(listening, running)
        node.ready = True
        sdnotify.notify("READY=1", f"STATUS=running generation of {node.settings.id}")
        _log.info("ready: gateway %s, configuration %s", node.settings.id, node.settings.hash)
        await asyncio.wait({running, stop}, return_when=asyncio.FIRST_COMPLETED)
        node.ready = False
        sdnotify.notify("STOPPING=1")
        if running.done():
            code = EXIT_FAILED
            await _rescue(node)
        else:
            await _stop(node)
        stop.cancel()
    _log.info("stopped")
    return code


async def _answering(listening: asyncio.Event, running: asyncio.Task[None]) -> None:
    """Wait a moment for the local socket: who was told READY asks there next. Without one the gateway works as well."""
    waiting = asyncio.ensure_future(listening.wait())
    await asyncio.wait({waiting, running}, timeout=SOCKET_S, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _supervise(node: Node) -> None:
    """Run all units. The end of a core unit is the end of the process; the supervisor's log says which and why."""
    with contextlib.suppress(CoreFailed):
        await node.supervisor.run()


async def _rescue(node: Node) -> None:
    """After a core failure: what the store still takes is kept."""
    try:
        async with asyncio.timeout(STOP_S):
            await node.store.close()
    except Exception as error:
        _log.error("the store could not be closed: %s", error)


async def _stop(node: Node) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_S):
            await node.servers.stop_all()
            node.jobs.close()
            await node.desk.close()
            await node.channels.stop_all()
            await node.checkpoint(last=True)
            await node.store.commit()
            await node.uplinks.stop_all()
    await node.supervisor.stop(STOP_S)
    await node.store.close()
