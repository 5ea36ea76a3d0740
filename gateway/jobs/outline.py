"""Who is to be answered about a message that nests too deep for a reader of JSON: its `id` and `ver`, and no more."""

from __future__ import annotations

import contextlib
import re

import msgspec

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++', re.DOTALL)
_WANTED = {b'"id"': "id", b'"ver"': "ver"}


def outline(payload: bytes) -> dict[str, object]:
    """The keys `id` and `ver` of an object, as far as they are plain values; nothing where it has no end. In one pass
    without recursion, whatever is inside.
    """
    found: dict[str, object] = {}
    depth, words = 0, list[bytes]()
    for match in _TOKEN.finditer(payload):
        word = match[0]
        if word in b"}]":
            depth -= 1
            if depth <= 0:
                _keep(words, found)
                return found
        elif word in b"{[":
            if not depth and word == b"[":
                return {}
            depth += 1
        elif depth == 1 and word == b",":
            _keep(words, found)
            words = []
        elif depth == 1 and word != b":":
            words.append(word)
    return {}


def _keep(words: list[bytes], found: dict[str, object]) -> None:
    if len(words) == 2 and (name := _WANTED.get(words[0])):
        with contextlib.suppress(msgspec.MsgspecError):
            found[name] = msgspec.json.decode(words[1])
