"""An `until` that is true whenever its `when` is: what it ends has ended before anybody sees it."""

from __future__ import annotations

import re

_NUMBER = r"(?P<limit>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
_TAG = r"(?:\{ *(?P<braced>[^{}]+?) *\}|(?P<tag>[A-Za-z_][\w.-]*(?:/[\w.-]+)*))"
_SIGN = r"(?P<sign>>=?|<=?)"
_FORMS = [
    re.compile(rf"\s*{_TAG}\s*{_SIGN}\s*{_NUMBER}\s*\Z"),
    re.compile(rf"\s*{_NUMBER}\s*{_SIGN}\s*{_TAG}\s*\Z"),
]
_TURNED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}


def ends_at_once(when: str, until: str, device: str) -> bool:
    """Whether `until` follows from `when`, both being one comparison of the same tag with a number.

    `device`: whose tags short names mean. Whatever else they may be is not judged.
    """
    first, second = _comparison(when, device), _comparison(until, device)
    if first is None or second is None or first[0] != second[0] or first[1][0] != second[1][0]:
        return False
    (_, begins, at), (_, ends, to) = first, second
    room = at - to if begins[0] == ">" else to - at
    return room > 0 or (room == 0 and not (len(begins) == 2 and len(ends) == 1))


def _comparison(text: str, device: str) -> tuple[str, str, float] | None:
    """Tag, sign and number of `tag > 5` or `5 < tag`; None for anything else."""
    for place, form in enumerate(_FORMS):
        found = form.match(text)
        if found is not None:
            name = found["braced"] or found["tag"]
            full = name if "." in name or not device else f"{device}.{name}"
            return full, found["sign"] if place == 0 else _TURNED[found["sign"]], float(found["limit"])
    return None
