"""The journal and all small tables on LMDB (protocol.md 2). Public: Store and what gateway.journal names."""

from gateway.store.store import Store

__all__ = ["Store"]
