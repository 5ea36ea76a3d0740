"""An engine that goes on from another one's baseline does exactly what that one does."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from gateway.model import Quality
from gateway.rulebook import AlarmSpec, Every, RuleBook, RuleSpec, Step
from rules.engine import Engine
from rules.replay import Outcomes, start
from rules.replay.baseline import NotABaseline, resume, take
from rules.replay.outcomes import as_text
from tests.unit.rules.replay_day import RESTLESS, Script, make_tags, write

AT, OFFSET = 1_000_000, 1_799_999_000_000
BOOK = RuleBook(
    rules=(
        *RESTLESS.rules,
        RuleSpec("often", every=Every(period_s=7), start=(write("pump.run", expression="not pump.run"),)),
        RuleSpec("edge", when="meter.power > 50", edge=True, for_s=3, on_bad="reset", start=(Step("log", text="up"),)),
    ),
    alarms=(
        *RESTLESS.alarms,
        AlarmSpec(
            "p_low", "boiler", "pressure < 3.4", "pressure > 3.6", "boiler", "pressure", suppress="pump.run", group="b"
        ),
        AlarmSpec("p_high", "boiler", "pressure > 4.6", "", "boiler", "pressure", group="b", latched=True),
    ),
)


def test_it_goes_on_from_anywhere_as_if_nothing_had_been() -> None:
    """Over 40 places: in the middle of delays, sequences, windows, shelvings and hops."""
    tags = make_tags()
    for seed in range(4):
        lines: list[str] = []
        first = start(BOOK, tags, Outcomes(lambda line, to=lines: to.append(as_text(line)), computed=True), AT, OFFSET)
        others: list[tuple[list[str], int]] = []
        engines: list[Engine] = [first]
        script = Script(seed, tags, AT, OFFSET)
        for step in range(600):
            if step % 60 == 30:
                taken = msgpack.unpackb(msgpack.packb(take(first)), strict_map_key=False)
                more: list[str] = []
                outcomes = Outcomes(lambda line, to=more: to.append(as_text(line)), computed=True)
                engines.append(resume(BOOK, tags, outcomes, taken))
                others.append((more, len(lines)))
            event = script.next()
            for engine in engines:
                event(engine)
        assert len(lines) > 300
        assert all(more == lines[begun:] for more, begun in others)


@pytest.mark.parametrize("change", [{"v": 2}, {"columns": {"a.b": []}}, {"timers": [["no", 5]]}, {"alarms": 5}])
def test_other_data_is_refused(change: dict[str, Any]) -> None:
    tags = make_tags()
    taken = take(start(BOOK, tags, Outcomes(lambda _line: None), AT, OFFSET))
    with pytest.raises(NotABaseline):
        resume(BOOK, tags, Outcomes(lambda _line: None), {**taken, **change})


def test_what_is_known_stays_good() -> None:
    tags = make_tags()
    engine = start(BOOK, tags, Outcomes(lambda _line: None), AT, OFFSET)
    script = Script(9, tags, AT, OFFSET)
    for _ in range(50):
        script.next()(engine)
    other = resume(BOOK, tags, Outcomes(lambda _line: None), take(engine))
    assert other.columns.values == engine.columns.values
    assert other.columns.quality == engine.columns.quality
    assert Quality.LAST_KNOWN not in other.columns.quality
