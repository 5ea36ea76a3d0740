"""Looks after the gateway's own machine: a unit that raises and ends issues, and costs a few file reads each time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.clock import Clock
from gateway.health import Health
from gateway.machine import CpuTotals, Machine, disk_used
from gateway.tls import TlsSettings
from gateway.vitals.certificates import NOW, Life, judge, life_of
from gateway.vitals.clocks import ClockLook
from gateway.vitals.thresholds import CPU, DISK, MEMORY, Rolling, Threshold

LOOK_S = 10.0
CERTIFICATES_S = 3600.0
CPU_WINDOW_S = 300.0
ENTITY = "gateway"
_MB = 1_000_000

_REPAIRS = {
    "cpu_high": "longer intervals, fewer rules, or look for another program with: top",
    "cpu_critical": "longer intervals, fewer rules, or look for another program with: top",
    "memory_high": "look for what grows with: systemd-cgtop -m, or raise MemoryMax of the unit",
    "memory_critical": "act before the kernel ends a process: end other programs, or raise MemoryMax of the unit",
    "disk_low": "free space, or lower store.journal.max_bytes",
    "disk_critical": "free space now: the journal drops its oldest readings when there is none",
}


class Vitals:
    """`tls` gives the TLS files of each uplink by name; `state_dir` is the folder of the store."""

    def __init__(
        self,
        state_dir: Path,
        clock: Clock,
        health: Health,
        tls: Callable[[], Mapping[str, TlsSettings]],
        machine: Machine | None = None,
    ) -> None:
        self._state_dir = state_dir
        self._clock = clock
        self._health = health
        self._tls = tls
        self._machine = machine or Machine()
        self._busy = Rolling(CPU_WINDOW_S)
        self._ours = Rolling(CPU_WINDOW_S)
        self._clock_look = ClockLook()
        self._open: set[str] = set()
        self._expiring: dict[str, float] = {}
        self._certificates_at = float("-inf")

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            now = self._clock.mono()
            # a wrong clock says nothing of a certificate
            if self._clock.synced() and now - self._certificates_at >= CERTIFICATES_S:
                self._certificates_at = now
                await self.look_at_certificates()
            await self._clock.sleep(LOOK_S)

    def look(self) -> None:
        """Everything but the certificates, once."""
        now = self._clock.mono()
        self._look_at_cpu(now)
        memory = max(self._machine.memory(), key=lambda each: each.share, default=None)
        if memory is not None:
            sizes = f"{memory.used / _MB:.0f} of {memory.of / _MB:.0f} MB"
            self._judge(MEMORY, memory.share, f"{memory.share:.0%} of memory is used: {memory.what}, {sizes}")
        disk = disk_used(self._state_dir)
        if disk is not None:
            text = f"{1.0 - disk[0]:.1%} of the disk of {self._state_dir} is free: {disk[1] / _MB:.0f} MB"
            self._judge(DISK, disk[0], text)
        self._look_at_clock(now)

    def _look_at_cpu(self, now: float) -> None:
        shares = []
        for rolling, totals in ((self._busy, self._machine.cpu()), (self._ours, self._machine.cpu_of_ours(now))):
            share = _share(rolling, now, totals)
            if share is not None:
                shares.append(share)
        if shares:
            share = max(shares)
            whose = "the machine's processors" if share == shares[0] else "the processor time of this unit"
            self._judge(CPU, share, f"{share:.0%} of {whose} were busy over {CPU_WINDOW_S / 60:.0f} minutes")

    def _look_at_clock(self, now: float) -> None:
        look = self._clock_look
        look.look(now, self._clock.wall_ms(), synced=self._clock.synced())
        unsynced, stepped = look.unsynced_s(now), look.stepped_s(now)
        if unsynced is None:
            self._health.clear("clock_unsynced", ENTITY)
        else:
            self._health.set(
                "clock_unsynced",
                ENTITY,
                f"the clock has not been synchronised for {unsynced / 3600:.0f} h: time stamps may be wrong",
                "see timedatectl: reach a time server, or set clock.trust",
            )
        if stepped is None:
            self._health.clear("clock_stepped", ENTITY)
        else:
            self._health.set(
                "clock_stepped",
                ENTITY,
                f"the clock was set by {stepped:+.1f} s while the gateway ran",
                "find out what sets it; the order of readings is right all the same",
            )

    def _judge(self, thresholds: tuple[Threshold, ...], share: float, text: str) -> None:
        for threshold in thresholds:
            if threshold.holds(share, before=threshold.issue in self._open):
                self._open.add(threshold.issue)
                self._health.set(threshold.issue, ENTITY, text, _REPAIRS[threshold.issue])
            elif threshold.issue in self._open:
                self._open.discard(threshold.issue)
                self._health.clear(threshold.issue, ENTITY)

    async def look_at_certificates(self) -> None:
        """Read the files of all uplinks."""
        files = dict(self._tls())
        found = await asyncio.to_thread(_lives, files)
        now = self._clock.wall_ms() / 1000.0
        for uplink in self._expiring.keys() - files.keys():
            self._expiring.pop(uplink)
            self._health.clear("certificate_expires", uplink)
        for uplink, lives in found.items():
            self._tell(uplink, min((verdict for life in lives if (verdict := judge(life, now))), default=None))

    def _tell(self, uplink: str, verdict: tuple[float, str] | None) -> None:
        before = self._expiring.pop(uplink, None)
        if verdict is None or (before is not None and verdict[0] < before):
            self._health.clear("certificate_expires", uplink)  # worse than before: told anew
        if verdict is not None:
            bound, text = self._expiring[uplink], _ = verdict
            repair = "renew it now" if bound <= NOW else "renew it in time"
            self._health.set("certificate_expires", uplink, f"{uplink}: {text}", repair)


def _share(rolling: Rolling, now: float, totals: CpuTotals | None) -> float | None:
    return None if totals is None else rolling.add(now, totals.busy, totals.total)


def _lives(tls: Mapping[str, TlsSettings]) -> dict[str, list[Life]]:
    """The certificates of each uplink: its own, and its authority's."""
    found: dict[str, list[Life]] = {}
    for uplink, files in tls.items():
        lives = [life_of(files.cert) if files.cert else None, life_of(files.ca, only_alone=True) if files.ca else None]
        found[uplink] = [life for life in lives if life is not None]
    return found
