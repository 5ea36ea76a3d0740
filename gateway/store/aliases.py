"""Aliases: a number for each (device, tag), given once, never reused (protocol.md 1.3, W9)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gateway.journal import AliasRow
from gateway.store import rows
from gateway.store.attempt import Attempt
from gateway.store.state import Alias


def bind(attempt: Attempt, pairs: Sequence[tuple[str, str]]) -> list[int]:
    """The aliases of `pairs`, which are ALL tags configured now: others stop being live. New ones grow the dict."""
    state = attempt.state
    aliases = dict(state.aliases)
    highest = state.highest_alias
    wanted = set(pairs)
    for pair, alias in aliases.items():
        if alias.row.live and pair not in wanted:
            mark = (state.epoch, state.next["telemetry"] - 1)
            _store(attempt, aliases, pair, Alias(replace(alias.row, live=False), mark))
    bound: list[int] = []
    for device, tag in pairs:
        known = aliases.get((device, tag))
        if known is None:
            highest += 1
            known = Alias(AliasRow(highest, device, tag, live=True))
            _store(attempt, aliases, (device, tag), known)
        elif not known.row.live:
            known = Alias(replace(known.row, live=True))
            _store(attempt, aliases, (device, tag), known)
        bound.append(known.row.alias)
    if highest > state.highest_alias:
        raise_to(attempt, state.dict_no + 1, highest)
    state.aliases = aliases
    return bound


def raise_to(attempt: Attempt, dict_no: int, highest: int) -> None:
    """A new dictionary: no alias up to `highest` is ever given again, also not by a store that was restored."""
    state = attempt.state
    state.dict_no = max(state.dict_no, dict_no)
    state.highest_alias = max(state.highest_alias, highest)
    attempt.put(rows.key("dict"), [state.dict_no, state.highest_alias])


def _store(attempt: Attempt, aliases: dict[tuple[str, str], Alias], pair: tuple[str, str], alias: Alias) -> None:
    aliases[pair] = alias
    attempt.put(rows.key("alias", *pair), [alias.row.alias, alias.row.live, alias.until])
