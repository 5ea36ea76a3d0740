"""Names as people write them, as near as an id comes to them. Loaded only where a name is no id."""

from __future__ import annotations

import re
import unicodedata

_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")
_OWN = {
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
    "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "ı": "i",
}  # fmt: skip
"""Latin letters that are no other letter with an accent."""


def plain_letters(text: str, squeeze: bool = False) -> str:
    """`text` in characters of an id: a letter without its accent (`é` is e), `³` is 3; each blank, sign and letter of
    another script is `_`, with `squeeze` one for a row of them.
    """
    return _FOREIGN.sub(lambda row: _plain(row[0], squeeze), unicodedata.normalize("NFC", text))


def _plain(row: str, squeeze: bool) -> str:
    plain = "".join(_letter(letter) for letter in row)
    return re.sub("_+", "_", plain) if squeeze else plain


def _letter(letter: str) -> str:
    bare = "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
    bare = _OWN.get(letter, bare)
    return _FOREIGN.sub(lambda row: "_" * len(row[0]), bare) if bare and bare.isascii() else "_"
