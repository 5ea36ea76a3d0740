"""Op `restart` of jobs: the process ends in order, and the service manager starts it again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gateway.jobs.window import Window, parse_window, until_open, zone_of
from gateway.jobs.work import Ended, Job, JobRefused, JobState, Running

if TYPE_CHECKING:
    from gateway.runtime.node import Node

_ENDS_WITHIN_S = 90.0
"""Longer than any stop in order, and than the service manager's patience."""
_ASKED = "asked"


class RestartWork:
    """`ask_to_end`, `environ`: how the process is told to end, and what says who started it."""

    def __init__(
        self,
        node: Node,
        ask_to_end: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._node = node
        self._ask_to_end = ask_to_end
        self._environ = environ

    def check(self, job: Job) -> None:
        """`doc` is {} or {"window": "02:00-04:00"}."""
        strange = sorted(job.doc.keys() - {"window"})
        if strange:
            raise JobRefused(f"doc.{strange[0][:40]}: a restart knows only `window`")
        _window(job)
        if not is_started_again(self._environ):
            raise JobRefused("nobody would start this process again: it does not run as a service", code=409)

    async def run(self, running: Running) -> Ended:
        """Once: a job that has asked for the end of its process is done when it is met again."""
        if running.kept.get(_ASKED):
            return Ended(JobState.SUCCEEDED, "started again")
        window = _window(running.job)
        zone = zone_of(self._node.settings.timezone)
        await until_open(running, lambda: window, self._node.clock, zone)
        await running.step("restart", keep={_ASKED: self._node.clock.wall_ms()})
        await running.commit()
        self._ask_to_end()
        await self._node.clock.sleep(_ENDS_WITHIN_S)
        return Ended(JobState.FAILED, "the process was told to end and did not", code=500)


def _window(job: Job) -> Window | None:
    return parse_window(job.doc["window"]) if "window" in job.doc else None


def is_started_again(environ: Mapping[str, str]) -> bool:
    """Whether systemd runs this very process as a service: the shells of such a service have INVOCATION_ID too."""
    if environ.get("NOTIFY_SOCKET"):
        return True
    main = environ.get("SYSTEMD_EXEC_PID")
    return bool(environ.get("INVOCATION_ID")) and main in (None, str(os.getpid()))
