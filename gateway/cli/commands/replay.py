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
    from rules.replay.player import Needs


_WARM_UP_MS = 3_600_000
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
    from rules.replay.player import needs_of

    folder = session.option("rules")
    loaded = load_rules(Path(folder)) if folder else load_running(session.socket.parent, session.config_dir)
    if not loaded.book.rules and not loaded.book.alarms:
        raise CommandFailed("this configuration has no rules and no alarms: there is nothing to replay")
    needs = needs_of(loaded.book, loaded.tags)
    return show(session, _replay(session, loaded, needs, _span(session, needs)), session.args.limit)


def _span(session: Session, needs: Needs) -> _Span:
    now = time.time_ns() // 1_000_000
    until = session.option("until")
    until_ms = now if until is None else now - round(until * 1000)
    since_ms = now - round(session.args.since * 1000)
    if since_ms >= until_ms:
        raise CommandFailed("--since is a longer time ago than --until", Exit.USAGE)
    warm_up = session.option("warm_up")
    before_ms = _WARM_UP_MS + needs.window_ms if warm_up is None else round(warm_up * 1000)
    return _Span(since_ms - before_ms, since_ms, until_ms)


def _replay(session: Session, loaded: Loaded, needs: Needs, span: _Span) -> Replayed:
    from gateway.cli.replayed import Replayed
    from gateway.cli.replaying import Feeding, History, line_writer
    from rules.alarms.catalogue import CATALOGUE
    from rules.replay import Outcomes, Replay, compare
    from rules.replay.comparing import ENDED_MS, TOLERANCE_MS, effects_in, effects_of
    from rules.replay.outcomes import as_text

    effects: list[Effect] = []
    with line_writer(session.option("out")) as write, session.client() as client:

        def take(line: dict[str, Any]) -> None:
            effects.extend(effects_of(line))
            if span.since_ms <= line["ts"] <= span.until_ms:
                write(as_text(line))

        history = History(client, span.from_ms, span.until_ms)
        run = Replay(loaded.book, loaded.tags, Outcomes(take))
        feeding = Feeding(run, history.entries("event", kinds=["clock"]), history.entries("alarm"))
        fits = sum(len(name.encode()) + 3 for name in needs.tags) <= _MOST_BYTES
        feeding.run(history.entries("telemetry", tags=needs.tags if fits else []))
        feeding.finish(span.until_ms)
        # asked for last, and beyond the end: the entries of the last actions may just be coming
        later = History(client, span.from_ms, span.until_ms + TOLERANCE_MS + ENDED_MS)
        rows = [*later.entries("alarm"), *later.entries("event", kinds=["audit"], who="rule:")]
    followed = CATALOGUE.keys() | {spec.id for spec in loaded.book.alarms if spec.issue}
    real = [effect for row in rows if row.get("id") not in followed for effect in effects_in(row)]
    found = compare(effects, real).within(span.since_ms, span.until_ms)
    return Replayed(span.since_ms, span.until_ms, run.played, history.missing, found)
