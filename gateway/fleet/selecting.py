"""Which gateways something is for: selectors as people write them, over what the broker shows. Pure.

A selector is terms joined by commas, and a gateway has to meet all of them: an id, a pattern (`press-*`), `all`,
`online`, `offline`, `version<1.4`. Several selectors add up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from gateway.fleet.faults import FleetError
from gateway.fleet.roster import GatewayInfo
from gateway.fleet.versions import comparison
from gateway.settings.ids import ID_RULE, did_you_mean, is_id

_PATTERN = re.compile(r"[A-Za-z0-9_*?-]{1,64}\Z")
_WORDS: dict[str, Callable[[GatewayInfo], bool]] = {
    "all": lambda _: True,
    "online": lambda info: info.online is True,
    "offline": lambda info: info.online is not True,
}

_Test = Callable[[GatewayInfo], bool]


class Selector:
    """One selector. `ids` are the gateways that it names outright."""

    def __init__(self, text: str) -> None:
        """Raises FleetError 400 that says which term is none."""
        terms = [term.strip() for term in text.split(",")]
        self.text = text
        self._tests = [_test(term) for term in terms]
        self.ids = tuple(term for term in terms if term not in _WORDS and is_id(term))

    def matches(self, info: GatewayInfo) -> bool:
        return all(test(info) for test in self._tests)


def _test(term: str) -> _Test:
    if term in _WORDS:
        return _WORDS[term]
    if term.startswith("version"):
        holds = comparison(term.removeprefix("version").strip())
        if holds is not None:
            return lambda info: info.version is not None and holds(info.version)
    if is_id(term):
        return lambda info: info.id == term
    if _PATTERN.match(term) and ("*" in term or "?" in term):
        parts = re.split(r"([*?])", term)
        kinds = {"*": "[A-Za-z0-9_-]*", "?": "[A-Za-z0-9_-]"}
        pattern = re.compile("".join(kinds.get(part, re.escape(part)) for part in _once(parts)) + r"\Z")
        return lambda info: pattern.match(info.id) is not None
    raise FleetError(
        f"{term!r} is no selector: write an id ({ID_RULE}), a pattern as `press-*`, all, online, offline or"
        " version<1.4; joined by commas, all have to hold",
        code=400,
    )


def _once(parts: Sequence[str]) -> Iterable[str]:
    """Without stars that follow a star: they would only cost time."""
    last = ""
    for part in parts:
        if part and not (part == last == "*"):
            yield part
        last = part or last


def named_alone(to: Sequence[Selector]) -> list[str]:
    """The gateways that are meant when every selector names one outright: no other has to be looked at. Else none."""
    if all(len(each.ids) == 1 for each in to):
        return sorted({each.ids[0] for each in to})
    return []


def select(known: Sequence[GatewayInfo], to: Sequence[Selector], but: Sequence[Selector] = ()) -> list[GatewayInfo]:
    """Those that any of `to` means and none of `but`, by id. Raises FleetError 404 for an id that the broker does not
    know, and when nothing is left.
    """
    names = {info.id for info in known}
    for selector in to:
        for name in selector.ids:
            if name not in names:
                near = did_you_mean(name, names) if names else ""
                hint = f"; {near}" if near.startswith("did you mean") else ""
                raise FleetError(f"the broker knows no gateway {name}{hint}", code=404)
    found = [
        info
        for info in sorted(known, key=lambda info: info.id)
        if any(each.matches(info) for each in to) and not any(each.matches(info) for each in but)
    ]
    if not found:
        told = " ".join(each.text for each in to)
        raise FleetError(f"{told}: no gateway is meant by it; the broker knows {len(known)}", code=404)
    return found
