"""export --server: where the tags of a running server are found, for whoever sets up the HMI or PLC."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from gateway.cli.session import CommandFailed, Exit, Session
from gateway.cli.writing import write_all


def server_map(session: Session) -> int:
    """Print the map as CSV; the gateway is asked, as it keeps the places that it has given."""
    if session.args.device:
        raise CommandFailed("a server's map is printed whole: leave the devices out", Exit.USAGE)
    answer = session.call("server_map", {"name": session.args.server})
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    rows = answer.get("map", [])
    text = _csv(rows)
    if session.option("output"):
        write_all({Path(session.args.output): text.encode()})
        session.out.line(f"{len(rows)} places in {session.args.output}")
    else:
        session.out.line(text.rstrip("\n"))
    return Exit.OK


def _csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    columns = list(rows[0]) if rows else []
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if row.get(column) is None else row[column] for column in columns] for row in rows)
    return out.getvalue()
