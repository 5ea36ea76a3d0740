"""How texts of a person are quoted in messages: never long, never something that cannot be printed."""

from __future__ import annotations

_LONGEST = 60


def short(text: str) -> str:
    """`text` in one printable line of at most 60 characters."""
    seen = text if text.isprintable() else ascii(text)[1:-1]
    return seen if len(seen) <= _LONGEST else seen[: _LONGEST - 1] + "…"


def name_of(char: str) -> str:
    """A character for people, also one that cannot be printed."""
    import unicodedata  # only for those who need it: it is large

    code = f"U+{ord(char):04X}"
    name = unicodedata.name(char, "")
    seen = f"`{char}` " if char.isprintable() and not char.isspace() else ""
    return f"{seen}({code} {name})" if name else f"the character {code}"


def nearest(word: str, known: list[str]) -> str:
    """The one of `known` that was probably meant, or an empty text."""
    import difflib  # only for those who misspell

    near = difflib.get_close_matches(word[:_LONGEST].lower(), known, n=1, cutoff=0.6)
    return near[0] if near else ""
