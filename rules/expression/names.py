"""Tags behind the names in a text, and what was probably meant where there is none."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import NamedTuple

from gateway.model import Access, TagSpec
from gateway.rulebook import ExpressionError, FindTag
from rules.expression.foreign import WORDS
from rules.expression.functions import FUNCTIONS
from rules.expression.tokens import CONSTANTS, KEYWORDS, Kind, Token
from rules.expression.wording import short

_LETTERS = string.ascii_lowercase + string.digits + "_-/"
_LONGEST_GUESS = 100
_FOLDED = {word.lower(): word for word in KEYWORDS} | {"true": "true", "false": "false"}


class Named(NamedTuple):
    """A tag by its full name `device.path`."""

    name: str
    spec: TagSpec


class Names:
    """Finds the tags that a text names. `device`: whose tags a name without a device means; empty: nobody's."""

    def __init__(self, device: str, find: FindTag) -> None:
        self._device = device
        self._find = find

    def place(self, written: str) -> tuple[str, str]:
        """(device, path) of a name as written."""
        device, point, path = written.partition(".")
        return (device, path) if point else (self._device, written)

    def find(self, written: str) -> Named | None:
        device, path = self.place(written)
        if not device or not path:
            return None
        spec = self._find(device, path)
        return None if spec is None else Named(f"{device}.{path}", spec)

    def resolve(self, token: Token) -> Named:
        """The tag of a TAG token. Raises ExpressionError with what was probably meant."""
        found = self.find(token.value)
        if found is None:
            hint = self._hint(token)
            raise ExpressionError(self._absent(token.value), token.at, hint, absent=token.value)
        if found.spec.access is Access.WRITE:
            raise ExpressionError(f"{found.name} can only be written, it never has a value", token.at)
        return found

    def admit(self, token: Token) -> Token:
        """`token`, unless it is a word of another language or a misspelt one of this, and no tag is named so."""
        folded = token.text.lower()
        if token.kind not in {Kind.TAG, Kind.CALL} or (folded not in _FOLDED and folded not in WORDS):
            return token
        if token.kind is Kind.TAG and self.find(token.value) is not None:
            return token
        if folded in _FOLDED:
            hint = f"write `{_FOLDED[folded]}` in small letters"
            raise ExpressionError(f"`{token.text}` is not known here", token.at, hint)
        reason, hint = WORDS[folded]
        raise ExpressionError(reason, token.at, hint)

    def _absent(self, written: str) -> str:
        device, path = self.place(written)
        if not device:
            return f"`{short(written)}` is no tag: here a tag is named with its device"
        return f"there is no tag `{short(f'{device}.{path}')}`"

    def _hint(self, token: Token) -> str:
        written = token.value
        is_bare = not token.text.startswith("{")
        if is_bare and written in FUNCTIONS:
            return f"`{written}` is a function: {FUNCTIONS[written].usage}"
        if is_bare:
            apart = self._apart(written)
            if apart:
                return apart
        near = self._near(*self.place(written))
        if near:
            return f"did you mean `{near}`?"
        if is_bare and "-" in written:
            return "a minus has spaces around it"
        if is_bare and "/" in written:
            return "a division has spaces around it"
        return "" if self.place(written)[0] else f"write `device.{short(written)}`"

    def _apart(self, written: str) -> str:
        """Two operands that were read as one name, as in `a.b-c.d` and `a.b/2`."""
        for place, char in enumerate(written[:_LONGEST_GUESS]):
            if char not in "-/":
                continue
            left, right = written[:place], written[place + 1 :]
            if self._is_operand(left) and self._is_operand(right):
                name = "minus" if char == "-" else "division"
                return f"a {name} has spaces around it: `{short(f'{left} {char} {right}')}`"
        return ""

    def _is_operand(self, part: str) -> bool:
        return part.replace(".", "", 1).isdigit() or part in CONSTANTS or self.find(part) is not None

    def _near(self, device: str, path: str) -> str:
        """The full name of a tag that differs by one slip. The finder cannot be listed, so slips are tried."""
        if not device or len(device) + len(path) > _LONGEST_GUESS:
            return ""
        for guess in _slips(path):
            if self._find(device, guess) is not None:
                return f"{device}.{guess}"
        for guess in _slips(device):
            if path and self._find(guess, path) is not None:
                return f"{guess}.{path}"
        if self._device and device != self._device and self._find(self._device, path) is not None:
            return f"{self._device}.{path}"
        return ""


def _slips(word: str) -> Iterator[str]:
    """Words that differ from `word` in notation or by one letter, likely ones first."""
    yield from (word.lower(), word.replace(".", "/"), word.replace("-", "_"), word.replace("_", "-"))
    yield from (word.upper(), word.capitalize())
    halves = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    for left, right in halves:
        if right:
            yield left + right[1:]
        if len(right) > 1:
            yield left + right[1] + right[0] + right[2:]
    for left, right in halves:
        for letter in _LETTERS:
            yield left + letter + right
            if right:
                yield left + letter + right[1:]
