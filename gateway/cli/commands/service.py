"""run, version."""

from __future__ import annotations

import contextlib
from importlib import metadata
from pathlib import Path

from gateway.cli.session import Exit, Session
from gateway.local.wire import NotRunning, OpError


def run(session: Session) -> int:
    """The gateway itself, until a signal ends it."""
    from gateway import app

    state = session.option("state")
    return app.run(session.config_dir, Path(state).absolute() if state else None)


def version(session: Session) -> int:
    """This program's version, and the running gateway's where one answers: they differ between update and restart."""
    installed = metadata.version("fieldpost")
    running = None
    with contextlib.suppress(NotRunning, OpError):
        running = str(session.call("version", timeout_s=5.0)["version"])
    if session.out.as_json:
        session.out.result({"version": installed, "running": running})
    else:
        session.out.line(f"fieldpost {installed}")
        if running not in {None, installed}:
            session.out.line(f"the running gateway is {running}: restart it to use {installed}")
    return Exit.OK
