"""replay: what rules would have done with what the journal holds, beside what really happened."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from gateway.cli import forms
from gateway.cli.session import CommandFailed, Exit, Session

if TYPE_CHECKING:
    from gateway.cli.rulebooks import Loaded
    from rules.replay import Comparison, Effect
    from rules.replay.player import Played


class _Span(Struct, frozen=True):
    """What is asked for, UTC ms. `from_ms`: from where readings are fed, so that windows are full at `since_ms`."""

    from_ms: int
    since_ms: int
    until_ms: int


class _Found(Struct, frozen=True):
    """What came of it."""

    span: _Span
    played: Played
    missing: int
    comparison: Comparison

    @property
    def ok(self) -> bool:
        return self.played.batches > 0 and self.comparison.equal


def replay(session: Session) -> int:
    """Exit 0 when the rules would have done what really happened, 1 when not, or when there was nothing to replay."""
    from gateway.cli.rulebooks import load_rules, load_running

    folder = session.option("rules")
    loaded = load_rules(Path(folder)) if folder else load_running(session.socket.parent, session.config_dir)
    if not loaded.book.rules and not loaded.book.alarms:
        raise CommandFailed("this configuration has no rules and no alarms: there is nothing to replay")
    found = _replay(session, loaded, _span(session))
    if session.out.as_json:
        session.out.result(_view(found))
    else:
        _print(session, found)
    return Exit.OK if found.ok else Exit.FAILED


def _span(session: Session) -> _Span:
    now = time.time_ns() // 1_000_000
    until = session.option("until")
    until_ms = now if until is None else now - round(until * 1000)
    since_ms = now - round(session.args.since * 1000)
    if since_ms >= until_ms:
        raise CommandFailed("--since is a longer time ago than --until", Exit.USAGE)
    return _Span(since_ms - round(session.args.warm_up * 1000), since_ms, until_ms)


def _replay(session: Session, loaded: Loaded, span: _Span) -> _Found:
    from gateway.cli.replaying import Feeding, History
    from rules.alarms.catalogue import CATALOGUE
    from rules.replay import Outcomes, Replay, compare
    from rules.replay.comparing import effects_in, effects_of
    from rules.replay.outcomes import as_text

    effects: list[Effect] = []
    with _written(session.option("out")) as write, session.client() as client:

        def take(line: dict[str, Any]) -> None:
            if span.since_ms <= line["ts"] <= span.until_ms:
                effects.extend(effects_of(line))
                write(as_text(line))

        history = History(client, span.from_ms, span.until_ms)
        alarms = list(history.entries("alarm"))
        events = list(history.entries("event", kinds=["audit", "clock"], who="rule:"))
        run = Replay(loaded.book, loaded.tags, Outcomes(take))
        feeding = Feeding(run, (row for row in events if row["kind"] == "clock"), alarms)
        feeding.run(history.entries("telemetry"))
        feeding.finish(span.until_ms)
    followed = CATALOGUE.keys() | {spec.id for spec in loaded.book.alarms if spec.issue}
    real = [effect for row in (*alarms, *events) if row.get("id") not in followed for effect in effects_in(row)]
    within = [effect for effect in real if span.since_ms <= effect.ts <= span.until_ms]
    return _Found(span, run.played, history.missing, compare(effects, within))


@contextmanager
def _written(name: str | None) -> Iterator[Any]:
    """A function that writes a line to the file `name`; one that does nothing where there is none."""
    if name is None:
        yield lambda _text: None
        return
    with Path(name).open("w", encoding="utf-8") as file:
        yield lambda text: file.write(f"{text}\n")


def _view(found: _Found) -> dict[str, Any]:
    return {
        "ok": found.ok,
        "since": found.span.since_ms,
        "until": found.span.until_ms,
        **asdict(found.played),
        "missing": found.missing,
        "matched": len(found.comparison.matched),
        "only_here": [_effect(one) for one in found.comparison.only_here],
        "only_real": [_effect(one) for one in found.comparison.only_real],
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {name: item for name, item in asdict(effect).items() if item not in ("", None)}


def _print(session: Session, found: _Found) -> None:
    out, comparison = session.out, found.comparison
    rows = [(here, "as it was", "") for here, _ in comparison.matched]
    rows += [(here, "only with these rules", "uncertain") for here in comparison.only_here]
    rows += [(real, "only really", "bad") for real in comparison.only_real]
    rows.sort(key=lambda row: row[0].ts)
    shown = rows[-session.args.limit :]
    if shown:
        out.table(
            ("time", "who", "what", ""), [_cells(effect, word) for effect, word, _ in shown], [s for *_, s in shown]
        )
    if len(shown) < len(rows):
        out.line(f"({len(rows) - len(shown)} earlier ones are not shown: --limit)")
    for text in _notes(found):
        out.line(text)
    counts = [(len(comparison.matched), "as it was"), (len(comparison.only_here), "only with these rules")]
    counts.append((len(comparison.only_real), "only really"))
    told = ", ".join(f"{count} {word}" for count, word in counts)
    out.line(out.styled(f"{found.played.readings} readings replayed: {told}", "good" if found.ok else "bad"))


def _cells(effect: Effect, word: str) -> Sequence[str]:
    if effect.kind == "alarm":
        return forms.clock(effect.ts), f"alarm {effect.who}", str(effect.value), word
    what = f"{effect.what} {effect.on} = {forms.value(effect.value)}" if effect.on else effect.what
    return forms.clock(effect.ts), f"rule {effect.who}", what, word


def _notes(found: _Found) -> Iterator[str]:
    played = found.played
    if not played.batches:
        yield "the journal holds no reading of these tags in that time"
    if found.missing:
        yield f"{found.missing} readings are not held any more, or never found room"
    if played.boots:
        yield f"the machine started {played.boots} times: what was known before counted as last known only"
    if played.unknown:
        yield f"{played.unknown} readings are of tags that this configuration does not have"
    if played.refused:
        yield f"{played.refused} orders of people were not possible with these rules"
