"""What the updater is asked: a job and a release in the inbox. The file may be written by somebody hostile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gateway.ota.files import regular
from gateway.ota.release import ReleaseRefused

_MOST = 16 * 1024


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
