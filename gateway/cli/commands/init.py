"""init: a first configuration folder that is valid as written."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from gateway.cli.session import CommandFailed, Exit, Session
from gateway.cli.writing import write_all

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")

_GATEWAY = """\
# The gateway itself. Every word: docs/reference/config.md
gateway:
  id: {id}

store:
  path: {state}              # journal, configuration generations, socket

# Where readings go. Without an uplink everything is kept in the journal.
# uplinks:
#   cloud:
#     urls: [mqtt://127.0.0.1:1883]
"""

_CHANNEL = """\
# One wire: a Modbus TCP server and the units behind it.
driver: modbus
url: tcp://{host}:{port}
devices:
  device1:
    unit_id: 1
    interval: 1s
    tags:
      value: {{address: holding/0, type: uint16}}   # holding/0 is 40001 in many manuals
"""


def init(session: Session) -> int:
    """Write gateway.yaml and one channel; never over what is there."""
    folder = Path(session.option("folder") or session.option("config") or "config").absolute()
    if (folder / "gateway.yaml").exists():
        raise CommandFailed(f"{folder}/gateway.yaml exists already; nothing was written")
    name = session.option("id") or re.sub(r"[^A-Za-z0-9_-]+", "-", platform.node()).strip("-_")[:64] or "gateway"
    if not _ID.fullmatch(name):
        raise CommandFailed(
            f"{name!r} is not an id: letters, digits, - and _, starting with a letter or digit", Exit.USAGE
        )
    host, port = _device(session.option("modbus") or "127.0.0.1:502")
    beside = "state" if folder.name == "config" else f"{folder.name}-state"  # two folders never share a store
    state = Path(session.option("state") or folder.parent / beside).absolute()
    files = {
        folder / "gateway.yaml": _GATEWAY.format(id=name, state=state),
        folder / "channels" / "line1.yaml": _CHANNEL.format(host=host, port=port),
    }
    write_all({path: text.encode() for path, text in files.items()})
    if session.out.as_json:
        session.out.result({"ok": True, "files": [str(path) for path in files]})
    else:
        for path in files:
            session.out.line(f"wrote {path}")
        session.out.line(f"next: edit them, then `fieldpost check {folder}` and `fieldpost run --config {folder}`")
    return Exit.OK


def _device(text: str) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    port = int(match["port"] or 502) if match else 0
    if match is None or not 0 < port < 65536:
        raise CommandFailed(f"{text!r} is not HOST or HOST:PORT", Exit.USAGE)
    return match["host"], port
