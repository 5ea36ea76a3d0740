"""Big libraries are imported in a thread: half a second of importing in the loop is half a second without a poll.

Python gives a second importer of a module the unfinished one, even when the first one then fails. So there is one
import of a name at a time, and whoever needs it goes on when nobody imports it any more.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Sequence
from concurrent.futures import Future

_running: dict[str, Future[None]] = {}
"""By name, the imports that threads of this process are at, as its modules are one set."""


async def preload(modules: Sequence[str]) -> None:
    """Import what is not yet there. What cannot be imported is left to whoever needs it, and says why: until its next
    wait no thread imports one of `modules`.
    """
    tried = set[str]()
    while True:
        running = {name: _running[name] for name in modules if name in _running}
        missing = [name for name in modules if name not in sys.modules and name not in tried]
        if not running and missing:
            running = dict.fromkeys(missing, _begin(missing))
        if not running:
            return
        tried.update(running)
        await asyncio.wait([asyncio.wrap_future(done) for done in set(running.values())])


def _begin(modules: Sequence[str]) -> Future[None]:
    """Have a thread import them. The future is done when it no longer does, and cannot be cancelled."""
    done = Future[None]()
    done.set_running_or_notify_cancel()
    _running.update(dict.fromkeys(modules, done))
    try:
        asyncio.get_running_loop().run_in_executor(None, _load, modules, done)
    except RuntimeError:  # the process ends
        _end(modules, done)
        raise
    return done


def _load(modules: Sequence[str], done: Future[None]) -> None:
    try:
        for name in modules:
            try:
                importlib.import_module(name)
            except (Exception, SystemExit):  # a module may do anything while it is imported; `create` meets it again
                return
    finally:
        _end(modules, done)


def _end(modules: Sequence[str], done: Future[None]) -> None:
    for name in modules:
        del _running[name]
    done.set_result(None)
