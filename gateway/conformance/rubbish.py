"""Rubbish that peers send, made from a true answer where that is meaner than chance."""

from __future__ import annotations

import random

from gateway.conformance.proxy import Pattern

_random = random.Random(7)  # noqa: S311 - rubbish, not secrets


def _flipped(answer: bytes) -> bytes:
    """Every byte with another bit turned."""
    return bytes(byte ^ (1 << (place % 8)) for place, byte in enumerate(answer))


PATTERNS: dict[str, Pattern] = {
    "zeros": lambda answer: b"\x00" * max(len(answer), 8),
    "ones": lambda answer: b"\xff" * max(len(answer), 8),
    "noise": lambda answer: _random.randbytes(max(len(answer), 64)),
    "flipped bits": _flipped,
    "two answers at once": lambda answer: answer + answer,
    "a line that is no UTF-8": lambda _answer: b"\xc3\x28\xff\xfe\r\n",
    "an empty line": lambda _answer: b"\r\n",
    "a web page": lambda _answer: b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>no</html>\r\n",
    "a number beyond all": lambda _answer: b"9" * 400 + b"\r\n",
    "not a number": lambda _answer: b"nan\r\n",
    "a long line": lambda _answer: b"x" * 200_000 + b"\r\n",
}
