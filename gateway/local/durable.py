"""An answer to somebody's act once the act is on disk: who reads `ok` may cut the power."""

from __future__ import annotations

from typing import Any, Protocol

from gateway.errors import StoreError


class Commits(Protocol):
    """The store (gateway.store.Store)."""

    async def commit(self) -> None: ...


async def kept(store: Commits, done: dict[str, Any]) -> dict[str, Any]:
    """The answer, after a commit; where that finds no room `unkept` tells why: a restart now would undo the act."""
    try:
        await store.commit()
    except StoreError as error:
        return {**done, "unkept": str(error)}
    return done
