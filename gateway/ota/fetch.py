"""Fetches a release or driver package into the inbox: `-m gateway.ota.fetch`, a process of the gateway's user.

It is a client of TUF like the updater, begins with what the updater trusts, and so asks for the same files; each goes
to the inbox as it came. What it decides saves transfers and time, no more: only the updater's own look counts. It reads
an order (a line of JSON) from standard input, tells a plan, goes on at the word `go`, and ends with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct
from tuf.api import exceptions
from tuf.api.metadata import Metadata, TargetFile
from tuf.ngclient import FetcherInterface

from gateway.ota import configs
from gateway.ota.anchors import anchors
from gateway.ota.bringing import WrongContent, bring
from gateway.ota.bundle import MOST_METADATA
from gateway.ota.files import sync_tree
from gateway.ota.package import FOLDER, Package, parse_package
from gateway.ota.places import Places, kill_point
from gateway.ota.release import MOST_DESCRIPTION, Release, ReleaseRefused, parse_release, slot_name
from gateway.ota.slots import look
from gateway.ota.sources import Files, PipedFiles, WebFiles
from gateway.ota.trust import Client, prove

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.json")
_MOST_MEMORY = 96 << 20
"""Four times what it needs; a gateway has to live beside it."""
_MOST_ORDER = 1 << 16
_TELL_S = 0.5
_PR_SET_PDEATHSIG = 1


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """What is wanted. `root`: of the machine's places. `rate`: bytes per second. Without `url`, files are asked for on
    standard output.
    """

    target: str
    root: str = "/"
    url: str = ""
    ca: str = ""
    token: str = ""
    rate: float | None = None


class Recorder(FetcherInterface):
    """Metadata through `files`, each kept in `folder` under its name. `cut`: why the last one could not be fetched.

    What is no metadata at all (the login page of a network, an answer without end) is a fault of the link: somebody
    else than the repository answers, and that may pass. Only what has the form of metadata is judged by who signed it.
    """

    def __init__(self, files: Files, folder: Path) -> None:
        self._files = files
        self._folder = folder
        self.cut: ReleaseRefused | None = None

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = unquote(urlsplit(url).path).lstrip("/")
        if _NAME.fullmatch(name) is None:
            raise exceptions.DownloadHTTPError("no such file", 404)
        path = self._folder / name
        path.with_name(f"{name}.part").unlink(missing_ok=True)
        try:
            self._files.take(f"metadata/{name}", path, MOST_METADATA, lambda *_: None)
        except ReleaseRefused as error:
            if error.reason == "missing":
                raise exceptions.DownloadHTTPError(str(error), 404) from None
            self.cut = error if error.reason != "length" else _not_the_repository(name, "is far too long")
            raise exceptions.DownloadError(str(self.cut)) from None
        try:
            Metadata.from_bytes(path.read_bytes())
        except (exceptions.RepositoryError, ValueError, RecursionError):
            path.unlink()
            self.cut = _not_the_repository(name, "is no metadata")
            raise exceptions.DownloadError(str(self.cut)) from None
        with path.open("rb") as file:
            while chunk := file.read(1 << 16):
                yield chunk


def _not_the_repository(name: str, fault: str) -> ReleaseRefused:
    text = f"metadata/{name}: what comes {fault}: somebody else than the repository answers (a login page, a proxy)"
    return ReleaseRefused("link", text)


class Fetch:
    """One order."""

    def __init__(self, order: Order, places: Places, files: Files) -> None:
        self._target = order.target
        self._places = places
        self._files = files
        self._view = look(places)
        self._told_at = 0.0

    def run(self) -> None:
        """Raises ReleaseRefused and OSError."""
        places = self._places
        metadata = places.inbox / "metadata"
        shutil.rmtree(metadata, ignore_errors=True)
        metadata.mkdir(parents=True)
        for left in places.inbox.parent.glob(".fetch-*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=places.inbox.parent) as work:
            cache = Path(work) / "cache"
            try:
                shutil.copytree(places.cache, cache)
            except (
                OSError,
                shutil.Error,
            ):  # not there yet, or not for us: more is fetched then, from the first root on
                shutil.rmtree(cache, ignore_errors=True)
                cache.mkdir()
            recorder = Recorder(self._files, metadata)
            trust = anchors(places, self._view)
            client = Client(places.inbox, trust, cache, recorder)
            try:
                client.refresh()
                content, raw, wanted = self._describe(client)
            except ReleaseRefused:
                if recorder.cut is not None:
                    raise recorder.cut from None
                raise
        kill_point("fetch.described")
        missing = self._missing(wanted)
        self._plan(content, raw, missing)
        self._bring(missing)
        sync_tree(places.inbox)
        kill_point("fetch.done")

    def _describe(self, client: Client) -> tuple[Release | Package, bytes, list[tuple[TargetFile, Path]]]:
        """The description, and all files with the places where they belong; those of the wheel store are not among
        them.
        """
        try:
            info = client.info(self._target)
        except ReleaseRefused as error:
            raise ReleaseRefused("unknown" if error.reason == "unsigned" else error.reason, str(error)) from None
        if info.length > MOST_DESCRIPTION:
            raise ReleaseRefused("description", f"{self._target} is too large")
        place = client.place(info)
        self._one(info, place, 0, 0)
        raw = place.read_bytes()
        content = parse_package(raw) if self._target.startswith(FOLDER) else parse_release(raw)
        if content.target != self._target:
            raise ReleaseRefused("description", f"{self._target} describes {content.target}")
        names = [(wheel.file, wheel.sha256) for wheel in content.files]
        if isinstance(content, Release) and content.sbom is not None:
            names.append((content.sbom.file, ""))
        wanted = [(info, place)]
        for name, sha256 in names:
            info = client.info(name)
            if not self._is_kept(info, sha256):
                wanted.append((info, client.place(info)))
        return content, raw, wanted

    def _is_kept(self, info: TargetFile, sha256: str) -> bool:
        """Whether the store of wheels has it, undamaged."""
        kept = self._places.wheels / f"{sha256}.whl"
        if not sha256 or info.hashes.get("sha256") != sha256 or not kept.is_file():
            return False
        with contextlib.suppress(ReleaseRefused, OSError):
            prove(info, kept)
            return True
        return False

    def _missing(self, wanted: list[tuple[TargetFile, Path]]) -> list[tuple[TargetFile, Path]]:
        """What is not in the inbox yet. What nobody wants goes."""
        known = {place for _, place in wanted}
        kept = known | {place.with_name(f"{place.name}.part{end}") for place in known for end in ("", ".etag")}
        for path in sorted((self._places.inbox / "targets").rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.rmdir()
            elif path not in kept:
                path.unlink()
        missing = []
        for info, place in wanted:
            try:
                prove(info, place)
            except ReleaseRefused:
                place.unlink(missing_ok=True)
                missing.append((info, place))
        return missing

    def _plan(self, content: Release | Package, raw: bytes, missing: list[tuple[TargetFile, Path]]) -> None:
        """Tell what would be done, and wait until it may be."""
        runtime = isinstance(content, Release)
        say(
            plan=content.target,
            version=content.version,
            slot=slot_name(content, raw) if isinstance(content, Release) else "",
            urgency=content.urgency if isinstance(content, Release) else "normal",
            installed=content.installed_size or 4 * sum(wheel.size for wheel in content.files),
            runtime=runtime,
            bytes=sum(info.length for info, _ in missing),
        )
        if sys.stdin.buffer.readline(16).strip() != b"go":
            raise ReleaseRefused("cancelled", "nobody wants it any more")

    def _bring(self, missing: list[tuple[TargetFile, Path]]) -> None:
        total = sum(info.length for info, _ in missing)
        before = 0
        for info, place in missing:
            self._one(info, place, before, total)
            before += info.length
            kill_point("fetch.file")
        say(bytes=total, total=total)

    def _one(self, info: TargetFile, place: Path, before: int, total: int) -> None:
        """One file, whole and as it was signed."""
        place.parent.mkdir(parents=True, exist_ok=True)
        name = f"targets/{place.relative_to(self._places.inbox / 'targets')}"
        bring(self._files, name, info, place, lambda have, _: self._tell(before + have, total))

    def _tell(self, have: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told_at >= _TELL_S and total:
            self._told_at = now
            say(bytes=min(have, total), total=total)


def say(**row: Any) -> None:
    """A line to whoever started this process."""
    print(json.dumps(row), flush=True)


def main() -> int:
    """0 when all of it is in the inbox, 1 else; the last line says why not."""
    _behave()
    try:
        order = msgspec.json.decode(sys.stdin.buffer.readline(_MOST_ORDER), type=Order)
        piped = PipedFiles(sys.stdin.buffer, say, order.rate)
        files = WebFiles(order.url, ca=order.ca, token=order.token, rate=order.rate) if order.url else piped
        places = Places(Path(order.root))
        if order.target.startswith(f"{configs.ROLE}/"):
            from gateway.ota.fetchconfig import FetchConfig

            FetchConfig(order.target, places, files).run()
        else:
            Fetch(order, places, files).run()
    except ReleaseRefused as error:
        say(ok=False, reason=error.reason, text=str(error), file=error.file if isinstance(error, WrongContent) else "")
        return 1
    except BrokenPipeError:
        return 1
    except OSError as error:
        say(ok=False, reason="disk", text=f"{error.filename or 'fetching'}: {error.strerror or error}")
        return 1
    say(ok=True)
    return 0


def _behave() -> None:
    """End with the parent, stay small, come last. What a sandbox does not allow is left out."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
    with contextlib.suppress(OSError):
        os.nice(10)


if __name__ == "__main__":
    sys.exit(main())
