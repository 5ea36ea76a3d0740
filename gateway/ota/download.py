"""One file over HTTP(S), resumed where it was cut, at a bounded rate: for a process of its own.

What comes is not believed: whoever calls verifies the whole file. A part that turns out wrong is removed by them and
fetched from its beginning. `python -m gateway.ota.download URL FILE` prints a line of JSON for each step forward.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, urljoin, urlsplit

from msgspec import Struct

from gateway.atomic import sync_folder
from gateway.ota.release import MOST_BYTES, ReleaseRefused

_CHUNK = 1 << 16
_SYNC_EVERY = 1 << 20
_MOST_REDIRECTS = 3
_REDIRECTS = {301, 302, 303, 307, 308}
_SLOW_S = 60.0
_SLOWEST = 100.0
"""Bytes per second over `_SLOW_S`: a server that gives less is left, and asked again."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0

Progress = Callable[[int, int | None], None]
"""Told bytes so far and, where the server says it, of how many."""


class Source(Struct, frozen=True):
    """Where a file comes from. `rate`: bytes per second at most, None without a limit. `ca`: file of authorities, empty
    for the system's. `tries`: attempts in a row that bring nothing. `timeout_s`: of each wait. `token`: sent to this
    server alone, and only over TLS. `least`: bytes that it is known to have.
    """

    url: str
    rate: float | None = None
    ca: str = ""
    most: int = MOST_BYTES
    tries: int = 8
    timeout_s: float = 30.0
    token: str = ""
    least: int = 0


class _Cut(Exception):
    """The connection failed or the server has a moment of weakness: try again."""


def download(source: Source, to: Path, progress: Progress, sleep: Callable[[float], None] = time.sleep) -> int:
    """Fetch into `to`, over `to`.part, which stays where it was cut. Returns the size.

    Raises ReleaseRefused: `length` when it is too long, or said to be too short, `missing` when the server has no such
    file, `link` when all attempts failed.
    """
    part = to.with_name(f"{to.name}.part")
    failed, pause = 0, _FIRST_PAUSE_S
    while True:
        before = _size(part)
        try:
            size = _Attempt(source, part, progress, sleep).run()
            break
        except _Cut as error:
            failed = 0 if _size(part) > before else failed + 1
            if failed >= source.tries:
                raise ReleaseRefused("link", f"{source.url}: {error}, {failed} times in a row") from None
            pause = _FIRST_PAUSE_S if _size(part) > before else min(pause * 2, _LONGEST_PAUSE_S)
            sleep(random.uniform(pause / 2, pause))  # noqa: S311 - no secret
    part.replace(to)
    part.with_name(f"{part.name}.etag").unlink(missing_ok=True)
    sync_folder(to.parent)
    return size


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class _Attempt:
    """One connection, with its redirects."""

    def __init__(self, source: Source, part: Path, progress: Progress, sleep: Callable[[float], None]) -> None:
        self._source = source
        self._part = part
        self._progress = progress
        self._sleep = sleep

    def run(self) -> int:
        url = self._source.url
        try:
            for _ in range(_MOST_REDIRECTS + 1):
                connection = self._connect(_checked(url))
                try:
                    answer = self._ask(connection, url)
                    if answer.status not in _REDIRECTS:
                        return self._take(answer)
                    url = _followed(url, answer)
                finally:
                    connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise _Cut(str(error) or type(error).__name__) from None
        except ValueError as error:  # what a server calls an address
            raise ReleaseRefused("link", f"{url} leads to no address: {error}") from None
        raise ReleaseRefused("link", f"{self._source.url}: more than {_MOST_REDIRECTS} redirects")

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        timeout = self._source.timeout_s
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        context = ssl.create_default_context(cafile=self._source.ca or None)
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout, context=context)

    def _ask(self, connection: http.client.HTTPConnection, url: str) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        headers = {"Accept-Encoding": "identity", "User-Agent": "fieldpost"}
        first = urlsplit(self._source.url)
        if self._source.token and (parts.scheme, parts.netloc) == (first.scheme, first.netloc) == (
            "https",
            parts.netloc,
        ):
            headers["Authorization"] = f"Bearer {self._source.token}"
        have, tag = _size(self._part), self._tag
        if have and tag:
            headers |= {"Range": f"bytes={have}-", "If-Range": tag}
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=headers)
        return connection.getresponse()

    def _take(self, answer: http.client.HTTPResponse) -> int:
        have = _size(self._part)
        if answer.status == 206 and _start_of(answer) == have:
            pass
        elif answer.status == 200:
            have = 0
        elif answer.status in {206, 416}:
            self._forget()
            raise _Cut("the server has another file than before")
        elif answer.status in {404, 403, 410, 401}:
            raise ReleaseRefused("missing", f"{self._source.url}: the server says {answer.status} {answer.reason}")
        else:
            raise _Cut(f"the server says {answer.status} {answer.reason}")
        length = answer.length
        whole = None if length is None else have + length
        if whole is not None and not self._source.least <= whole <= self._source.most:
            raise ReleaseRefused("length", f"{self._source.url} has {whole} bytes, {self._source.most} are accepted")
        if not have:
            self._remember(answer)
        with self._part.open("ab") as out:
            return self._copy(answer, out, have, whole)

    def _copy(self, answer: http.client.HTTPResponse, out: BinaryIO, have: int, whole: int | None) -> int:
        pace = Pace(self._source.rate, self._sleep)
        unsynced = 0
        try:
            while chunk := answer.read1(_CHUNK):
                have += len(chunk)
                if have > self._source.most:
                    raise ReleaseRefused("length", f"{self._source.url} is longer than {self._source.most} bytes")
                out.write(chunk)
                unsynced += len(chunk)
                if unsynced >= _SYNC_EVERY:
                    _sync(out)
                    unsynced = 0
                self._progress(have, whole)
                pace.passed(len(chunk))
        finally:
            _sync(out)
        self._progress(have, whole)
        if have < (self._source.least if whole is None else whole):
            raise _Cut(f"cut at {have} of {whole or self._source.least} bytes")
        return have

    @property
    def _mark(self) -> Path:
        return self._part.with_name(f"{self._part.name}.etag")

    @property
    def _tag(self) -> str:
        """What the server called the file whose part is here; without it nobody can say that the rest fits."""
        try:
            return self._mark.read_text(encoding="latin-1")
        except FileNotFoundError:
            return ""

    def _remember(self, answer: http.client.HTTPResponse) -> None:
        tag = answer.headers.get("ETag") or ""
        if tag.startswith("W/"):
            tag = ""
        tag = tag or answer.headers.get("Last-Modified") or ""
        self._part.unlink(missing_ok=True)
        self._mark.write_text(tag[:500], encoding="latin-1", errors="replace")

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)


class Pace:
    """Keeps to a rate, and notices a server that gives next to nothing."""

    def __init__(self, rate: float | None, sleep: Callable[[float], None]) -> None:
        self._rate = rate
        self._sleep = sleep
        self._began = self._window = time.monotonic()
        self._bytes = self._in_window = 0

    def passed(self, count: int) -> None:
        now = time.monotonic()
        self._bytes += count
        self._in_window += count
        if self._rate and (ahead := self._bytes / self._rate - (now - self._began)) > 0:
            self._sleep(ahead)
        if now - self._window >= _SLOW_S:
            if self._in_window < _SLOWEST * _SLOW_S:
                raise _Cut(f"less than {_SLOWEST:.0f} bytes per second")
            self._window, self._in_window = now, 0


def _sync(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())


def _checked(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ReleaseRefused("link", f"`{url}` is no http or https address without a login")
    return parts


def _followed(url: str, answer: http.client.HTTPResponse) -> str:
    """Where a redirect leads. Never from https to http."""
    to = urljoin(url, answer.headers.get("Location") or "")
    if url.startswith("https:") and not to.startswith("https:"):
        raise ReleaseRefused("link", f"{url} leads to `{to}`, without TLS")
    return to


def _start_of(answer: http.client.HTTPResponse) -> int:
    found = (answer.headers.get("Content-Range") or "").removeprefix("bytes ").partition("-")[0]
    return int(found) if found.isdigit() else -1


def main(words: list[str] | None = None) -> int:
    """The process. Status 0 when the file is whole, 1 else; the last line says what happened."""
    parser = argparse.ArgumentParser(prog="gateway.ota.download")
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--ca", default="")
    parser.add_argument("--most", type=int, default=MOST_BYTES)
    args = parser.parse_args(words)

    def say(**row: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(row), flush=True)

    try:
        source = Source(args.url, args.rate, args.ca, args.most)
        size = download(source, args.file, lambda have, whole: say(bytes=have, total=whole))
    except ReleaseRefused as error:
        say(ok=False, reason=error.reason, text=str(error))
        return 1
    except OSError as error:
        say(ok=False, reason="disk", text=f"{error.filename or args.file}: {error.strerror}")
        return 1
    say(ok=True, bytes=size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
