"""Whether the clock of who signs can be right. What is signed by a wrong one has expired when it is published, or does
not expire for years, so that somebody could go on showing it in the place of what comes later.
"""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

from gateway.ota.publisher.repository import DAYS, Repository, RepositoryError
from gateway.ota.publisher.vendor import signed_at as vendor_signed_at
from gateway.release import release_ms

_DIFFER_S = 86400
"""Clocks of two who sign may differ by so much."""
_YEAR_S = 365 * 86400
_MOST_AGE_S = 5 * _YEAR_S
"""Of this software, where nothing was signed before."""


def check_repository(repository: Repository) -> None:
    """Raises RepositoryError where the clock cannot be right after what the repository holds. When that was signed is
    told by its snapshot, whose life time nobody chooses.
    """
    _check(repository.snapshot.expires - dt.timedelta(days=DAYS["snapshot"]))


def check_vendor(folder: Path, vendor: str) -> None:
    """Raises RepositoryError where the clock cannot be right after what a vendor signed in a folder, if anything."""
    _check(vendor_signed_at(folder, vendor))


def check_first() -> None:
    """Raises RepositoryError where the clock cannot be right, with nothing signed before."""
    _check(None)


def _check(before: dt.datetime | None) -> None:
    now, released = time.time(), release_ms() / 1000
    told = f"the clock of this machine says {_day(now)}"
    sure = "; if it is right, --accept-clock"
    if now < released - _DIFFER_S:
        raise RepositoryError(f"{told}, before this software was released ({_day(released)}): set it{sure}")
    if before is None:
        if now > released + _MOST_AGE_S:
            raise RepositoryError(f"{told}, and this software was released {_day(released)}: set it{sure}")
        return
    signed = before.timestamp()
    if now < signed - _DIFFER_S:
        raise RepositoryError(f"{told}, and what is to be replaced was signed {_day(signed)}: set it{sure}")
    if now > signed + _YEAR_S:
        raise RepositoryError(f"{told}, over a year after what is to be replaced ({_day(signed)}): set it{sure}")


def _day(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d")
