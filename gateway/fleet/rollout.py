"""A deployment as a value: which gateways get their job when, when it stops, how it ended. Pure.

Fed with words of gateways and with time (seconds of any clock that does not jump); says which jobs have to stand at the
broker. A wave begins when the one before has ended. The canaries have to succeed, each of them, and to be well for the
soak; after that it stops when more have failed than may. What has not begun by then is not sent, what was sent and can
still be cancelled is taken out, and what cannot is waited for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from msgspec import Struct

from gateway.fleet.course import Course, End
from gateway.fleet.jobwire import JobStatus
from gateway.fleet.waves import Waves


class Limits(Struct, frozen=True, kw_only=True):
    """How long to wait, in seconds, and how much may go wrong.

    `within_s`: for the end of a job, from when it is sent. `answer_s`: for the first word of a gateway that is online.
    `offline_s`: for a gateway that is away; then its job waits at the broker and it counts as pending. `soak_s`: after
    the canaries. `most_failures`: it stops with one more.
    """

    within_s: float
    answer_s: float = 120.0
    offline_s: float = 0.0
    soak_s: float = 0.0
    most_failures: int = 0


class Rollout:
    """One deployment on its way."""

    def __init__(self, waves: Waves, limits: Limits) -> None:
        self.waves = waves
        self.limits = limits
        self.courses = {name: Course(name, at) for at, wave in enumerate(waves.waves) for name in wave}
        self.stopped = ""
        """Why it stopped; empty while it goes on, and when it went through."""
        self.wave = -1
        """The wave that is under way, counted from 0."""
        self.soak_until: float | None = None
        self._soaked = not waves.canaries

    def resume(self, ends: Mapping[str, End], sent: Collection[str], now: float) -> None:
        """What is known of an earlier run: how gateways ended, and which were sent their job. Time begins anew."""
        for name, course in self.courses.items():
            if name in sent or name in ends:
                course.begin(now)
                self.wave = max(self.wave, course.wave)
            if name in ends:
                course.finish(ends[name])
        self._soaked = self._soaked or self.wave > 0

    def hear(self, gateway: str, status: JobStatus, now: float) -> bool:
        """A word about this deployment's job; whether it is news."""
        course = self.courses.get(gateway)
        return course is not None and course.hear(status, now)

    def step(self, now: float) -> None:
        """Look at the time and at what was heard; afterwards `courses` say what has to stand at the broker."""
        for course in self.courses.values():
            course.judge(
                now,
                answer_s=self.limits.answer_s,
                within_s=self.limits.within_s,
                offline_s=None if self._canary(course) else self.limits.offline_s,
            )
        if not self.stopped and (why := self._too_much()):
            self._stop(why, now)
        while not self.stopped and self._may_begin_next(now):
            self.wave += 1
            self._begin(now)
        if not self.stopped:
            self._begin(now)  # what an earlier run began and did not send

    def _begin(self, now: float) -> None:
        for course in self.courses.values():
            if course.wave <= self.wave and course.begun_at is None:
                course.begin(now)

    def refuse(self, gateway: str, text: str) -> None:
        """Its job cannot be sent: somebody else's is there."""
        self.courses[gateway].finish(End("rejected", text, 409))

    def pause(self, seconds: float) -> None:
        """Nothing could be heard for so long: nobody is blamed for it."""
        for course in self.courses.values():
            if course.begun_at is not None:
                course.begun_at += seconds
                course.since += seconds
        if self.soak_until is not None:
            self.soak_until += seconds

    @property
    def done(self) -> bool:
        if self.stopped:
            return all(course.closed or course.begun_at is None for course in self.courses.values())
        last = self.wave == len(self.waves.waves) - 1
        return last and self._wave_closed() and (self._soaked or self._soak_is_all())

    @property
    def failures(self) -> list[Course]:
        return [course for course in self.courses.values() if course.failed]

    @property
    def counts(self) -> Counter[str]:
        """How many are in which state."""
        return Counter(course.state for course in self.courses.values())

    def _canary(self, course: Course) -> bool:
        return self.waves.canaries and course.wave == 0

    def _wave_closed(self) -> bool:
        return all(self.courses[name].closed for name in self.waves.waves[self.wave])

    def _soak_is_all(self) -> bool:
        """With canaries alone there is nothing to soak for, unless it was asked for."""
        return self.limits.soak_s == 0

    def _too_much(self) -> str:
        failed = self.failures
        canaries = [course for course in failed if self._canary(course)]
        if canaries:
            first = canaries[0]
            told = first.end.text if first.end is not None and first.fell_back else f"ended {first.state}"
            return f"{first.gateway} was a canary and {told}"
        if len(failed) > self.limits.most_failures:
            names = ", ".join(course.gateway for course in failed[:3]) + (", ..." if len(failed) > 3 else "")
            return f"{len(failed)} failed ({names}), {self.limits.most_failures} may"
        return ""

    def _stop(self, why: str, now: float) -> None:
        self.stopped = why
        self.soak_until = None
        for course in self.courses.values():
            if course.begun_at is None:
                course.finish(End("skipped", "not sent"))
            elif course.end is None and not (course.heard is not None and course.heard.committed):
                course.withdrawn_at = now
                course.pending = False
        self._settle(now)

    def _settle(self, now: float) -> None:
        """What was taken out of the broker before its gateway could know of it has ended by that."""
        for course in self.courses.values():
            course.judge(now, answer_s=self.limits.answer_s, within_s=self.limits.within_s, offline_s=None)

    def _may_begin_next(self, now: float) -> bool:
        if self.wave < 0:
            return True
        if not self._wave_closed():
            return False
        if not self._soaked and not self._soak(now):
            return False
        return self.wave < len(self.waves.waves) - 1

    def _soak(self, now: float) -> bool:
        """Whether the canaries have been well for long enough. Ends the rollout when one is not."""
        if self.soak_until is None:
            self.soak_until = now + self.limits.soak_s
        if now < self.soak_until:
            return False
        self.soak_until = None
        self._soaked = True
        for name in self.waves.waves[0]:
            course = self.courses[name]
            if self.limits.soak_s and course.online is False:
                self._stop(f"{name} was a canary and is offline after the soak", now)
            elif self.limits.soak_s and course.version_at_end not in {None, course.version}:
                told = f"has gone from version {course.version_at_end} to {course.version}"
                self._stop(f"{name} was a canary and {told} in the soak", now)
        return not self.stopped
