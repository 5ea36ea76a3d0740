"""The one thread that writes: transactions of LMDB belong to the thread that began them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class WriterThread:
    """Starts with its first call."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "store")

    async def run(self, function: Callable[[], T]) -> T:
        """Its result. A cancellation waits for it, too: what is on disk must be known here."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, function)
        cancelled: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.wait((future,))
            except asyncio.CancelledError as err:
                cancelled = err
        if cancelled is not None and future.exception() is not None:
            raise cancelled
        if cancelled is not None:
            task = asyncio.current_task()
            if task is not None:
                asyncio.get_running_loop().call_soon(task.cancel)
        return future.result()

    def wait(self, function: Callable[[], T]) -> T:
        """Its result; blocks until it is there."""
        return self._pool.submit(function).result()

    def end(self) -> None:
        """After what was begun."""
        self._pool.shutdown(wait=True)
