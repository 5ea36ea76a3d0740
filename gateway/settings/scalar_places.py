"""Where in a file the n-th character of a YAML scalar's value was written: plain, quoted or a block of lines.

The characters of the value are found in the source again one by one. Where that does not come out exactly (rare
escapes, chomped blocks of odd shape) the answer is the scalar's beginning: less exact, never a wrong line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.settings.nodes import ScalarNode

_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "\t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_HEX = {"x": 2, "u": 4, "U": 8}
_FOLD = re.compile(r"[ \t]*(?:\r\n|\n|\r)(?:[ \t]*(?:\r\n|\n|\r))*[ \t]*")
_BREAK = re.compile(r"\r\n|\n|\r")

Char = tuple[str, int]


def place_in_scalar(node: ScalarNode, source: str, offset: int) -> tuple[int, int]:
    """Line and column (1-based) of character `offset` of the value; one past its end is allowed."""
    begin = node.start_mark
    text = source[node.start : node.end]
    found = [char for char in _characters(node.style, text) if char[0]]
    same = "".join(char for char, _ in found).rstrip("\n") == node.value.rstrip("\n")  # `>-` and `>+` keep other ends
    if not same or not 0 <= offset <= len(found):
        index = 0
    elif offset < len(found):
        index = found[offset][1]
    else:
        index = found[-1][1] + 1 if found else 0
    before = text[:index]
    breaks = list(_BREAK.finditer(before))
    if not breaks:
        return begin.line + 1, begin.column + index + 1
    return begin.line + len(breaks) + 1, index - breaks[-1].end() + 1


def _characters(style: str | None, text: str) -> Iterator[Char]:
    if style in {"|", ">"}:
        return _block(text, folded=style == ">")
    if style == "'":
        return _flow(text, 1, len(text) - 1, "'")
    if style == '"':
        return _flow(text, 1, len(text) - 1, '"')
    return _flow(text, 0, len(text.rstrip()), "")


def _flow(text: str, at: int, end: int, quote: str) -> Iterator[Char]:
    """Plain and quoted scalars: a line break with the white space around it is one space, further ones are breaks."""
    while at < end:
        fold = _FOLD.match(text, at, end)
        if fold is not None:
            breaks = len(_BREAK.findall(fold[0]))
            yield ("\n" * (breaks - 1) if breaks > 1 else " ")[0], at
            yield from (("\n", at) for _ in range(breaks - 2))
            at = fold.end()
        elif quote == "'" and text.startswith("''", at):
            yield "'", at
            at += 2
        elif quote == '"' and text[at] == "\\":
            char, length = _escaped(text, at)
            yield char, at
            at += length
        else:
            yield text[at], at
            at += 1


def _escaped(text: str, at: int) -> tuple[str, int]:
    code = text[at + 1 : at + 2]
    if code in _HEX:
        digits = text[at + 2 : at + 2 + _HEX[code]]
        return chr(int(digits, 16)), 2 + len(digits)
    if code in {"\n", "\r"}:  # the line goes on, without a space
        joined = re.compile(r"\\(?:\r\n|\n|\r)[ \t]*").match(text, at)
        return "", len(joined[0]) if joined else 2
    return _ESCAPES.get(code, ""), 2


def _block(text: str, *, folded: bool) -> Iterator[Char]:
    """Block scalars whose lines all have one indentation; others are not followed."""
    head, *below = text.splitlines(keepends=True) or [""]
    lines, at = [], len(head)
    for line in below:
        lines.append((line.rstrip("\r\n"), at))
        at += len(line)
    while lines and not lines[-1][0].strip():
        lines.pop()
    indent = min((len(line) - len(line.lstrip(" ")) for line, _ in lines if line.strip()), default=0)
    for index, (line, start) in enumerate(lines):
        for column in range(indent, len(line)):
            yield line[column], start + column
        last = index == len(lines) - 1
        yield (" " if folded and not last else "\n"), start + len(line)
