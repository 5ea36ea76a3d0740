"""What the updater is asked: a job and a release in the inbox. The file may be written by somebody hostile."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gateway.ota.files import regular
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused
from gateway.ota.slots import look

_MOST = 16 * 1024
_FORGOTTEN_S = 3600.0
"""Longer than the updater may take for a request."""


Job = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")]


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """`job` names it in results; `target` is a release in the inbox, empty for the newest there."""

    job: Job
    target: Annotated[str, Meta(max_length=200)] = ""


def read_request(path: Path) -> Request:
    """The request. Raises ReleaseRefused for one that is none."""
    with regular(path) as file:
        raw = file.read(_MOST + 1)
    if len(raw) > _MOST:
        raise ReleaseRefused("request", "the request is too long")
    try:
        return msgspec.json.decode(raw, type=Request)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ReleaseRefused("request", f"not a request: {error}") from None


def check_job(job: str) -> None:
    """Raises ReleaseRefused for an id that no job may have."""
    try:
        msgspec.convert(job, type=Job)
    except msgspec.ValidationError:
        raise ReleaseRefused("request", f"`{job}` is no id of a job: letters, digits, `_`, `-`, 64 at most") from None


def under_way(places: Places, own: str = "") -> str:
    """The job that is being staged or tried, if it is another one than `own`; else empty. Nobody takes a request away
    when its job has ended, and one that nobody answered for an hour is forgotten.
    """
    view = look(places)
    if view.trial is not None and view.trial.job != own:
        return view.trial.job or view.trial.slot
    try:
        asked = read_request(places.request).job
        age = time.time() - places.request.stat().st_mtime
    except (ReleaseRefused, OSError):
        return ""
    if age > _FORGOTTEN_S:
        return ""
    return asked if asked != own and view.job(asked) is None else ""


@contextlib.contextmanager
def asking(places: Places, job: str) -> Iterator[None]:
    """For who puts a release into the inbox and asks for it: nobody else does meanwhile, and nothing is under way.
    Whoever dies lets go. Raises ReleaseRefused `busy`, and OSError.
    """
    path = places.request.with_name(".asking")
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(os.pread(handle, 64, 0).decode("ascii", "replace")) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, job.encode(), 0)
        if other := under_way(places, job):
            raise _busy(other)
        yield
    finally:
        os.close(handle)


def _busy(job: str) -> ReleaseRefused:
    return ReleaseRefused("busy", f"another update is being staged (job {job or 'unknown'}): `fieldpost ota status`")
