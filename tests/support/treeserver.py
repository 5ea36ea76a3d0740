"""A web server of a folder that grows, with ranges and tags, and with the faults of real ones."""

from __future__ import annotations

import hashlib
import http.server
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.webserving import serving_web


class TreeServer:
    """`asked`: (path, range) of each request. `cut`: path -> bytes after which its next answer is cut. `instead`: path ->
    content that is served in the place of the file. `down`: every connection is closed. `authorization`: what the last
    request brought.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, str | None]] = []
        self.cut: dict[str, int] = {}
        self.instead: dict[str, bytes] = {}
        self.down = False
        self.authorization: str | None = None
        self.url = ""

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@contextmanager
def serving_tree(folder: Path, port: int = 0) -> Iterator[TreeServer]:
    """On a port of loopback, until the end."""
    state = TreeServer(folder)

    with serving_web(lambda handler: _answer(handler, state), port) as taken:
        state.url = f"http://127.0.0.1:{taken}"
        yield state


def _answer(handler: http.server.BaseHTTPRequestHandler, state: TreeServer) -> None:
    handler.close_connection = True
    path = handler.path.lstrip("/")
    wanted = handler.headers.get("Range")
    state.asked.append((path, wanted))
    state.authorization = handler.headers.get("Authorization")
    file = state.folder / path
    if state.down:
        return
    if path not in state.instead and (".." in path or not file.is_file()):
        handler.send_error(404)
        return
    content = state.instead[path] if path in state.instead else file.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    found, start = re.fullmatch(r"bytes=(\d+)-", wanted or ""), 0
    if found and handler.headers.get("If-Range") == tag and int(found[1]) < len(content):
        start = int(found[1])
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        handler.send_response(200)
    handler.send_header("ETag", tag)
    handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    body = content[start:]
    if path in state.cut:
        body = body[: state.cut.pop(path)]
    handler.wfile.write(body)
