"""Faults of a simulated device, in words: what a person types is what a test asks for."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from drivers.modbus.address import AddressError, Range, parse_range

_TIME = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s)")
WORDS = (
    "silence | slow TIME [every N] | exception CODE [at RANGE] | limit N | short | garbage | half | "
    "wrong unit | wrong id | drop"
)


class FaultWordError(ValueError):
    """Words that name no fault; the text shows those that do."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is no fault; faults: {WORDS}")


class Slow(Struct, frozen=True):
    """Answers that late, every `every`th of them."""

    seconds: float
    every: int = 1


class Faults:
    """What is wrong now. Set by words, read by the unit."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """All is well again."""
        self.silent = self.short = self.garbage = self.half = self.wrong_unit = self.wrong_id = self.drop = False
        self.slow: Slow | None = None
        self.exceptions: list[tuple[int, Range | None]] = []
        self.most_registers = 125
        self.most_bits = 2000
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """Switch on what `text` says. Raises FaultWordError."""
        words = text.split()
        flags: dict[str, Callable[[], None]] = {
            "silence": lambda: setattr(self, "silent", True),
            "short": lambda: setattr(self, "short", True),
            "garbage": lambda: setattr(self, "garbage", True),
            "half": lambda: setattr(self, "half", True),
            "wrong unit": lambda: setattr(self, "wrong_unit", True),
            "wrong id": lambda: setattr(self, "wrong_id", True),
            "drop": lambda: setattr(self, "drop", True),
        }
        try:
            if " ".join(words) in flags:
                flags[" ".join(words)]()
            elif words[0] == "slow":
                self.slow = _slow(words)
            elif words[0] == "exception":
                self.exceptions.append(_exception(words))
            elif words[0] == "limit" and len(words) == 2 and int(words[1]) > 0:
                self.most_registers, self.most_bits = int(words[1]), int(words[1]) * 16
            else:
                raise FaultWordError(text)
        except (IndexError, ValueError, AddressError) as error:
            raise error if isinstance(error, FaultWordError) else FaultWordError(text) from error
        self.texts.append(" ".join(words))


def _slow(words: list[str]) -> Slow:
    match = _TIME.fullmatch(words[1])
    if match is None or len(words) not in {2, 4} or (len(words) == 4 and words[2] != "every"):
        raise ValueError
    seconds = float(match["number"]) * (0.001 if match["unit"] == "ms" else 1.0)
    every = int(words[3]) if len(words) == 4 else 1
    if every < 1:
        raise ValueError
    return Slow(seconds, every)


def _exception(words: list[str]) -> tuple[int, Range | None]:
    code = int(words[1])
    if not 1 <= code <= 255 or len(words) not in {2, 4} or (len(words) == 4 and words[2] != "at"):
        raise ValueError
    return code, parse_range(words[3]) if len(words) == 4 else None
