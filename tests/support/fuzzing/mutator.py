"""Bytes like others, but wrong: the same number makes the same bytes."""

from __future__ import annotations

import random
from collections.abc import Sequence

_TOKENS = (
    *(b"\x00", b"\xff", b"\xff\xff\xff\xff", b"{", b"}", b"[", b"]", b'"', b":", b",", b"\n", b"- ", b"&a ", b"*a", b"<<: *a"),
    *(b"null", b"true", b"NaN", b"-1", b"1e999", b"9" * 400, b"0x", b"\\ud800", b"\xc3\x28", b"!!python/x", b"${env:X}", b"${credential:x}"),
    *(b"../", b"/", b"%", b"{n}", b"{0..9}", b"[" * 40, b"{" * 40, b"a: " * 30, b" " * 30, b"\t", b"\r\n", b"#", b"?"),
)  # fmt: skip
_MOST = 200_000


class Mutator:
    """Changes seeds by chance: bits, stretches that are lost, doubled or moved, tokens, pieces of other seeds."""

    def __init__(self, seeds: Sequence[bytes], number: int) -> None:
        self._seeds = seeds
        self._random = random.Random(number)  # noqa: S311 - no secret

    def next(self) -> bytes:
        """The next input."""
        chance = self._random
        data = bytearray(chance.choice(self._seeds))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            self._change(data)
        return bytes(data[:_MOST])

    def _change(self, data: bytearray) -> None:
        chance = self._random
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 2, 4, 16, 200)))
        match chance.randrange(8):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[at % len(data)] = chance.randrange(256)
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end] * chance.choice((1, 2, 50))
            case 4:
                data[at:at] = chance.choice(_TOKENS)
            case 5:
                other = chance.choice(self._seeds)
                start = chance.randrange(len(other) + 1)
                data[at:end] = other[start : start + chance.choice((4, 40, 400))]
            case 6:
                del data[at:]
            case _:
                data[at:end] = bytes(chance.randrange(256) for _ in range(end - at))
