"""Where the files of a repository come from: a web server, or whoever started this process and has them brought over
MQTT. What comes is not believed, whichever it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote

import msgspec
from msgspec import Struct

from gateway.atomic import sync_folder
from gateway.ota.download import Pace, Progress, Source, download
from gateway.ota.release import MOST_BYTES, ReleaseRefused

PART_BYTES = 1 << 16
"""Of one part over MQTT; the last one of a file has less."""
AT_ONCE = 4
"""Parts that are asked for at once."""
_SYNC_EVERY = 1 << 20
_MOST_LINE = 1 << 16
_FEW, _MANY = 2, 8
_SMALL = 6_000_000


class Files(Protocol):
    """A repository's files by their path in it (`metadata/timestamp.json`)."""

    def take(self, name: str, to: Path, most: int, progress: Progress, *, least: int = 0) -> None:
        """Bring a file of `least` to `most` bytes; what a cut left in `to`.part is gone on with. Raises ReleaseRefused:
        `missing`, `length`, `link`.
        """
        ...


class WebFiles:
    """From a web server. `url`: of the repository's folder."""

    def __init__(self, url: str, *, ca: str = "", token: str = "", rate: float | None = None) -> None:
        self._url = url.rstrip("/")
        self._ca, self._token, self._rate = ca, token, rate

    def take(self, name: str, to: Path, most: int, progress: Progress, *, least: int = 0) -> None:
        tries = _FEW if most <= _SMALL else _MANY  # a server that is away is soon known; a large file is worth waiting
        url = f"{self._url}/{quote(name)}"
        source = Source(url, self._rate, self._ca, min(most, MOST_BYTES), tries, token=self._token, least=least)
        download(source, to, progress)


class Answer(Struct, frozen=True):
    """What is read after `want`: sizes of the parts whose bytes follow, in order, and the file's whole size; -1 where
    there is no such file. `failed`: why nothing came.
    """

    sizes: tuple[int, ...] = ()
    total: int = -1
    failed: str = ""


class PipedFiles:
    """From whoever started this process: asked on `out` by a line of JSON, answered on `into` by a line and bytes."""

    def __init__(
        self, into: BinaryIO, say: Callable[..., None], rate: float | None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._into, self._say = into, say
        self._rate, self._sleep = rate, sleep

    def take(self, name: str, to: Path, most: int, progress: Progress, *, least: int = 0) -> None:
        part = to.with_name(f"{to.name}.part")
        have = part.stat().st_size if part.exists() else 0
        pace = Pace(self._rate, self._sleep)
        answer: Answer | None = self._ask(name, have)
        with part.open("ab") as out:
            unsynced, total = 0, -1
            while have != total:
                answer = answer or self._ask(name, have)
                total = answer.total
                if not least <= total <= most:
                    raise ReleaseRefused("length", f"{name} has {total} bytes, {most} are accepted")
                if have > total:
                    out.truncate(0)  # of another file
                    have, answer = 0, None
                    continue
                for size in answer.sizes:
                    out.write(self._exactly(size))
                    have += size
                    unsynced += size
                    pace.passed(size)
                if unsynced >= _SYNC_EVERY or have >= total:
                    out.flush()
                    os.fsync(out.fileno())
                    unsynced = 0
                progress(have, total)
                answer = None
        part.replace(to)
        sync_folder(to.parent)

    def _ask(self, name: str, offset: int) -> Answer:
        self._say(want=name, offset=offset, count=AT_ONCE)
        line = self._into.readline(_MOST_LINE)
        try:
            answer = msgspec.json.decode(line, type=Answer)
        except (msgspec.DecodeError, ValueError):
            raise ReleaseRefused("link", f"{name}: nobody answers") from None
        if answer.failed:
            raise ReleaseRefused("link", f"{name}: {answer.failed}")
        if answer.total < 0:
            raise ReleaseRefused("missing", f"{name}: there is no such file")
        if offset < answer.total and not sum(answer.sizes):
            raise ReleaseRefused("link", f"{name}: nothing of it came")
        return answer

    def _exactly(self, size: int) -> bytes:
        found = self._into.read(size)
        if len(found) < size:
            raise ReleaseRefused("link", "whoever brings the files is gone")
        return found
