"""The way of a reading inside the process: latest values and watchers, the journal's buffer, the rules. All at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.bus import Bus
from gateway.forcing import Forces
from gateway.model import Batch
from gateway.runtime.views import FlatFeed
from gateway.store import Store

if TYPE_CHECKING:
    from gateway.runtime.ruling import Ruling


class ReadingPath:
    """`publish` is for everybody who has readings; `send` passes by the values that people force. Forces and rules
    are made after it and set when they are there.
    """

    forces: Forces
    ruling: Ruling

    def __init__(self, bus: Bus, store: Store, flat: FlatFeed) -> None:
        self._bus = bus
        self._store = store
        self._flat = flat

    def publish(self, batch: Batch, on_durable: Callable[[], None] | None = None) -> None:
        """Hand a batch on; `on_durable` is called once it is on disk."""
        self.send(self.forces.mask(batch) if self.forces.holds else batch, on_durable)

    def send(self, batch: Batch, on_durable: Callable[[], None] | None = None) -> None:
        """In this order: the journal has a reading before what a rule makes of it."""
        durable = self._flat.watch(batch, on_durable)
        self._bus.publish(batch)
        self._store.append(batch, durable)
        self.ruling.on_batch(batch)
