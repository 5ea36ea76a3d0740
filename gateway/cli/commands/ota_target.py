"""`fieldpost ota install` with what the repository has: a job of the running gateway, which fetches it."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from pathlib import Path
from typing import Any

from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.errors import GatewayError
from gateway.ota.places import Places
from gateway.ota.slots import look

_POLL_S = 0.5
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)+[A-Za-z0-9.]*\Z")
_FINAL = {"succeeded", "failed", "rejected", "timed_out", "cancelled"}


def target_of(word: str) -> str:
    """The target that a word means; empty for a file."""
    if word.startswith(("releases/", "drivers/")) and word.endswith(".json"):
        return word
    return f"releases/fieldpost-{word}.json" if _VERSION.match(word) and not Path(word).exists() else ""


def install_target(session: Session, places: Places, target: str) -> int:
    """Ask the running gateway, then tell each step until the end."""
    from gateway.ota.request import check_job

    job = session.option("job") or f"local-{secrets.token_hex(4)}"
    check_job(job)
    if look(places).job(job) is not None:
        raise CommandFailed(f"there was a job {job}: give this one another name")
    row = session.call("ota_install", {"target": target, "job": job})["job"]
    if session.args.no_wait or row.get("state") in _FINAL:
        return _said(session, job, row)
    return _follow(session, job, row)


def _follow(session: Session, job: str, row: dict[str, Any]) -> int:
    """The gateway ends and starts again meanwhile."""
    end, told = time.monotonic() + float(session.args.wait), ""
    while time.monotonic() < end:
        with contextlib.suppress(GatewayError, OSError):
            rows = session.call("jobs").get("jobs", [])
            row = next((one for one in rows if one["id"] == job), row)
        if row.get("state") in _FINAL:
            return _said(session, job, row)
        line = _step(row)
        if line != told and not session.out.as_json:
            session.out.line(line)
        told = line
        time.sleep(_POLL_S)
    text = {"text": "it has not ended; `fieldpost jobs` says where it is"}
    return _said(session, job, {**row, "state": "timeout", "detail": text})


def _step(row: dict[str, Any]) -> str:
    detail = row.get("detail", {})
    words = [str(row.get("step", "")), str(detail.get("reason", ""))]
    if row.get("percent") is not None:
        words.append(f"{row['percent']} % of {detail.get('total', 0) / 1e6:.1f} MB")
    return clean(" ".join(word for word in words if word))


def _said(session: Session, job: str, row: dict[str, Any]) -> int:
    state, detail = str(row.get("state", "")), dict(row.get("detail", {}))
    good = state == "succeeded" or (session.args.no_wait and state in {"queued", "in_progress"})
    if session.out.as_json:
        session.out.result({**detail, "ok": good, "job": job, "state": state})
    else:
        session.out.line(clean(f"{job}: {state.replace('_', ' ')} {detail.get('text', '')}".strip()))
    return Exit.OK if good else Exit.FAILED
