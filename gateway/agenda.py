"""Which poll is next on one wire: what the timetable calls up, sorted by how far its device can be trusted.

Polls of devices that answer go first, the one that is due again soonest before others. Requests to doubtful devices
(the last answer did not come) and probes of those that are away go in idle moments, within the budget for silence.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

from gateway.arbiter import Arbiter, SilenceBudget
from gateway.clock import Clock
from gateway.model import ChannelSpec
from gateway.ondemand import Job
from gateway.plans import Group, Line, Poll
from gateway.scheduler import Timetable
from gateway.stats import Stats
from gateway.writes import PendingWrite

PATIENCE_S = 2.0
"""A request to a doubtful device that found no idle moment for so long goes before healthy polls, budget permitting."""
_LONGEST_WAIT_S = 30.0
_SHORT_WAIT_S = 0.25
_GLANCE_S = 1.0
"""How often the wall clock is looked at while readings are aligned to it: it may be set at any time."""
_NEVER = float("inf")


class Agenda:
    """The polls of one channel. `dirty`: a device's state changed, probes must be looked at again."""

    def __init__(
        self,
        channel: ChannelSpec,
        lines: Sequence[Line],
        arbiter: Arbiter[PendingWrite, Job, Poll],
        stats: Stats,
        clock: Clock,
        timezone: str,
    ) -> None:
        self._channel = channel
        self._lines = lines
        self._arbiter = arbiter
        self._stats = stats
        self._clock = clock
        self._timetable: Timetable[Group] = Timetable(timezone)
        self._budget = SilenceBudget(channel.silence_share, clock.mono())
        self._probe_at = _NEVER
        self._due = _NEVER
        self.dirty = True

    def enter(self, line: Line) -> None:
        """Poll a device from now on, at once for the first time."""
        now = self._clock.mono()
        for group in line.groups:
            group.waiting = 0
            self._timetable.add(group, group.schedule, now)
        self._look()

    def remove(self, line: Line) -> None:
        """Ask nothing more of a device; what waits is dropped."""
        for queue in (self._arbiter.polls, self._arbiter.doubtful):
            kept = [poll for poll in queue if poll.line is not line]
            queue.clear()
            queue.extend(kept)
        for group in line.groups:
            self._timetable.remove(group)
        self._look()

    def clear(self) -> None:
        """The link is gone: nothing waits any more, nothing is due until `enter`."""
        for line in self._lines:
            for group in line.groups:
                group.waiting = 0
                self._timetable.remove(group)
                for poll in group.polls:
                    poll.queued_at = None
        self._arbiter.clear_polls()
        self._look()

    def welcome(self, line: Line) -> None:
        """A device is back: ask all of it at once, not only what the probe asked."""
        now = self._clock.mono()
        for group in line.groups:
            for poll in group.polls:
                poll.rest_until = 0.0
            if not group.waiting and any(poll.bad is not None for poll in group.polls):
                self._timetable.at_once(group, now)
        self._look()

    def collect(self, now: float) -> None:
        """Queue what has become due."""
        if self.dirty:
            self.dirty = False
            times = (line.monitor.next_probe for line in self._lines)
            self._probe_at = min((at for at in times if at is not None), default=_NEVER)
        if self._timetable.has_aligned and self._timetable.watch(now, self._clock.wall_ms()):
            self._look()
        if self._due <= now:
            for group in self._timetable.take(now, self._clock.wall_ms()):
                self._enqueue(group, now)
            self._look()
        if self._probe_at <= now:
            for line in self._lines:
                self._enqueue_probe(line, now)
            self.dirty = True

    def next_poll(self, now: float) -> Poll | None:
        """The request to send now, if any."""
        polls, doubtful = self._arbiter.polls, self._arbiter.doubtful
        while polls and self._is_doubtful(polls[0]):  # its device failed after it was queued
            doubtful.append(polls.popleft())
        while doubtful and not doubtful[0].line.monitor.on_schedule and not self._is_probe(doubtful[0]):
            self.done(doubtful.popleft())
        if doubtful and (not polls or self._waited(doubtful[0], now) > PATIENCE_S):
            poll = doubtful[0]
            if self._budget.allows(self._likely_cost(now), now):
                return doubtful.popleft()
            if not poll.line.monitor.away:
                doubtful.popleft()
                self.done(poll)
                poll.line.monitor.demote(f"silent beyond its share of the wire: {poll.line.monitor.reason}")
        return polls.popleft() if polls else None

    def next_time(self, now: float) -> float:
        """When to look again if nothing else happens."""
        longest = _GLANCE_S if self._timetable.has_aligned else _LONGEST_WAIT_S
        times = [now + longest, self._probe_at, self._due]
        if (due := self._arbiter.job_due()) is not None:
            times.append(due)
        if self.dirty or self._arbiter.doubtful:  # waits for the budget
            times.append(now + _SHORT_WAIT_S)
        return min(times)

    def charge(self, start: float, end: float) -> None:
        """A request sent at `start` brought nothing until `end`: charge what the others had to wait for it."""
        if any(not self._is_doubtful(poll) for poll in self._arbiter.polls):
            cost = end - start
        else:
            cost = max(0.0, end - max(start, self._healthy_due()))
        self._budget.charge(cost, end)

    @staticmethod
    def done(poll: Poll) -> None:
        """A poll does not wait any more."""
        if poll.queued_at is not None:
            poll.queued_at = None
            poll.group.waiting -= 1

    def _look(self) -> None:
        due = self._timetable.next_due()
        self._due = _NEVER if due is None else due

    def _enqueue(self, group: Group, now: float) -> None:
        line = group.line
        if group.waiting:
            self._timetable.miss(group)
        missed = self._timetable.missed(group)
        if missed != group.missed:
            line.stats.missed += missed - group.missed
            self._stats.missed += missed - group.missed
            group.missed = missed
        if not line.monitor.on_schedule:
            line.stats.skipped += 1
            return
        if group.waiting:
            return
        deadline = self._timetable.due(group)
        for poll in group.polls:
            if poll.rest_until > now:
                continue
            poll.queued_at, poll.deadline = now, deadline
            group.waiting += 1
            if self._is_doubtful(poll):
                self._arbiter.doubtful.append(poll)
            else:
                self._put(poll)

    def _put(self, poll: Poll) -> None:
        """Queue a poll by its next deadline: then no interval is missed as long as all of them fit on the wire."""
        polls = self._arbiter.polls
        if not polls or polls[-1].deadline <= poll.deadline:
            polls.append(poll)
        else:
            insort(polls, poll, key=_deadline)

    def _enqueue_probe(self, line: Line, now: float) -> None:
        if not line.monitor.probe_due(now):
            return
        line.monitor.postpone_probe()
        poll = line.smallest()
        if poll is not None and poll.queued_at is None:
            poll.queued_at = now
            poll.group.waiting += 1
            self._arbiter.doubtful.append(poll)

    @staticmethod
    def _is_doubtful(poll: Poll) -> bool:
        return poll.failures > 0 or poll.line.monitor.failures > 0 or poll.line.monitor.next_probe is not None

    @staticmethod
    def _is_probe(poll: Poll) -> bool:
        return poll is poll.line.smallest()

    @staticmethod
    def _waited(poll: Poll, now: float) -> float:
        return 0.0 if poll.queued_at is None else now - poll.queued_at

    def _likely_cost(self, now: float) -> float:
        """Seconds for which others would wait if a request sent now stayed without an answer."""
        if self._arbiter.polls:
            return self._channel.timeout_s
        return max(0.0, now + self._channel.timeout_s - self._healthy_due())

    def _healthy_due(self) -> float:
        """When the next request to a device that answers is due."""
        return min(
            (
                self._timetable.due(group)
                for line in self._lines
                if line.monitor.on_schedule and not line.monitor.failures
                for group in line.groups
            ),
            default=_NEVER,
        )


def _deadline(poll: Poll) -> float:
    return poll.deadline
