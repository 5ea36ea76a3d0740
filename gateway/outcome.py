"""How an attempt of a supervised unit ended, and what that means. Shared by the supervisor and the channel runner."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Coroutine, Generator, Iterator
from contextvars import Context
from typing import Any, TypeVar, cast

from gateway.errors import AuthError, ConfigError, DeviceUnavailable, GatewayError, PermanentError

T = TypeVar("T")


class EndedUnasked(GatewayError):
    """A unit came to an end although nobody asked it to: returned, was cancelled from inside, or called sys.exit."""


class Verdict(enum.StrEnum):
    """What to do after an attempt. Ordered by severity: of several causes the first counts."""

    PERMANENT = "permanent"
    AUTH = "auth"
    CRASH = "crash"
    LINK = "link"


_SEVERITY = list(Verdict)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The leaves of an exception group, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from causes(inner)
    else:
        yield error


def judge(error: BaseException) -> Verdict:
    """What an attempt that ended with `error` calls for."""
    return min((_judge_one(cause) for cause in causes(error)), key=_SEVERITY.index)


def _judge_one(cause: BaseException) -> Verdict:
    if isinstance(cause, PermanentError | ConfigError):
        return Verdict.PERMANENT
    if isinstance(cause, AuthError):
        return Verdict.AUTH
    if isinstance(cause, DeviceUnavailable | OSError):  # TimeoutError is an OSError
        return Verdict.LINK
    return Verdict.CRASH


def describe(error: BaseException) -> str:
    """One line for people: the first cause, and how many more."""
    leaves = list(causes(error))
    first = leaves[0]
    text = str(first) if isinstance(first, GatewayError) else f"{type(first).__name__}: {first}".rstrip(": ")
    return text if len(leaves) == 1 else f"{text} (and {len(leaves) - 1} more)"


async def contained(coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T]) -> T:
    """Await `coroutine`; sys.exit and KeyboardInterrupt inside become EndedUnasked.

    asyncio lets these two pass through a task into the event loop's own run, which ends the whole process.
    """
    try:
        return await cast("Coroutine[Any, Any, T]", coroutine)
    except SystemExit as error:
        raise EndedUnasked(f"called sys.exit({error.code!r})") from error
    except KeyboardInterrupt as error:
        raise EndedUnasked("raised KeyboardInterrupt") from error


class ContainedTaskGroup(asyncio.TaskGroup):
    """A TaskGroup whose tasks carry the unit's name and cannot end the process."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        label = f"{self._unit}/{name or getattr(coro, '__name__', 'task')}"
        return super().create_task(contained(coro), name=label, context=context)
