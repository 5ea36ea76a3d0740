"""A look at a channel whose answer has to fit into one message: browse or scan, bounded in items, bytes and time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import RequestRefused
from gateway.runtime.exploring import Explorer
from gateway.runtime.ops import OpRefused

FOUND, MOST_FOUND = 200, 500
MOST_BYTES = 60_000
LONGEST_S = 20.0
_CANNOT = 501


async def look_again(explorer: Explorer, channel: str, options: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """`how` it was looked, what was `found`, and `more` where there is more than was taken. Raises OpRefused."""
    for how in ("browse", "scan"):
        try:
            return {"how": how, **await _collect(explorer, how, channel, options, limit)}
        except RequestRefused as error:
            if error.code != _CANNOT:
                raise
        except ValueError as error:
            raise OpRefused(str(error), code=400) from error
    raise OpRefused(f"the driver of {channel} can neither browse nor scan", code=404)


async def _collect(
    explorer: Explorer, how: str, channel: str, options: Mapping[str, Any], limit: int
) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    size, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with (
            asyncio.timeout(LONGEST_S),
            contextlib.aclosing(getattr(explorer, how)(channel, "", {}, options)) as items,
        ):
            async for item in items:
                if "done" in item:
                    continue
                size += len(msgspec.json.encode(item))
                if len(found) >= limit or size > MOST_BYTES:
                    break
                found.append(dict(item))
            else:
                more = False
    return {"found": found, "more": more}
