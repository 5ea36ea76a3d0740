"""A deployment while it runs: a table that stays in its place on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import shutil
import time

from gateway.cli import deploy_tables as tables
from gateway.cli.output import Output, clean
from gateway.fleet.course import Course
from gateway.fleet.deployment import Deployment
from gateway.fleet.rollout import Rollout

_EVERY_S = 0.2
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"
_BESIDE = 4
"""Lines of the screen that are not gateways: header, summary, remark, the prompt to come."""


class Screen:
    """Told after each change (`look`)."""

    def __init__(self, out: Output, deployment: Deployment, rollout: Rollout) -> None:
        self._out = out
        self._deployment = deployment
        self._rollout = rollout
        self._live = out.is_terminal and not out.as_json
        self._drawn = 0
        self._drawn_at = 0.0
        self._said: dict[str, tuple[str, str]] = {}
        self._stopped = ""
        self._remark = ""
        if not out.as_json:
            count = len(rollout.courses)
            text = f"deployment {deployment.id}: {tables.title(deployment)} for {count} gateways"
            out.line(clean(text if count != 1 else text.removesuffix("s")))

    def look(self, rollout: Rollout, remark: str) -> None:
        """Show what is so now."""
        self._remark = remark or self._remark
        if self._out.as_json:
            return
        if self._live:
            if remark or time.monotonic() - self._drawn_at >= _EVERY_S:
                self._draw()
            return
        if remark:
            self._out.line(clean(remark))
        for course in rollout.courses.values():
            self._line(course)
        if rollout.stopped != self._stopped:
            self._stopped = rollout.stopped
            self._out.line(clean(f"stopped: {rollout.stopped}"))

    def close(self) -> None:
        """Nothing more is drawn; the final table takes the place of the live one."""
        if self._drawn:
            self._out.draw(f"\r\x1b[{self._drawn}A{_CLEAR_BELOW}")
            self._drawn = 0

    def _line(self, course: Course) -> None:
        said = (course.state, course.heard.step if course.heard is not None and course.end is None else "")
        if said == self._said.get(course.gateway, ("planned", "")):
            return
        self._said[course.gateway] = said
        text = f"{course.gateway}: {said[0]}" + (f" {said[1]}" if said[1] else "")
        reason = tables.why(course)
        self._out.line(clean(f"{text}: {reason}" if reason else text))

    def _draw(self) -> None:
        """Those under way first; what does not fit is in the counts."""
        columns, lines = shutil.get_terminal_size((80, 24))
        courses = sorted(self._rollout.courses.values(), key=_nearest)
        shown = courses[: max(1, lines - _BESIDE - 1)]
        shown.sort(key=lambda course: (course.wave, course.gateway))
        rows = [
            tuple(cell if len(cell) < 40 else f"{cell[:37]}..." for cell in row)
            for row in tables.rows_of(self._deployment, shown)
        ]
        found = self._out.table_lines(tables.HEADER, rows, [tables.style(course) for course in shown])
        found = [line if len(line) <= columns + 9 else _cut(line, columns) for line in found]
        found.append(_cut(clean(self._foot()), columns))
        up = f"\r\x1b[{self._drawn}A" if self._drawn else ""
        self._out.draw(up + "".join(f"{line}{_CLEAR_LINE}\n" for line in found) + _CLEAR_BELOW)
        self._drawn, self._drawn_at = len(found), time.monotonic()

    def _foot(self) -> str:
        if self._rollout.stopped:
            return f"{tables.summary(self._rollout)}; stopped: {self._rollout.stopped}"
        soak = "; canaries are watched" if self._rollout.soak_until is not None else ""
        return tables.summary(self._rollout) + soak + (f"; {self._remark}" if self._remark else "")


def _nearest(course: Course) -> tuple[int, int, str]:
    """What people want to see first: what failed, what moves, what is owed a word, what is to come, what is done."""
    if course.failed:
        rank = 0
    elif course.active:
        rank = 1 if course.heard is not None else 2
    else:
        rank = 3 if course.end is None else 4
    return rank, course.wave, course.gateway


def _cut(line: str, columns: int) -> str:
    """A line that does not wrap: styles are lost where it is too long."""
    plain = line
    while "\x1b" in plain:
        before, _, after = plain.partition("\x1b")
        plain = before + after.partition("m")[2]
    return plain if len(plain) <= columns else f"{plain[: columns - 1]}~"
