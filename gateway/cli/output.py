"""What a command prints: one JSON object on one line with --json, else text and aligned tables for people.

Text from devices is made harmless before it reaches a terminal. Colour only on a terminal, and not with NO_COLOR.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import msgspec

_RESET = "\x1b[0m"
_STYLES = {"bad": "\x1b[31m", "uncertain": "\x1b[33m", "dim": "\x1b[2m", "bold": "\x1b[1m", "good": "\x1b[32m"}


def clean(text: str) -> str:
    """`text` without control characters: a string tag must not move somebody's cursor."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _is_unicode(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


class Output:
    """Prints to `stream`; `as_json` decides which of `result` and the text is meant."""

    def __init__(self, stream: TextIO | None = None, *, as_json: bool = False) -> None:
        self._stream = stream or sys.stdout
        self.as_json = as_json
        self.is_terminal = self._stream.isatty()
        self.colour = self.is_terminal and not os.environ.get("NO_COLOR")

    def result(self, answer: dict[str, Any]) -> None:
        """The answer of a command as one line of JSON."""
        text = msgspec.json.encode(answer).decode()
        if not _is_unicode(self._stream):
            text = json.dumps(json.loads(text))  # escaped: what every reader of JSON knows
        self._stream.write(text + "\n")
        self._stream.flush()

    def line(self, text: str = "") -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def draw(self, text: str) -> None:
        """Text that moves the cursor: only on a terminal, and only our own."""
        self._stream.write(text)
        self._stream.flush()

    def styled(self, text: str, style: str) -> str:
        """`text` in a style where colour is wanted; an unknown or empty style leaves it plain."""
        code = _STYLES.get(style)
        return f"{code}{text}{_RESET}" if code and self.colour else text

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> None:
        """Columns as wide as their widest cell; a header that starts with `>` is right-aligned.

        `styles`: one per row, "" for plain.
        """
        for text in self.table_lines(header, rows, styles):
            self.line(text)

    def table_lines(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()
    ) -> list[str]:
        cells = [[clean(cell) for cell in row] for row in rows]
        names = [name.lstrip(">") for name in header]
        widths = [max(len(row[i]) for row in [names, *cells]) for i in range(len(names))]
        right = [name.startswith(">") for name in header]

        def form(row: Sequence[str]) -> str:
            parts = [
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(row, widths, right, strict=True)
            ]
            return "  ".join(parts).rstrip()

        lines = [self.styled(form(names), "dim")]
        for number, row in enumerate(cells):
            lines.append(self.styled(form(row), styles[number] if number < len(styles) else ""))
        return lines
