"""The state of one device: unknown, online, degraded, demoted, offline. Pure logic with events and issues.

- DEGRADED: its last request failed; it is still asked on schedule.
- OFFLINE: it failed N times in a row, or its link is gone. DEMOTED: taken off the schedule before that, because its
  silence cost the wire too much, or by hand. Both are probed slowly with one small request and take no writes.
- ONLINE on the first good answer.

The issue `device_offline` ends only after the device has answered for a while, so a flapping device makes one issue
with a count, and its single changes are not told while it flaps (field lesson FL-34).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gateway.clock import Clock
from gateway.health import Health
from gateway.model import DeviceState

Changed = Callable[[str, DeviceState, str], None]
"""Called with device, new state and reason."""

STEADY_S = 10.0
"""How long a device must answer until its issue ends."""
FLAP_WINDOW_S = 120.0
FLAP_COUNT = 5
REPAIR = "check power, cable and address"
"""Of a device that does not answer."""
_WAIT = "nothing: it ends when the device has answered for a while"
AWAY = frozenset({DeviceState.DEMOTED, DeviceState.OFFLINE})


class DeviceMonitor:
    """One device's state machine. `told` gets changes for the journal; `changed` gets every change."""

    def __init__(
        self,
        device: str,
        *,
        offline_after: int,
        probe_s: float,
        clock: Clock,
        health: Health,
        changed: Changed,
        told: Changed,
    ) -> None:
        self.device = device
        self.state = DeviceState.UNKNOWN
        self.reason = ""
        self.failures = 0
        self.next_probe: float | None = None
        self.since = clock.mono()
        self.flapping = False
        self._offline_after = max(1, offline_after)
        self._probe_s = probe_s
        self._clock = clock
        self._health = health
        self._changed = changed
        self._told = told
        self._recoveries: deque[float] = deque(maxlen=1000)
        self._issue_open = False
        self._repair = REPAIR
        self._held_until: float | None = None
        self._unmet: dict[str, str] | None = None
        self._clean = True

    @property
    def away(self) -> bool:
        """Not asked on schedule, takes no writes."""
        return self.state in AWAY

    @property
    def on_schedule(self) -> bool:
        """Whether the device is asked on schedule: not while it is probed only."""
        return self.next_probe is None

    def good(self, *, clean: bool = True) -> None:
        """An answer came. `clean` False: another request of this device still fails, so it stays degraded."""
        self.failures = 0
        self.next_probe = None
        self._clean = clean
        state = DeviceState.ONLINE if clean and not self._unmet else DeviceState.DEGRADED
        if self.state is not state:
            reason = next(iter(self._unmet.values())) if self._unmet else "" if clean else self.reason
            if state is DeviceState.ONLINE and self.state is not DeviceState.UNKNOWN:
                self._recoveries.append(self._clock.mono())
                self._watch_flapping()
            self._become(state, reason)
        elif self._issue_open or self.flapping:
            self._watch_steady()

    def expected(self, path: str, why: str) -> bool:
        """A tag that must have a certain value has another one, as `why` says; without a text it has that value. One
        such tag keeps the device degraded. Whether that is news.
        """
        if why:
            before, self._unmet = self._unmet, {**(self._unmet or {}), path: why}
            if self.state is DeviceState.ONLINE:
                self._become(DeviceState.DEGRADED, why)
            return before is None or before.get(path) != why
        if self._unmet is None or self._unmet.pop(path, None) is None:
            return False
        self._unmet = self._unmet or None
        if self._unmet is None and self.state is DeviceState.DEGRADED:
            self.good(clean=self._clean)
        return True

    def failed(self, reason: str) -> None:
        """A request brought nothing."""
        self._say_repair(REPAIR)
        self.failures += 1
        if self.failures >= self._offline_after or self.state is DeviceState.OFFLINE:
            self._probe_later()
            self._become(DeviceState.OFFLINE, reason)
        elif self.state is DeviceState.DEMOTED:
            self._probe_later()
        else:
            self._become(DeviceState.DEGRADED, reason)

    def lost(self, reason: str, repair: str = REPAIR) -> None:
        """The link is gone, and the device with it. What it was before decides how it is asked after `link_up`."""
        self._say_repair(repair)
        self._become(DeviceState.OFFLINE, reason)

    def link_up(self) -> None:
        """The link is back: ask once on schedule. One failure makes the device offline again."""
        if self._held_until is None:
            if self.failures < self._offline_after:  # one that was silent before stays doubtful: it waits for idle time
                self.failures = 0
            self.next_probe = None

    def demote(self, reason: str, for_s: float | None = None) -> None:
        """Take the device off the schedule; `for_s`: by hand, not even probed for that long."""
        if for_s is not None:
            self._held_until = self._clock.mono() + for_s
            self.next_probe = self._held_until
        else:
            self._probe_later()
        self._become(DeviceState.DEMOTED, reason)

    def promote(self) -> None:
        """Ask the device again at once."""
        self._held_until = None
        self.next_probe = self._clock.mono() if self.away else None

    def probe_due(self, now: float) -> bool:
        return self.next_probe is not None and now >= self.next_probe

    def postpone_probe(self) -> None:
        """A probe is on its way: the next not before the interval."""
        self._probe_later()

    def _probe_later(self) -> None:
        self._held_until = None
        self.next_probe = self._clock.mono() + self._probe_s

    def _become(self, state: DeviceState, reason: str) -> None:
        before = self.state
        self.reason = reason
        if state is before:
            return
        self.state = state
        self.since = self._clock.mono()
        if state in AWAY:
            self._issue_open = True
            self._health.set("device_offline", self.device, self._text(), self._repair)
        elif state is DeviceState.ONLINE and self._issue_open:
            self._repair = REPAIR
            self._health.set("device_offline", self.device, self._text(), _WAIT)
        self._changed(self.device, state, reason)
        if not self.flapping:
            self._told(self.device, state, reason)

    def _say_repair(self, repair: str) -> None:
        """What to do has become something else while the device is away."""
        before, self._repair = self._repair, repair
        if repair != before and self.away:
            self._health.set("device_offline", self.device, self._text(), repair)

    def _text(self) -> str:
        count = 0 if self.flapping else len(self._recoveries)  # then `device_flapping` says it
        if self.state is DeviceState.ONLINE:
            return f"answers again; came back {count} times lately" if count > 1 else "answers again"
        text = f"{self.state}: {self.reason}"
        return f"{text} (came back {count} times lately)" if count > 1 else text

    def _watch_flapping(self) -> None:
        now = self._clock.mono()
        while self._recoveries and now - self._recoveries[0] > FLAP_WINDOW_S:
            self._recoveries.popleft()
        if len(self._recoveries) < FLAP_COUNT:
            return
        text = f"came back {len(self._recoveries)} times in {FLAP_WINDOW_S:g} s"
        self._health.set("device_flapping", self.device, text, "check cable, supply and interference")
        if not self.flapping:
            self.flapping = True
            self._told(self.device, DeviceState.DEGRADED, f"flapping: {text}")

    def _watch_steady(self) -> None:
        """End the issues of a device that has answered for long enough."""
        steady = self._clock.mono() - self.since
        if self.state is not DeviceState.ONLINE:
            return
        if self._issue_open and steady >= (STEADY_S if not self.flapping else FLAP_WINDOW_S / 2):
            self._issue_open = False
            self._health.clear("device_offline", self.device)
        if self.flapping and steady >= FLAP_WINDOW_S / 2:
            self.flapping = False
            self._recoveries.clear()
            self._health.clear("device_flapping", self.device)
            self._told(self.device, self.state, "steady again")
