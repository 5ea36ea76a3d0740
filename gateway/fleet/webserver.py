"""Serves a repository by plain HTTP, with ranges: for laboratories. What is served is signed, so it needs no secrecy;
a fleet in the field wants a real web server.
"""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from gateway.fleet.faults import FleetError
from gateway.fleet.repositoryfiles import RepositoryFiles

_CHUNK = 65_536
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{1,15})?\Z")
_SILENCE_S = 30.0


@contextmanager
def web_serving(files: RepositoryFiles, host: str, port: int) -> Iterator[str]:
    """The address that it is served at, until the end. Raises FleetError when that cannot be bound."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _SILENCE_S

        def log_message(self, *_: Any) -> None:
            """Quiet: the deployment tells how far gateways are."""

        def do_GET(self) -> None:
            with suppress(OSError):  # who asked is gone
                _answer(self, files)

        do_HEAD = do_GET  # noqa: N815 - the name is the library's

    try:
        server = http.server.ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise FleetError(f"{host}:{port} cannot be served at: {error.strerror or error}") from error
    server.daemon_threads = True
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="fleet:http", daemon=True
    )
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_SILENCE_S)


def _answer(handler: http.server.BaseHTTPRequestHandler, files: RepositoryFiles) -> None:
    """One request. A file that is replaced meanwhile ends the connection: half of each would be neither."""
    name = unquote(urlsplit(handler.path).path).lstrip("/")
    found = files.read(name, 0, 0)
    if found is None:
        _say(handler, 404, 0)
        return
    size = found[0]
    start, end = 0, size
    asked = _RANGE.match(handler.headers.get("Range") or "")
    if asked is not None:
        start, end = int(asked[1]), min(size, int(asked[2]) + 1 if asked[2] else size)
        if start >= end:
            _say(handler, 416, 0, f"bytes */{size}")
            return
    _say(handler, 200 if asked is None else 206, end - start, asked and f"bytes {start}-{end - 1}/{size}")
    while handler.command == "GET" and start < end:
        part = files.read(name, start, min(_CHUNK, end - start))
        if part is None or part[0] != size or not part[1]:
            handler.close_connection = True
            return
        handler.wfile.write(part[1])
        start += len(part[1])


def _say(handler: http.server.BaseHTTPRequestHandler, status: int, length: int, range_: str | None = None) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(length))
    handler.send_header("Accept-Ranges", "bytes")
    if range_ is not None:
        handler.send_header("Content-Range", range_)
    handler.end_headers()
