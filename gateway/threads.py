"""Blocking calls in threads of their own, a bounded number at once: for libraries that know no event loop.

Not the loop's default pool: a name server that hangs must hold up nobody else, nor the end of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """`at_once` calls run side by side; a further one waits for the end of another."""

    def __init__(self, name: str, at_once: int) -> None:
        self._name = name
        self._slots = asyncio.Semaphore(at_once)

    async def call(self, what: Callable[[], T], timeout_s: float, give_up: Callable[[], object]) -> T:
        """The result of `what()`. Raises what it raises, and TimeoutError.

        `give_up()` is called when nobody waits any more, and should make `what` end soon; until it has ended its
        place is taken.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def end(settle: Callable[[], None]) -> None:
            self._slots.release()
            if not done.done():
                settle()

        def run() -> None:
            try:
                result = what()
            except BaseException as error:
                failure = error
                finished = lambda: done.set_exception(failure)  # noqa: E731
            else:
                finished = lambda: done.set_result(result)  # noqa: E731
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                loop.call_soon_threadsafe(end, finished)

        async with asyncio.timeout(timeout_s):
            await self._slots.acquire()
            try:
                threading.Thread(target=run, name=self._name, daemon=True).start()
            except BaseException:
                self._slots.release()
                raise
            try:
                return await done
            finally:
                if done.cancelled():
                    give_up()
