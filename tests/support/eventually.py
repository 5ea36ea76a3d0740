"""Waiting for a condition with a deadline. The only way a test waits."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

SLOW = float(os.environ.get("FIELDPOST_SLOW", "1"))
"""Factor for all deadlines: 10 under emulation. Deadlines end a hung test; they are never the subject."""


class NeverHappened(AssertionError):
    """The condition did not become true within its deadline."""


def _fail(condition: Callable[[], Any], within: float, last: Any, why: str | Callable[[], str]) -> NeverHappened:
    text = why() if callable(why) else why
    name = text or getattr(condition, "__name__", repr(condition))
    return NeverHappened(f"not within {within:g} s: {name}; last answer {last!r}")


async def eventually(
    condition: Callable[[], T | Awaitable[T]],
    within: float = 10.0,
    *,
    every: float = 0.02,
    why: str | Callable[[], str] = "",
) -> T:
    """The first true answer of `condition`, which may be a plain function or give an awaitable.

    An AssertionError inside the condition counts as "not yet". Raises NeverHappened after `within` seconds.
    """
    end = time.monotonic() + within * SLOW
    while True:
        last: Any
        try:
            last = condition()
            if inspect.isawaitable(last):
                last = await last
        except AssertionError as error:
            if time.monotonic() > end:
                raise
            last = error
        else:
            if last:
                answer: T = last
                return answer
        if time.monotonic() > end:
            raise _fail(condition, within, last, why)
        await asyncio.sleep(every)


def wait_until(
    condition: Callable[[], T],
    within: float = 10.0,
    *,
    every: float = 0.02,
    why: str | Callable[[], str] = "",
) -> T:
    """The same for tests without a loop."""
    end = time.monotonic() + within * SLOW
    while True:
        last: Any
        try:
            last = condition()
        except AssertionError as error:
            if time.monotonic() > end:
                raise
            last = error
        else:
            if last:
                answer: T = last
                return answer
        if time.monotonic() > end:
            raise _fail(condition, within, last, why)
        time.sleep(every)
