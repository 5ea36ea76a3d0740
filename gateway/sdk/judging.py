"""`driver ls` and `driver test` as the parent sees them: rows and results of a child, and what a child without an end
says of its driver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import asdict

from gateway.conformance import Report, Result, Verdict
from gateway.conformance.checks import CHECKS, LOOP
from gateway.errors import ConfigError, Problem
from gateway.sdk.apart import run_apart
from gateway.sdk.examine import CannotTest, Wish
from gateway.sdk.installed import Row

SILENCE_S = 60.0
"""A check whose event loop does not turn for so long will not end."""
CHECK_S = 900.0
"""The longest that one check may take, whatever it waits for."""
IMPORT_S = 20.0
"""The longest that the list waits for one driver's import."""
_CHILD = "gateway.cli.driverchild"


def checks_apart(  # noqa: PLR0913 - the last two are for impatient tests
    name: str,
    wish: Wish,
    told: Callable[[Result], None],
    *,
    debug: bool = False,
    silence_s: float = SILENCE_S,
    check_s: float = CHECK_S,
) -> Report:
    """Run the checks in a child. Raises ConfigError, and CannotTest with what the child refused."""
    results: list[Result] = []
    under_way = (CHECKS[0].name, CHECKS[0].title)
    trouble: list[Exception] = []

    def heard(message: dict[str, Any]) -> None:
        nonlocal under_way
        if "step" in message:
            under_way = (message["step"][0], message["step"][1])
        elif "result" in message:
            done(msgspec.convert(message["result"], Result))
        elif "problems" in message:
            trouble.append(ConfigError(msgspec.convert(message["problems"], list[Problem])))
        elif "refused" in message:
            trouble.append(CannotTest(message["refused"]))

    def done(result: Result) -> None:
        results.append(result)
        told(result)

    asked = {**asdict(wish), "channel": str(wish.channel or ""), "only": list(wish.only), "writes": dict(wish.writes)}
    request = {"what": "test", "name": name, "debug": debug, "wish": asked}
    ended = run_apart(_CHILD, request, heard, silence_s=silence_s, step_s=check_s)
    if trouble:
        raise trouble[0]
    if ended is not None:
        check, title = LOOP if ended.silent else under_way
        text = f"in check {under_way[0]}, the driver {ended.text}; the checks after it did not run"
        done(Result(check, title, Verdict.FAIL, (text,)))
    return Report(name, tuple(results))


def rows_apart(limit_s: float = IMPORT_S) -> list[Row]:
    """All drivers that are installed, by name. One that does not come back from its import is told, the others are
    looked at in a new child.
    """
    rows: list[Row] = []
    while True:
        under_way: list[str] = []

        def heard(message: dict[str, Any], under_way: list[str] = under_way) -> None:
            if "step" in message:
                under_way[:] = message["step"]
            elif "row" in message:
                rows.append(msgspec.convert(message["row"], Row))
                under_way.clear()

        known = [[row.name, row.distribution] for row in rows]
        ended = run_apart(_CHILD, {"what": "ls", "known": known}, heard, silence_s=limit_s, step_s=limit_s)
        if ended is None:
            return sorted(rows, key=lambda row: (row.name, row.distribution))
        if not under_way:
            raise CannotTest(f"the drivers cannot be listed: the process that imports them {ended.text}")
        rows.append(Row(under_way[0], under_way[1], None, "", f"its import {ended.text}"))
