"""Big libraries are imported in a thread: half a second of importing in the loop is half a second without a poll."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Sequence


async def preload(modules: Sequence[str]) -> None:
    """Import what is not yet there. What cannot be imported is left to whoever needs it, and says why."""
    missing = [name for name in modules if name not in sys.modules]
    if missing:
        await asyncio.to_thread(_load, missing)


def _load(modules: Sequence[str]) -> None:
    for name in modules:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit):  # a module may do anything while it is imported; `create` meets it again
            return
