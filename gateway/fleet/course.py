"""One gateway in a deployment: what it was sent, what it said, how it ended. Pure; times are seconds of one clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.fleet.jobwire import JobStatus


class End(Struct, frozen=True):
    """How it ended. `state` is a final state of jobs, or `skipped`: never sent."""

    state: str
    text: str = ""
    code: int = 0
    detail: Mapping[str, Any] = {}

    @property
    def good(self) -> bool:
        return self.state == "succeeded"


class Course:
    """The job's way at one gateway.

    `begun_at` is when it was put at the broker, `since` from when on a word of the gateway is owed. `withdrawn_at`: we
    took it out; `gone_at`: somebody did, and why. `pending`: the gateway is away and not waited for.
    """

    def __init__(self, gateway: str, wave: int) -> None:
        self.gateway = gateway
        self.wave = wave
        self.begun_at: float | None = None
        self.since = 0.0
        self.heard: JobStatus | None = None
        self.end: End | None = None
        self.pending = False
        self.withdrawn_at: float | None = None
        self.gone_at: float | None = None
        self.gone_why = ""
        self.online: bool | None = None
        self.version: str | None = None
        self.version_at_end: str | None = None
        self.fell_back = False
        """It had succeeded, and runs another release since."""

    @property
    def active(self) -> bool:
        """Sent and not ended."""
        return self.begun_at is not None and self.end is None

    @property
    def closed(self) -> bool:
        """Nothing more is waited for."""
        return self.end is not None or self.pending

    @property
    def failed(self) -> bool:
        """It ended, not well, and not because we took it out."""
        return self.end is not None and not self.end.good and self.withdrawn_at is None

    @property
    def state(self) -> str:
        """One word: planned, sent, offline, queued, in_progress, a final state, skipped."""
        if self.end is not None:
            return self.end.state
        if self.begun_at is None:
            return "planned"
        if self.heard is not None:
            return self.heard.state
        return "sent" if self.online else "offline"

    def begin(self, now: float) -> None:
        self.begun_at = self.since = now

    def hear(self, status: JobStatus, now: float) -> bool:
        """A word about our job; whether it is news. What comes after an end, or is older than what is known, is not."""
        if self.end is not None or self.begun_at is None:
            return False
        known = self.heard
        if known is not None and status.ver < known.ver:
            return False
        if status.final:
            self.finish(End(status.state, status.text, status.code or 0, status.detail))
        elif known == status:
            return False
        if self.pending:  # it came back: its time begins now
            self.pending = False
            self.begun_at = now
        self.heard = status
        return True

    def see(self, *, online: bool | None, version: str | None, release: str | None = None, now: float) -> None:
        """What the gateway's status says. A release that was kept may be given up later, while it is on probation."""
        if online and not self.online:
            self.since = max(self.since, now)
        elif self.online and not online:
            self.since = now
        self.online = online
        self.version = version or self.version
        end = self.end
        if end is not None and end.good and online and release and end.detail.get("slot", release) != release:
            self.fell_back = True
            self.finish(_fell_back(end, release))

    def finish(self, end: End) -> None:
        self.end = end
        self.pending = False
        self.version_at_end = self.version

    def judge(self, now: float, *, answer_s: float, within_s: float, offline_s: float | None) -> None:
        """End what has come to no end in time. `offline_s`: how long to wait for a gateway that is away before it
        counts as pending; None: as long as for any end.
        """
        if not self.active or self.begun_at is None:
            return
        if (left := self._left_since()) is not None and self._owes_nothing(now - left, answer_s):
            self.finish(End("cancelled", self.gone_why or "taken out before it was begun", 409))
        elif self.pending:
            return
        elif self.heard is None and self.online and now - self.since >= answer_s:
            text = f"no word of it in {answer_s:g} s: it takes no jobs from here (uplink key `jobs`), is too old, or"
            text += " this user may not read what it says"
            self.finish(End("failed", text, 504))
        elif self.heard is None and not self.online and offline_s is not None and now - self.since >= offline_s:
            self.pending = True
        elif now - self.begun_at >= within_s:
            last = f"{self.heard.state} {self.heard.step}".strip() if self.heard is not None else "it is offline"
            self.finish(End("timed_out", f"no end in {within_s:g} s; last: {last}", 504))

    def _left_since(self) -> float | None:
        """Since when the job is no longer at the broker."""
        return self.withdrawn_at if self.withdrawn_at is not None else self.gone_at

    def _owes_nothing(self, passed: float, answer_s: float) -> bool:
        """Of a job that was taken out: the gateway cannot know it, or had time enough to say something."""
        return self.heard is None and (not self.online or passed >= answer_s)


def _fell_back(end: End, release: str) -> End:
    """The end of one that had succeeded and runs another release since."""
    text = f"had succeeded, and runs {release} since"
    return End("failed", text, 500, {**end.detail, "rolled_back": True, "runs": release})
