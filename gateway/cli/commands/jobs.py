"""`fieldpost jobs`: what the fleet's owner wants of this gateway, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.cli import forms
from gateway.cli.output import clean
from gateway.cli.session import Exit, Session

_STYLES = {"failed": "bad", "rejected": "bad", "timed_out": "bad", "in_progress": "bold", "succeeded": "good"}
_SHOWN_ELSEWHERE = {"text", "code"}


def jobs(session: Session) -> int:
    """Those that are open and those that have ended, the newest last."""
    answer = session.call("jobs")
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    rows = answer.get("jobs", [])
    for uplink, count in answer.get("left_out", {}).items():
        session.out.line(clean(f"{uplink}: {count} messages on job/next were not looked at: too many came"))
    if not rows:
        session.out.line("no job came")
        return Exit.OK
    cells = [
        (
            forms.clock(row.get("ts")),
            f"{row['id']} v{row['ver']}",
            str(row["op"]),
            str(row["state"]).replace("_", " "),
            _step(row),
            str(row["via"]),
            _detail(row.get("detail", {})),
        )
        for row in rows
    ]
    styles = [_STYLES.get(row["state"], "") for row in rows]
    session.out.table(("since", "job", "op", "state", "step", "via", ""), cells, styles)
    return Exit.OK


def line(job: Mapping[str, Any]) -> str:
    """The current job in a line of `fieldpost status`."""
    return clean(f"job {job['id']} ({job['op']}): {str(job['state']).replace('_', ' ')}, {_step(job)}")


def _step(row: Mapping[str, Any]) -> str:
    percent = row.get("percent")
    return str(row["step"]) if percent is None else f"{row['step']} {percent} %"


def _detail(detail: Mapping[str, Any]) -> str:
    """The text for people, else the rest in a few words."""
    if detail.get("text"):
        return str(detail["text"])
    rest = {key: value for key, value in detail.items() if key not in _SHOWN_ELSEWHERE}
    return ", ".join(f"{key} {value}" for key, value in rest.items())[:200]
