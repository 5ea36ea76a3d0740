"""journal --format edgex: readings of the running gateway as events of EdgeX, one a line."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session


def export_events(session: Session) -> int:
    """Exit 0 when the file, or what was printed, is whole. A file is there whole or not at all."""
    if session.option("stream") not in {None, "telemetry"}:
        raise CommandFailed("events of EdgeX are made of readings: write --stream telemetry", Exit.USAGE)
    if session.option("limit") is not None:
        raise CommandFailed("--limit counts entries, not events: write --since 1h", Exit.USAGE)
    args: dict[str, Any] = {"quality": session.option("quality") or "good"}
    if session.option("since") is not None:
        args["since_ms"] = int((time.time() - session.option("since")) * 1000)
    written = _Written()
    name = session.option("output")
    if name is None:
        if session.out.as_json:
            raise CommandFailed("the lines are JSON anyway: leave out --json, or name a file with -o", Exit.USAGE)
        for line in written.lines(session, args):
            session.out.line(line)
        return Exit.OK
    with _whole(Path(name)) as file:
        for line in written.lines(session, args):
            file.write(line.encode() + b"\n")
    view = {"ok": True, "file": str(name), "events": written.events, "missing": written.missing}
    if session.out.as_json:
        session.out.result(view)
    else:
        session.out.line(clean(f"{written.events} events in {name}"))
        if written.missing:
            session.out.line(f"{written.missing} readings of that time are not held any more")
    return Exit.OK


class _Written:
    """What came."""

    def __init__(self) -> None:
        self.events = 0
        self.missing = 0

    def lines(self, session: Session, args: dict[str, Any]) -> Iterator[str]:
        with session.client() as client:
            for item in client.stream("edgex_events", args):
                if "gap" in item:
                    self.missing += item["gap"]["to"] - item["gap"]["from"] + 1
                    continue
                self.events += len(item["lines"])
                yield from item["lines"]


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when it was written without an error."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
