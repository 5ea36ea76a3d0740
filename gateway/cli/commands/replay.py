"""replay: what rules would have done with what the journal holds, beside what really happened."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.cli.session import CommandFailed, Exit, Session

if TYPE_CHECKING:
    from collections.abc import Container

    from gateway.cli.replayed import Replayed
    from gateway.cli.replaying import Happening, History
    from gateway.cli.rulebooks import Loaded
    from gateway.local.client import Client
    from rules.replay import Effect
    from rules.replay.player import Needs

_WARM_UP_MS = 3_600_000
_LONGEST_UPKEEP_MS = 7 * 86_400_000
"""How long people may work on a device (gateway/holds.py)."""
_SETTLE_S = 1.0
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
    from gateway.cli.replaying import Feeding, History, followed_by, line_writer
    from rules.replay import Outcomes, Replay, compare
    from rules.replay.comparing import ENDED_MS, TOLERANCE_MS, effects_in, effects_of
    from rules.replay.outcomes import as_text

    effects: list[Effect] = []
    with line_writer(session.option("out")) as write, session.client() as client:

        def take(line: dict[str, Any]) -> None:
            effects.extend(effects_of(line))
            if span.since_ms <= line["ts"] <= span.until_ms:
                write(as_text(line))

        _settle(span)
        history = History(client, span.from_ms, span.until_ms)
        run = Replay(loaded.book, loaded.tags, Outcomes(take))
        followed = followed_by(loaded.book)
        feeding = Feeding(run, _events(client, history), _people(client, span, followed), span.since_ms)
        fits = sum(len(name.encode()) + 3 for name in needs.tags) <= _MOST_BYTES
        feeding.run(history.entries("telemetry", tags=needs.tags if fits else []))
        feeding.finish(span.until_ms)
        # asked for last, and beyond the end: the entries of the last actions may just be coming
        later = History(client, span.from_ms, span.until_ms + TOLERANCE_MS + ENDED_MS)
        rows = [*later.entries("alarm"), *later.entries("event", kinds=["audit"], who="rule:")]
    real = [effect for row in rows if row.get("id") not in followed for effect in effects_in(row)]
    found = compare(effects, real).within(span.since_ms, span.until_ms)
    return Replayed(span.since_ms, span.until_ms, run.played, history.missing, found)


def _events(client: Client, history: History) -> list[dict[str, Any]]:
    """Set clocks, and starts of the gateway."""
    from gateway.cli.replaying import alive_before

    rows = history.entries("event", kinds=["clock", "start"])
    return [alive_before(client, row) if row["kind"] == "start" else row for row in list(rows)]


def _people(client: Client, span: _Span, followed: Container[str]) -> list[Happening]:
    """What people did. Work on a device may have begun long before."""
    from gateway.cli.replaying import History, happenings
    from rules.replay.restarts import UPKEEP

    alarms = History(client, span.from_ms, span.until_ms).entries("alarm")
    audit = History(client, span.from_ms - _LONGEST_UPKEEP_MS, span.until_ms)
    return list(happenings(alarms, audit.entries("event", kinds=["audit"], what=list(UPKEEP)), followed))


def _settle(span: _Span) -> None:
    """What came in the last moment is not in the journal yet, and what was begun then has not ended."""
    time.sleep(max(0.0, min(_SETTLE_S, span.until_ms / 1000 + _SETTLE_S - time.time())))
