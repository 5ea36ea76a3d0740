"""A web server of one file, with the faults of real ones: cuts, no ranges, another file meanwhile, redirects."""

from __future__ import annotations

import http.server
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.webserving import serving_web


class FileServer:
    """What it serves and how it fails; `asked` are the ranges that were asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.tag = '"one"'
        self.cut_after: list[int] = []
        """Bytes after which each of the next answers is cut."""
        self.ranges = True
        self.status: list[int] = []
        """What the next answers say instead."""
        self.redirect = ""
        self.length = True
        self.endless = False
        self.asked: list[str | None] = []
        self.authorization: list[str | None] = []
        self.url = ""


@contextmanager
def serving(content: bytes, tls: ssl.SSLContext | None = None) -> Iterator[FileServer]:
    """The server on a free port of loopback, until the end."""
    state = FileServer(content)

    with serving_web(lambda handler: _answer(handler, state), tls=tls) as port:
        state.url = f"{'https' if tls else 'http'}://localhost:{port}/releases/a.fpb"
        yield state


def _answer(handler: http.server.BaseHTTPRequestHandler, state: FileServer) -> None:
    state.asked.append(handler.headers.get("Range"))
    state.authorization.append(handler.headers.get("Authorization"))
    handler.close_connection = True
    if state.status:
        handler.send_response(state.status.pop(0))
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    if state.redirect and handler.path != "/there":
        handler.send_response(302)
        handler.send_header("Location", state.redirect)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    start = 0
    found = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range") or "")
    if found and state.ranges and handler.headers.get("If-Range") == state.tag:
        start = int(found[1])
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
    else:
        handler.send_response(200)
    if state.tag:
        handler.send_header("ETag", state.tag)
    if state.length and not state.endless:
        handler.send_header("Content-Length", str(len(state.content) - start))
    handler.end_headers()
    body = state.content[start:]
    body = body[: state.cut_after.pop(0)] if state.cut_after else body
    try:
        handler.wfile.write(body)
        while state.endless:
            handler.wfile.write(b"x" * 65536)
    except OSError:
        pass
