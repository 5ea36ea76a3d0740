"""Patterns of EdgeX, which are regular expressions of Go, for watch rules. Source: Go's regexp/syntax."""

from __future__ import annotations

import re

from gateway.patterns import Expression, PatternError

_LEADING = re.compile(r"\(\?([imsU]*)(?:-[imsU]+)?\)")
_CLASSES = "alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit"
_OWN = re.compile(
    rf"(?P<none>\\[pP](?:\{{[^}}]*\}}|.)?|\\[QEC]|\[:\^?(?:{_CLASSES}):\])|(?P<flags>\(\?[imsU-]+\))|(?P<end>\\z)|\\.",
    re.DOTALL,
)


def anywhere(pattern: str) -> str:
    """A watch rule's pattern that fits a text in which Go's pattern is found. Raises PatternError.

    Flags at its beginning hold for all of it; `U` (the shortest match first) changes nothing of whether there is one.
    """
    flags = ""
    body = pattern
    while match := _LEADING.match(body):
        flags += match[1].replace("U", "")
        body = body[match.end() :]
    body = _OWN.sub(_said, body)
    inside = f"(?{''.join(sorted(set(flags)))}:{body})" if flags else f"({body})"
    Expression(body)  # what stands in it alone: a `)` too many must not close the brackets around it
    whole = f".*{inside}.*"
    Expression(whole)
    return f"/{whole}/"


def _said(match: re.Match[str]) -> str:
    if match["none"]:
        raise PatternError(f"Go's {match['none']} has no form here")
    if match["flags"]:
        raise PatternError(f"{match['flags']} is taken at the beginning only")
    return r"\Z" if match["end"] else match[0]
