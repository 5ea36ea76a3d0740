"""The gateway's local socket: what the command line and local programs talk to.

`<state>/fieldpost.sock`, mode 0660, JSON lines (wire.py). Ops are a mapping of handlers; who may do what follows
from the kernel's credentials of the peer (peer.py). A peer can cost a bounded number of bytes, tasks and seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from gateway.errors import PermanentError
from gateway.local.connection import Connection, Handler, Limits
from gateway.local.peer import peer_of, scope_of, user_of
from gateway.local.wire import encode, short_address

__all__ = ["Handler", "Limits", "LocalServer"]

_BACKLOG = 16
_PROBE_S = 2.0


class LocalServer:
    """Serves `handlers` at the socket `path` while `run` runs. May be run again after it has ended."""

    def __init__(
        self,
        path: Path,
        handlers: Mapping[str, Handler],
        log: logging.Logger,
        limits: Limits | None = None,
    ) -> None:
        self.path = path
        self.listening = asyncio.Event()
        self.connections = 0
        self.refused = 0
        self.dropped = 0
        self._handlers = handlers
        self._log = log
        self._limits = limits or Limits()
        self._group_id = -1

    async def run(self) -> None:
        """A supervised unit: listens until cancelled. Raises PermanentError when another gateway owns the socket."""
        listener = claim(self.path)
        owned = self.path.stat()
        self._group_id = owned.st_gid
        try:
            async with asyncio.TaskGroup() as group:
                server = await asyncio.start_unix_server(
                    lambda reader, writer: self._accept(group, reader, writer),
                    sock=listener,
                    limit=self._limits.line,
                )
                try:
                    self.listening.set()
                    await asyncio.get_running_loop().create_future()  # until cancelled
                finally:
                    self.listening.clear()
                    server.close()
        finally:
            listener.close()
            _unlink_own(self.path, owned)

    def _accept(self, group: asyncio.TaskGroup, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.connections >= self._limits.connections:
            self.refused += 1
            text = f"{self._limits.connections} local connections are open"
            writer.write(encode({"id": None, "ok": False, "code": 429, "text": text}))
            writer.close()
            return
        self.connections += 1
        group.create_task(self._serve(reader, writer), name="local:connection")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = None
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            scope, user = scope_of(peer, self._group_id), partial(user_of, peer)
            connection = Connection(reader, writer, self._handlers, scope, self._limits, self._log, user)
            await connection.serve()
        except Exception:
            self._log.exception("a local connection failed")
        finally:
            self.connections -= 1
            self.dropped += connection.outbox.dropped if connection else 0
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()


def claim(path: Path) -> socket.socket:
    """Bind `path`, replacing a socket that nobody listens at. Raises PermanentError when it is in use."""
    _refuse_foreign(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.unlink(missing_ok=True)
        os.fchmod(listener.fileno(), 0o660)  # the file is made with this mode: never open to others, not even briefly
        with short_address(fresh) as address:
            listener.bind(address)
        fresh.chmod(0o660)  # the umask may have taken the group's part away
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003
        fresh.rename(path)  # takes the place of a stale socket in one step
    except OSError as err:
        listener.close()
        fresh.unlink(missing_ok=True)
        raise PermanentError(f"cannot listen at {path}: {err.strerror or err}") from err
    return listener


def _refuse_foreign(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise PermanentError(f"{path} exists and is not a socket: move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            with short_address(path) as address:
                probe.connect(address)
        except OSError as err:
            if err.errno in {errno.ECONNREFUSED, errno.ENOENT}:
                return  # left by a process that is gone
            raise PermanentError(f"cannot tell whether {path} is in use: {err.strerror or err}") from err
    raise PermanentError(f"another gateway is running with the state directory {path.parent}")


def _unlink_own(path: Path, owned: os.stat_result) -> None:
    with contextlib.suppress(OSError):
        now = path.lstat()
        if (now.st_dev, now.st_ino) == (owned.st_dev, owned.st_ino):
            path.unlink()
