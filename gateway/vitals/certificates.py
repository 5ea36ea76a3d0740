"""How much of a certificate's life is left."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

SOON = 0.50
NOW = 0.20
"""Shares of its life: renewal should have begun; it is overdue."""
_DAY_S = 86400.0


class Life(Struct, frozen=True):
    """From when to when a certificate is valid, in UTC seconds."""

    file: str
    begin: float
    end: float

    def left(self, now: float) -> float:
        """Share of its life; below 0 when it is over."""
        return (self.end - now) / max(self.end - self.begin, 1.0)


def life_of(file: Path, *, only_alone: bool = False) -> Life | None:
    """The certificate in a PEM file, the first of a chain; None where none can be read.

    `only_alone`: a file of several is no concern: a bundle of authorities, of which one or the other always ends soon.
    """
    from cryptography import x509  # costs memory; loaded only where there are certificates

    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError):
        return None
    if only_alone and len(found) > 1:
        return None
    first = found[0]
    return Life(file.name, first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp())


def judge(life: Life, now: float) -> tuple[float, str] | None:
    """The bound that a life is below, and words about it; None while there is time."""
    left, days = life.left(now), (life.end - now) / _DAY_S
    if left > SOON:
        return None
    if days < 0:
        return 0.0, f"{life.file} has expired {-days:.0f} days ago"
    text = f"{life.file} expires in {days:.0f} days, {left:.0%} of its life are left"
    return (NOW if left <= NOW else SOON), text
