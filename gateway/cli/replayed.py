"""What came of a replay, for people and for scripts: each effect beside what really happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from gateway.cli import forms
from gateway.cli.session import Exit, Session
from rules.replay import Comparison, Effect
from rules.replay.player import Played

_MOST_TEXT = 60

CUT = "this recording is cut: it has no end, and what is said here is only about what it holds"


class Replayed(Struct, frozen=True):
    """What came of it. `since`, `until`: UTC ms; `missing`: readings that the journal does not have. `cut`: of a
    recording that has no end.
    """

    since: int
    until: int
    played: Played
    missing: int
    comparison: Comparison
    cut: bool = False

    @property
    def ok(self) -> bool:
        return self.played.batches > 0 and self.comparison.equal


def show(session: Session, found: Replayed, limit: int) -> int:
    """Print it; the exit status: 0 when both are the same, 1 when not, or when there was nothing to replay."""
    if session.out.as_json:
        session.out.result(_view(found))
    else:
        _print(session, found, limit)
    return Exit.OK if found.ok else Exit.FAILED


def _view(found: Replayed) -> dict[str, Any]:
    return {
        "ok": found.ok,
        "since": found.since,
        "until": found.until,
        "cut": found.cut,
        **asdict(found.played),
        "missing": found.missing,
        "matched": len(found.comparison.matched),
        "only_here": [_effect(one) for one in found.comparison.only_here],
        "only_real": [_effect(one) for one in found.comparison.only_real],
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {name: item for name, item in asdict(effect).items() if item not in ("", None)}


def _print(session: Session, found: Replayed, limit: int) -> None:
    out, comparison = session.out, found.comparison
    rows = [(here, "as it was", "") for here, _ in comparison.matched]
    rows += [(here, "only with these rules", "uncertain") for here in comparison.only_here]
    rows += [(real, "only really", "bad") for real in comparison.only_real]
    rows.sort(key=lambda row: row[0].ts)
    shown = rows[-limit:]
    if shown:
        out.table(
            ("time", "who", "what", ""), [_cells(effect, word) for effect, word, _ in shown], [s for *_, s in shown]
        )
    if len(shown) < len(rows):
        out.line(f"({len(rows) - len(shown)} earlier ones are not shown)")
    for text in _notes(found):
        out.line(text)
    counts = [(len(comparison.matched), "as it was"), (len(comparison.only_here), "only with these rules")]
    counts.append((len(comparison.only_real), "only really"))
    told = ", ".join(f"{count} {word}" for count, word in counts)
    out.line(out.styled(f"{found.played.readings} readings replayed: {told}", "good" if found.ok else "bad"))


def _cells(effect: Effect, word: str) -> Sequence[str]:
    if effect.kind == "alarm":
        return forms.clock(effect.ts), f"alarm {effect.who}", str(effect.value), word
    what = f"{effect.what} {effect.on}".rstrip() + ("" if effect.value is None else f" = {forms.value(effect.value)}")
    return forms.clock(effect.ts), f"rule {effect.who}", f"{what}: {_short(effect.text)}" if effect.text else what, word


def _short(text: str) -> str:
    """A message on one line of a table."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST_TEXT else f"{line[: _MOST_TEXT - 1]}\N{HORIZONTAL ELLIPSIS}"


def _notes(found: Replayed) -> Iterator[str]:
    played = found.played
    if found.cut:
        yield CUT
    if not played.batches:
        yield "there is no reading of these tags in that time"
    if found.missing:
        yield f"{found.missing} readings are not held any more, or never found room"
    if played.starts:
        yield f"the gateway started {_times(played.starts)}: what was known before counted only once it was read again"
    if played.boots:
        yield f"the machine started {_times(played.boots)}: what was known before counted as last known only"
    if played.unknown:
        yield f"{played.unknown} readings are of tags that this configuration does not have"
    if played.refused:
        what = "thing that somebody" if played.refused == 1 else "things that people"
        why = "with these rules the alarm was in another state then, or there is none"
        yield f"{played.refused} {what} did to alarms (acknowledge, shelve...) changed nothing here: {why}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
