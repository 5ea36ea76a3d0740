"""Our own bytes, which some RS-485 adapters give back before any answer."""

from __future__ import annotations

UNEXPECTED = "our own request came back: the adapter needs `echo: true`"
MISSING = "our own request did not come back as it was sent: `echo: false`, or the line is disturbed"


class Echo:
    """Holds back what comes until the echo of the last request has passed: nothing before its end is an answer.

    `is_due`: it has not come yet. Where the adapter gives nothing back (`expected` False), it never is.
    """

    def __init__(self, *, expected: bool) -> None:
        self._expected = expected
        self.is_due = False
        self._frame = self._held = b""

    def sent(self, frame: bytes) -> None:
        """A request goes out."""
        self._frame, self._held, self.is_due = frame, b"", self._expected

    def past(self, data: bytes) -> bytes:
        """What came behind the echo."""
        if not self.is_due:
            return data
        self._held += data
        at = self._held.find(self._frame)
        return b"" if at < 0 else self.give_up()[at + len(self._frame) :]

    def give_up(self) -> bytes:
        """It is not waited for any more. Gives what was held back."""
        held, self._held, self.is_due = self._held, b"", False
        return held

    def begins(self, data: bytes) -> bool:
        """Whether that is what we sent ourselves."""
        return data.startswith(self._frame)
