"""How deployments and jobs look to people, and as JSON. Text from afar is cleaned of control characters."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.cli import forms
from gateway.cli.output import Output, clean
from gateway.fleet.course import Course
from gateway.fleet.deployment import Deployment
from gateway.fleet.jobboard import JobBoard
from gateway.fleet.jobwire import JobStatus
from gateway.fleet.planning import Plan
from gateway.fleet.rollout import Rollout
from gateway.fleet.roster import GatewayInfo
from gateway.fleet.withdrawing import Withdrawn

_GOOD, _OPEN = frozenset({"succeeded"}), frozenset({"sent", "offline", "queued", "in_progress"})
_LONGEST = 90


def title(deployment: Deployment) -> str:
    """What is deployed, in a few words."""
    return deployment.label if deployment.label == deployment.op else f"{deployment.op} {deployment.label}"


def style(course: Course) -> str:
    """The style of a gateway's line."""
    if course.state in _GOOD:
        return "good"
    if course.state in {"planned", "skipped"}:
        return "dim"
    if course.state in _OPEN:
        return "" if course.heard is not None else "uncertain"
    return "bad"


def plan(out: Output, made: Plan) -> None:
    """What would be sent to whom, and in which order."""
    deployment = made.deployment
    if out.as_json:
        waves = [list(wave) for wave in deployment.waves]
        head = {"deployment": deployment.id, "op": deployment.op, "target": deployment.label}
        out.result({**head, "waves": waves, "canaries": deployment.canaries, "exp": deployment.exp})
        return
    out.line(f"{clean(title(deployment))}, not begun after {forms.clock(deployment.exp)}")
    rows = []
    for number, wave in enumerate(deployment.waves):
        for name in wave:
            info = made.known[name]
            job = made.standing.get(name)
            state = "online" if info.online else "offline" if info.online is False else "unknown"
            rows.append((wave_name(deployment, number), name, state, info.version or "-", job.name if job else ""))
    out.table(("wave", "gateway", "state", "version", "its job now"), rows)
    out.line("nothing was sent")


def wave_name(deployment: Deployment, number: int) -> str:
    """`canary`, then 1, 2, ..."""
    if deployment.canaries:
        return "canary" if number == 0 else str(number)
    return str(number + 1)


def where(course: Course) -> str:
    """Where its job is, in few words."""
    heard = course.heard
    if course.end is not None or heard is None:
        return ""
    percent = f" {heard.percent} %" if heard.percent is not None else ""
    return f"{heard.step}{percent}"


def why(course: Course) -> str:
    """Why it ended so, or what holds it."""
    text = course.end.text if course.end is not None else course.heard.text if course.heard is not None else ""
    told = text.startswith(("taken back", "rolled back"))
    if course.end is not None and course.end.detail.get("rolled_back") and not told:
        text = f"rolled back: {text}" if text else "rolled back"
    return text or ("its job waits at the broker" if course.pending else "")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def rows_of(deployment: Deployment, courses: Sequence[Course], *, longest: int = _LONGEST) -> list[tuple[str, ...]]:
    """Cells of `HEADER`; a reason has at most `longest` characters."""
    return [
        (
            wave_name(deployment, course.wave),
            course.gateway,
            course.state,
            where(course),
            course.version or "-",
            _short(why(course), longest),
        )
        for course in courses
    ]


HEADER = ("wave", "gateway", "state", "step", "version", "")


def outcome(out: Output, deployment: Deployment, rollout: Rollout) -> None:
    """Who ended how, when all is over."""
    courses = list(rollout.courses.values())
    if out.as_json:
        out.result(_outcome_body(deployment, rollout))
        return
    longest = _LONGEST if out.is_terminal else sys.maxsize  # a file or a pipe has no edge
    out.table(HEADER, rows_of(deployment, courses, longest=longest), [style(course) for course in courses])
    out.line(summary(rollout))
    if rollout.stopped:
        out.line(out.styled(clean(f"stopped: {rollout.stopped}"), "bad"))
        out.line(
            f"deployment {deployment.id}: what had not begun is taken back, the other gateways keep what they have"
        )
    elif any(course.pending for course in courses):
        out.line(f"the rest is heard by: fieldpost fleet deploy --resume {deployment.id}{_at(deployment)}")


def _outcome_body(deployment: Deployment, rollout: Rollout) -> dict[str, Any]:
    gateways = [
        {
            "gateway": course.gateway,
            "wave": course.wave,
            "state": course.state,
            "step": course.heard.step if course.heard is not None else None,
            "code": course.end.code if course.end is not None else None,
            "text": course.end.text if course.end is not None else "",
            "version": course.version,
            "detail": dict(course.end.detail) if course.end is not None else {},
        }
        for course in rollout.courses.values()
    ]
    good = all(course.end is not None and course.end.good for course in rollout.courses.values())
    head = {"ok": good, "deployment": deployment.id, "op": deployment.op, "target": deployment.label}
    return {**head, "stopped": rollout.stopped, "counts": dict(rollout.counts), "gateways": gateways}


def summary(rollout: Rollout) -> str:
    """Counts of states in one line."""
    order = ("succeeded", "in_progress", "queued", "sent", "offline", "planned")
    counts: Counter[str] = rollout.counts
    names = [*(name for name in order if counts[name]), *sorted(counts.keys() - set(order))]
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in names)


def left(out: Output, deployment: Deployment, rollout: Rollout, retained: Sequence[str]) -> None:
    """What an interrupted deployment leaves at the broker, and how to go on. JSON has one object at the end, which an
    interruption has not.
    """
    if out.as_json:
        return
    out.line(summary(rollout))
    names = ", ".join(sorted(retained)[:5]) + (f" and {len(retained) - 5} more" if len(retained) > 5 else "")
    if retained:
        out.line(f"interrupted; jobs stand at the broker for {len(retained)}: {names}")
    else:
        out.line("interrupted; no job of it stands at the broker")
    out.line(f"go on:   fieldpost fleet deploy --resume {deployment.id}{_at(deployment)}")
    if retained:
        out.line(f"cancel:  fieldpost fleet cancel --all-of {deployment.id}{_at(deployment)}")


def _at(deployment: Deployment) -> str:
    return clean(f" --url {deployment.url}") if deployment.url else ""


def jobs(out: Output, board: JobBoard, only: str | None, now_ms: int) -> None:
    """What stands on each `job/next`."""
    names = [name for name in sorted(board.next) if only in {None, name}]
    if out.as_json:
        out.result({"jobs": [_job_body(board, name) for name in names], "ignored": board.ignored})
        return
    rows, styles = [], []
    for name in names:
        there, info = board.next[name], board.roster.gateway(name)
        status = board.said(name)
        said, text = _said(status, info)
        state = "online" if info is not None and info.online else "offline"
        until = forms.clock(there.job.exp) if there.job is not None else "-"
        op, what = (there.job.op, there.job.what) if there.job is not None else ("?", "")
        rows.append((name, state, there.name, op, what, until, said, text))
        styles.append("dim" if there.over(now_ms) else "bad" if there.job is None else "")
    if rows:
        out.table(("gateway", "", "job", "op", "", "until", "said", ""), rows, styles)
    else:
        out.line("no job stands at the broker" + (f" for {only}" if only else ""))


def _said(status: JobStatus | None, info: GatewayInfo | None) -> tuple[str, str]:
    """How a job stands by its gateway's word, and why; of a release that was given up later, what runs since."""
    if status is None:
        return "-", ""
    slot = status.detail.get("slot")
    if status.state == "succeeded" and slot and info is not None and info.online and info.release not in {None, slot}:
        return "fell back", f"it had succeeded, and runs {info.release} since"
    return f"{status.state} {status.step}".strip(), status.text


def _job_body(board: JobBoard, name: str) -> dict[str, Any]:
    there, info = board.next[name], board.roster.gateway(name)
    status = board.said(name)
    job = None
    if there.job is not None:
        job = {
            "id": there.job.id,
            "ver": there.job.ver,
            "op": there.job.op,
            "what": there.job.what,
            "exp": there.job.exp,
        }
    return {
        "gateway": name,
        "online": info.online if info is not None else None,
        "release": info.release if info is not None else None,
        "job": job,
        "status": None if status is None else msgspec.to_builtins(status),
    }


def withdrawn(out: Output, done: Sequence[Withdrawn]) -> None:
    if out.as_json:
        out.result({"ok": all(each.ok for each in done), "jobs": [msgspec.to_builtins(each) for each in done]})
        return
    rows = [(each.gateway, each.job, each.state, each.text) for each in done]
    out.table(("gateway", "job", "state", ""), rows, ["" if each.ok else "bad" for each in done])
