"""A recording that began in the middle of everything, gone through again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs

from gateway.model import Batch
from gateway.rulebook import NotifySpec, RuleBook, RuleSpec, Step
from rules.engine import Engine
from rules.replay import Outcomes, start
from rules.replay.playback import Playback
from rules.replay.recording import Latest, NotARecording, head_from, head_line
from rules.replay.tape import Heard, Tape
from tests.unit.rules.replay_day import Script, make_tags
from tests.unit.rules.test_replay_baseline import AT, BOOK, OFFSET

HOOK = Step("webhook", url="https://example.com/x", headers=(("Authorization", "Bearer s3cret"),), text="hot")


class Told:
    """An engine as the gateway has it: the tape is told first."""

    def __init__(self, engine: Engine, tape: Tape) -> None:
        self._engine = engine
        self._tape = tape
        self.alarms = engine.alarms
        self.orders = self

    def on_batch(self, batch: Batch, at: int, offset: int) -> None:
        self._tape.batch(batch, at, offset)
        self._engine.on_batch(batch, at, offset)

    def advance(self, at: int, offset: int) -> None:
        self._tape.time(at, offset)
        self._engine.advance(at, offset)

    def issue(self, issue: str, entity: str, text: str, at: int, offset: int, *, is_set: bool) -> None:
        self._tape.issue(issue, entity, text, at, offset, is_set=is_set)
        self._engine.orders.issue(issue, entity, text, at, offset, is_set=is_set)

    def maintenance(self, device: str, at: int, offset: int, *, on: bool) -> None:
        self._tape.maintenance(device, at, offset, on=on)
        self._engine.orders.maintenance(device, at, offset, on=on)

    def order(self, what: Any, at: int, offset: int) -> Any:
        return self._engine.orders.order(what, at, offset)


def recorded(seed: int, book: RuleBook = BOOK) -> list[dict[str, Any]]:
    """The lines of a recording as they are in a file."""
    tags = make_tags()
    engine = start(book, tags, Outcomes(lambda _line: None), AT, OFFSET)
    script = Script(seed, tags, AT, OFFSET)
    for _ in range(200):
        script.next()(engine)
    lines: list[dict[str, Any]] = [head_line(engine, "g", "1.0", [Latest("pump.run", True, 0, OFFSET)])]
    tape = Tape(lines.append)
    engine.outlet = Heard(engine.outlet, [tape])
    told: Any = Told(engine, tape)
    for _ in range(300):
        script.next()(told)
    engine.polled("boiler", engine.now.at)
    tape.polled("boiler", engine.now.at)
    tape.end("time")
    return [json.loads(json.dumps(line, allow_nan=False)) for line in lines]


@pytest.mark.parametrize("seed", range(4))
def test_the_same_rules_do_the_same_to_the_byte(seed: int) -> None:
    head, *lines = recorded(seed)
    run = Playback(head_from(head))
    assert run.run(lines) is None
    assert len(run.then) > 100
    assert (run.end, run.batches > 100) == ("time", True)


def test_what_differs_first_is_told() -> None:
    head, *lines = recorded(1)
    changed = structs.replace(BOOK.rules[0], for_s=12.0)
    book = structs.replace(BOOK, rules=(changed, *BOOK.rules[1:]))
    run = Playback(structs.replace(head_from(head), book=book))
    difference = run.run(lines)
    assert difference is not None
    assert difference.now != difference.then
    assert run.now[: difference.number - 1] == run.then[: difference.number - 1]


def test_an_outcome_too_few_and_one_too_many_differ() -> None:
    head, *lines = recorded(2)
    last = max(number for number, line in enumerate(lines) if "outcome" in line)
    difference = Playback(head_from(head)).run(lines[:last] + lines[last + 1 :])
    assert difference is not None
    assert difference.then == ""
    twice = Playback(head_from(head)).run([*lines, lines[last]])
    assert twice is not None
    assert twice.now == ""


def test_a_head_comes_back_and_has_no_secrets() -> None:
    rule = RuleSpec("hook", when="meter.power > 99", start=(HOOK,), end=(HOOK,))
    mail = NotifySpec("me", "smtp", (("password", "s3cret"),))
    book = structs.replace(BOOK, rules=(*BOOK.rules, rule), notify=(mail,))
    head, *_ = recorded(0, book)
    assert "s3cret" not in json.dumps(head)
    read = head_from(head)
    assert [rule.id for rule in read.book.rules] == [rule.id for rule in book.rules]
    assert read.book.rules[0] == book.rules[0]
    assert read.book.alarms == book.alarms
    assert [(tag.name, tag.slot, tag.spec) for tag in read.tags] == [(t.name, t.slot, t.spec) for t in make_tags()]
    assert read.latest == [Latest("pump.run", True, 0, OFFSET)]


@pytest.mark.parametrize(
    "change", [{"recording": 2}, {"engine": "xx"}, {"tags": [{}]}, {"book": {"rules": 5}}, {"latest": [[1]]}]
)
def test_other_heads_are_refused(change: dict[str, Any]) -> None:
    head, *_ = recorded(0)
    with pytest.raises(NotARecording):
        head_from({**head, **change})
    with pytest.raises(NotARecording):
        head_from(change | {"x": 1} if "recording" not in change else 5)


@pytest.mark.parametrize("line", [{"later": 1}, {"batch": {"at": 1}}, {"time": "x"}, {"issue": []}])
def test_damaged_lines_are_refused(line: dict[str, Any]) -> None:
    head, *_ = recorded(0)
    with pytest.raises(Exception, match=r"recorded batch|recording"):
        Playback(head_from(head)).run([line])


def test_a_recording_that_is_cut_anywhere_is_the_same_as_far_as_it_goes() -> None:
    head, *lines = recorded(3)
    for length in (0, 1, 57, *range(len(lines) - 12, len(lines))):
        run = Playback(head_from(head))
        assert run.run(lines[:length]) is None, length
        assert run.is_cut
    whole = Playback(head_from(head))
    whole.run(lines)
    assert not whole.is_cut


def test_in_a_cut_recording_only_outcomes_of_the_last_input_may_be_missing() -> None:
    head, *lines = recorded(2)
    inputs = [number for number, line in enumerate(lines) if "outcome" not in line]
    lost = max(number for number, line in enumerate(lines[: inputs[-2]]) if "outcome" in line)
    kept = [line for line in lines[:lost] + lines[lost + 1 :] if "end" not in line]
    assert Playback(head_from(head)).run(kept) is not None
