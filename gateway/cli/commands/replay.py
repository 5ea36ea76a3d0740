"""replay: what rules would have done with what the journal holds, beside what really happened."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.cli.session import CommandFailed, Exit, Session

if TYPE_CHECKING:
    from gateway.cli.replayed import Replayed
    from gateway.cli.rulebooks import Loaded
    from rules.replay import Effect


_MOST_BYTES = 200_000
"""So much of a request is for names of tags; where there are more, all readings are asked for."""


class _Span(Struct, frozen=True):
    """What is asked for, UTC ms. `from_ms`: from where readings are fed, so that windows are full at `since_ms`."""

    from_ms: int
    since_ms: int
    until_ms: int


def replay(session: Session) -> int:
    """Exit 0 when the rules would have done what really happened, 1 when not, or when there was nothing to replay."""
    from gateway.cli.replayed import show
    from gateway.cli.rulebooks import load_rules, load_running

    folder = session.option("rules")
    loaded = load_rules(Path(folder)) if folder else load_running(session.socket.parent, session.config_dir)
    if not loaded.book.rules and not loaded.book.alarms:
        raise CommandFailed("this configuration has no rules and no alarms: there is nothing to replay")
    return show(session, _replay(session, loaded, _span(session)), session.args.limit)


def _span(session: Session) -> _Span:
    now = time.time_ns() // 1_000_000
    until = session.option("until")
    until_ms = now if until is None else now - round(until * 1000)
    since_ms = now - round(session.args.since * 1000)
    if since_ms >= until_ms:
        raise CommandFailed("--since is a longer time ago than --until", Exit.USAGE)
    return _Span(since_ms - round(session.args.warm_up * 1000), since_ms, until_ms)


def _replay(session: Session, loaded: Loaded, span: _Span) -> Replayed:
    from gateway.cli.replayed import Replayed
    from gateway.cli.replaying import Feeding, History, line_writer
    from rules.alarms.catalogue import CATALOGUE
    from rules.replay import Outcomes, Replay, compare
    from rules.replay.comparing import effects_in, effects_of
    from rules.replay.outcomes import as_text
    from rules.replay.player import watched_tags

    effects: list[Effect] = []
    with line_writer(session.option("out")) as write, session.client() as client:

        def take(line: dict[str, Any]) -> None:
            if span.since_ms <= line["ts"] <= span.until_ms:
                effects.extend(effects_of(line))
                write(as_text(line))

        history = History(client, span.from_ms, span.until_ms)
        alarms = list(history.entries("alarm"))
        events = list(history.entries("event", kinds=["audit", "clock"], who="rule:"))
        run = Replay(loaded.book, loaded.tags, Outcomes(take))
        feeding = Feeding(run, (row for row in events if row["kind"] == "clock"), alarms)
        names = watched_tags(loaded.book, loaded.tags)
        fits = sum(len(name.encode()) + 3 for name in names) <= _MOST_BYTES
        feeding.run(history.entries("telemetry", tags=names if fits else []))
        feeding.finish(span.until_ms)
    followed = CATALOGUE.keys() | {spec.id for spec in loaded.book.alarms if spec.issue}
    real = [effect for row in (*alarms, *events) if row.get("id") not in followed for effect in effects_in(row)]
    within = [effect for effect in real if span.since_ms <= effect.ts <= span.until_ms]
    return Replayed(span.since_ms, span.until_ms, run.played, history.missing, compare(effects, within))
