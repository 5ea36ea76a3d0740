"""The journal and all small tables on LMDB (protocol.md 2). Public: Store and what gateway.journal names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.store.store import Store

__all__ = ["Store"]


def __getattr__(name: str) -> Any:
    """Lazily: the verifying child process needs a fraction of this package, and a start waits for it."""
    if name == "Store":
        from gateway.store.store import Store

        return Store
    raise AttributeError(name)
