"""Tags that a person gives a value: everybody sees it as good/local-override until it ends, the device never does.

While anything is forced, batches are masked column by column on their way to bus and journal; otherwise this costs
nothing. What the device really said is remembered and told when the force ends.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.audit import Audit
from gateway.clock import Clock
from gateway.driver import Memory
from gateway.health import Health
from gateway.holds import Hold, Holds
from gateway.latest import LatestValues
from gateway.model import Batch, Block, Quality, Tag, Value
from gateway.tags import TagTable

_OVERRIDE = int(Quality.LOCAL_OVERRIDE)
_ISSUE = "tag_forced"
_LOCAL = "local"


class Forces:
    """The forced tags of the gateway. `publish` takes a batch past the mask."""

    def __init__(
        self,
        memory: Memory,
        clock: Clock,
        *,
        tags: TagTable,
        latest: LatestValues,
        audit: Audit,
        health: Health,
        publish: Callable[[Batch], None],
    ) -> None:
        self._clock = clock
        self._tags = tags
        self._latest = latest
        self._audit = audit
        self._health = health
        self._publish = publish
        self._real: dict[str, tuple[Value, int, int]] = {}
        self.holds = Holds(memory, clock, self._expired)

    def set(self, tag: Tag, value: Value, seconds: float, who: str, reason: str, via: str = _LOCAL) -> Hold:
        """Force a tag from now on. The value has been checked."""
        if tag.name not in self.holds:
            current = self._latest.current(tag)
            if current.ts is not None:
                self._real[tag.name] = (current.value, int(current.quality), current.ts)
        hold = self.holds.set(tag.name, seconds, who, reason, value)
        self._audit.record(who, via, "force", device=tag.device, tag=tag.path, new=_plain(value), until=hold.until)
        self._tell(tag, value, _OVERRIDE, self._clock.wall_ms())
        self._show()
        return hold

    def release(self, name: str, who: str, via: str = _LOCAL) -> bool:
        """End a force; False when the tag is not forced."""
        hold = self.holds.release(name)
        if hold is not None:
            self._over(hold, who, via)
        return hold is not None

    def restore(self) -> None:
        """After a start: what was forced is forced again. Tags that are gone are forgotten."""
        for hold in self.holds.restore():
            tag = self._tags.find(hold.key)
            if tag is None:
                self.holds.release(hold.key)
            else:
                self._tell(tag, hold.value, _OVERRIDE, self._clock.wall_ms())
        self._show()

    def mask(self, batch: Batch) -> Batch:
        """The batch with forced values in place of those of the device. The same object when none is in it."""
        held = self.holds.all()
        places = [place for place, tag in enumerate(batch.tags) if tag.name in held]
        if not places:
            return batch
        values = list(batch.values)
        quality = list(batch.quality) if batch.quality is not None else [0] * len(values)
        tags = batch.tags
        for place in places:
            name = tags[place].name
            self._real[name] = (values[place], quality[place], batch.ts)
            values[place], quality[place] = held[name].value, _OVERRIDE
        return Batch(batch.block, values, batch.ts, batch.mono, batch.index, quality)

    def _expired(self, hold: Hold) -> None:
        self._over(hold, "clock", _LOCAL)

    def _over(self, hold: Hold, who: str, via: str) -> None:
        real = self._real.pop(hold.key, None)
        tag = self._tags.find(hold.key)
        device, _, path = hold.key.partition(".")
        self._audit.record(who, via, "force_end", device=device, tag=path)
        if tag is not None:
            value, quality, _ = real if real is not None else (None, int(Quality.BAD_STALE), 0)
            self._tell(tag, value, quality, self._clock.wall_ms())
        self._show()

    def _tell(self, tag: Tag, value: Value, quality: int, ts: int) -> None:
        self._publish(Batch(Block(tag.device, [tag]), [value], ts, self._clock.mono(), quality=[quality]))

    def _show(self) -> None:
        if self.holds:
            names = ", ".join(sorted(self.holds.all()))
            self._health.set(_ISSUE, "gateway", f"forced by hand: {names}", "fieldpost force --release all")
        else:
            self._health.clear(_ISSUE, "gateway")


def _plain(value: Value) -> object:
    return value.hex() if isinstance(value, bytes) else value
