"""Maintenance of a device: while people work on it nobody writes to it from afar. Readings go on.

Ends by itself; who, when and why are in the audit log. Rules and alarms ask `suppresses`.
"""

from __future__ import annotations

from gateway.audit import Audit
from gateway.clock import Clock
from gateway.driver import Memory
from gateway.errors import WriteRejected
from gateway.health import Health
from gateway.holds import Hold, Holds

LOCAL, RULE = "local", "rule"
ISSUE = "device_maintenance"


class Maintenance:
    """Which devices are under maintenance."""

    def __init__(self, memory: Memory, clock: Clock, *, audit: Audit, health: Health) -> None:
        self._audit = audit
        self._health = health
        self.holds = Holds(memory, clock, lambda hold: self._over(hold, "clock", LOCAL))

    def begin(self, device: str, seconds: float, who: str, reason: str, via: str = LOCAL) -> Hold:
        """Begin it, or give it another end. Raises WriteRejected 403, see `end`."""
        self._from_afar(device, via)
        hold = self.holds.set(device, seconds, who, reason, via=via)
        self._audit.record(who, via, "maintenance", device=device, until=hold.until, reason=reason)
        self._show(hold)
        return hold

    def end(self, device: str, who: str, via: str = LOCAL) -> bool:
        """End it before its time; False when the device is not under maintenance.

        Raises WriteRejected 403 from afar when people at the gateway began it: they may be at the device.
        """
        self._from_afar(device, via)
        hold = self.holds.release(device)
        if hold is not None:
            self._over(hold, who, via)
        return hold is not None

    def restore(self) -> None:
        """After a start: what was begun goes on."""
        for hold in self.holds.restore():
            self._show(hold)

    def suppresses(self, device: str) -> bool:
        """Whether alarms of the device are suppressed."""
        return device in self.holds

    def refuses(self, device: str, via: str) -> str:
        """Why a write over `via` is refused; empty when it is not. People at the gateway may write."""
        hold = self.holds.get(device) if via != LOCAL else None
        if hold is None:
            return ""
        why = f": {hold.reason}" if hold.reason else ""
        what = "rules do not write to it" if via == RULE else "writes from afar are refused"
        return f"{device} is under maintenance by {hold.who}{why}; {what}"

    def _from_afar(self, device: str, via: str) -> None:
        hold = self.holds.get(device)
        if hold is not None and hold.via == LOCAL and via != LOCAL:
            raise WriteRejected(f"{device} is under maintenance by {hold.who}, who began it at the gateway", code=403)

    def _over(self, hold: Hold, who: str, via: str) -> None:
        self._audit.record(who, via, "maintenance_end", device=hold.key)
        self._health.clear(ISSUE, hold.key)

    def _show(self, hold: Hold) -> None:
        text = f"under maintenance by {hold.who}" + (f": {hold.reason}" if hold.reason else "")
        self._health.set(ISSUE, hold.key, text, f"fieldpost maintenance {hold.key} --end")
