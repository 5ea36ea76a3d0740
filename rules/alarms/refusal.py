"""Why somebody may not do to an alarm what he asked for, and the limits of what he says with it."""

from __future__ import annotations

import math

from gateway.errors import GatewayError

WHO_CHARS = 64
COMMENT_CHARS = 500
LONGEST_S = 7 * 86400.0
"""The longest that an alarm is shelved: what is to be away longer is out of service."""


class AlarmRefused(GatewayError):
    """Nothing was done. `code` as in protocol.md 1.3: 400 wrong words, 404 no such alarm, 409 not in this state."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def check_said(who: str, comment: str) -> None:
    """What comes with an act of a person. Raises AlarmRefused."""
    if not who or not who.isprintable():
        raise AlarmRefused("who does this must be named", 400)
    if len(who) > WHO_CHARS:
        raise AlarmRefused(f"who does this is named in at most {WHO_CHARS} characters", 400)
    if len(comment) > COMMENT_CHARS:
        raise AlarmRefused(f"a comment has at most {COMMENT_CHARS} characters", 400)


def shelving_ms(seconds: float) -> int:
    """How long an alarm is shelved, in ms. Raises AlarmRefused."""
    if not math.isfinite(seconds) or not 0 < seconds <= LONGEST_S:
        raise AlarmRefused("an alarm is shelved for more than 0 s and at most 7 days", 400)
    return max(1, round(seconds * 1000))
