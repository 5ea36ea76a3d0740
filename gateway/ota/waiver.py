"""An administrator's word that the age of a bundle's timestamp is accepted: for one job, for this timestamp, once.

Where sites are dark for months, the timestamp of the newest bundle may have expired when it arrives. The word lies
where only root writes, so neither a request nor the gateway can give it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gateway.atomic import replace_file
from gateway.ota.files import regular
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused
from gateway.ota.request import Job

_MOST = 64 * 1024


class Waiver(Struct, frozen=True, forbid_unknown_fields=True):
    """`timestamp`: the version that was looked at when the word was given."""

    job: Job
    timestamp: Annotated[int, Meta(ge=1)]


class _Signed(Struct, frozen=True):
    version: Annotated[int, Meta(ge=1)]


class _Timestamp(Struct, frozen=True):
    signed: _Signed


def timestamp_version(metadata: Path) -> int:
    """The version that a timestamp says of itself, before anything of it is believed. Raises ReleaseRefused."""
    try:
        with regular(metadata / "timestamp.json") as file:
            return msgspec.json.decode(file.read(_MOST), type=_Timestamp).signed.version
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ReleaseRefused("metadata", f"its timestamp cannot be read: {error}") from None


def give(places: Places, waiver: Waiver | None) -> None:
    """Leave it for the updater, which takes it away; None: there is none. Raises OSError."""
    if waiver is None:
        places.waiver.unlink(missing_ok=True)
    else:
        replace_file(places.waiver, msgspec.json.encode(waiver), 0o600)


def take(places: Places, job: str) -> Waiver | None:
    """What was given for a job. It is used up when this returns, whoever it was for."""
    found = None
    with contextlib.suppress(ReleaseRefused, msgspec.DecodeError, ValueError), regular(places.waiver) as file:
        if os.fstat(file.fileno()).st_uid in {0, os.geteuid()}:
            found = msgspec.json.decode(file.read(_MOST), type=Waiver)
    with contextlib.suppress(OSError):
        places.waiver.unlink(missing_ok=True)
    return found if found is not None and found.job == job else None
