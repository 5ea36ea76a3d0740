"""Test files of rules: YAML to cases, with file:line:column for everything that is wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from gateway.cli.rulebooks import Loaded
from gateway.cli.ruletests.cases import Case, Order, Reading, Step, Wanted
from gateway.cli.ruletests.expectations import Expectations
from gateway.cli.ruletests.tagvalues import value_fault, value_of
from gateway.errors import Problem
from gateway.model import Quality, Tag
from gateway.settings.convert import show
from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Document, Origin, Problems
from gateway.settings.sections import mapping_at, section
from gateway.settings.yaml_reader import read_documents
from gateway.units import Seconds, parse_seconds

_ORDERS = ("ack", "reset", "shelve", "unshelve", "out_of_service", "in_service")
_START = "2026-01-01T00:00:00"


class _File(Struct, frozen=True):
    tests: dict[str, Any]
    rules: str | None = None
    only: str | list[str] = []


class _Case(Struct, frozen=True):
    steps: list[Any]
    start: str = _START
    only: str | list[str] = []


class _Step(Struct, frozen=True):
    at: Seconds
    clock: str | None = None
    readings: dict[str, Any] | None = None
    expect: list[Any] | None = None
    expect_none: bool = False
    ordered: bool = False
    values: dict[str, Any] | None = None
    ack: Any = None
    reset: Any = None
    shelve: Any = None
    unshelve: Any = None
    out_of_service: Any = None
    in_service: Any = None


class _Reading(Struct, frozen=True):
    value: Any = None
    quality: str = "good"


class TestFile:
    """One file: its own configuration folder, if it names one, and its cases."""

    def __init__(self, file: str, raw: bytes, problems: Problems) -> None:
        self._file = file
        self._problems = problems
        self._document: Document | None = None
        self._content: _File | None = None
        documents = [one for one in read_documents(file, raw, problems) if one.data is not None]
        if len(documents) != 1:
            self._refuse_count(documents)
            return
        self._document = documents[0]
        origin = Origin(documents[0])
        data = mapping_at(documents[0].data, origin, problems, what="a test file")
        if data is not None:
            self._content = section(_File, data, origin, problems, what="a test file")

    @property
    def rules(self) -> Path | None:
        """The configuration folder that the file names, relative to itself."""
        named = None if self._content is None else self._content.rules
        return None if named is None else (Path(self._file).parent / named).resolve()

    def cases(self, loaded: Loaded) -> list[Case]:
        """The tests, as far as they are right; the rest is among the problems."""
        if self._content is None or self._document is None:
            return []
        reader = _Cases(self._file, loaded, self._problems)
        top = Origin(self._document, ("tests",))
        common = reader.only(self._content.only, Origin(self._document, ("only",)))
        found = [reader.case(name, body, top.child(name), common) for name, body in self._content.tests.items()]
        if not found:
            self._problems.at_key(top, "there is no test", "write one below `tests`")
        return [case for case in found if case is not None]

    def _refuse_count(self, documents: list[Document]) -> None:
        if len(documents) > 1:
            self._problems.at(Origin(documents[1]), "a test file holds one document", "put it into a file of its own")
        elif not len(self._problems):
            self._problems.add(Problem(self._file, 1, 1, "", "the file is empty", "write `tests:` and a test below"))


class _Cases:
    """Reads the cases of one file."""

    def __init__(self, file: str, loaded: Loaded, problems: Problems) -> None:
        self._file = file
        self._loaded = loaded
        self._problems = problems
        self._expectations = Expectations(loaded, problems)

    def only(self, names: str | list[str], origin: Origin) -> frozenset[str]:
        """The rules and alarms that a test is about."""
        written = _each(names, origin)
        return frozenset(name for place, name in written if self._loaded.has_rule_or_alarm(name, place, self._problems))

    def case(self, name: str, body: Any, origin: Origin, common: frozenset[str]) -> Case | None:
        """One test; `common`: what the file says that all are about."""
        data = mapping_at(body, origin, self._problems, what=f"the test `{name}`")
        raw = None if data is None else section(_Case, data, origin, self._problems, what=f"the test `{name}`")
        if raw is None:
            return None
        steps: list[Step] = []
        for number, item in enumerate(raw.steps):
            place = origin.child("steps", number)
            step = self._step(item, place)
            if step is None:
                continue
            if steps and step.at < steps[-1].at:
                self._problems.at(place.child("at"), "this step is before the one above it", "put the steps in order")
            steps.append(step)
        if not raw.steps:
            self._problems.at_key(origin.child("steps"), "the test has no step", "write `- at: 0s` below `steps`")
        return Case(
            file=self._file,
            name=name,
            line=_line(origin, at_key=True),
            start=self._moment(raw.start, origin.child("start")),
            steps=tuple(steps),
            only=self.only(raw.only, origin.child("only")) or common,
        )

    def _step(self, item: Any, origin: Origin) -> Step | None:
        data = mapping_at(item, origin, self._problems, what="a step")
        raw = None if data is None else section(_Step, data, origin, self._problems, what="a step")
        if raw is None:
            return None
        expect = None
        if raw.expect is not None:
            expect = self._expectations.read(raw.expect, origin.child("expect"))
            if raw.expect_none:
                self._problems.at_key(origin.child("expect_none"), "`expect` is here already", "keep one of them")
        elif raw.expect_none:
            expect = ()
        elif raw.ordered:
            self._problems.at_key(origin.child("ordered"), "there is no `expect` here")
        return Step(
            at=round(raw.at * 1000),
            line=_line(origin),
            clock=None if raw.clock is None else self._moment(raw.clock, origin.child("clock")),
            readings=tuple(self._readings(raw.readings or {}, origin.child("readings"))),
            orders=tuple(self._orders(raw, origin)),
            expect=expect,
            ordered=raw.ordered,
            values=tuple(self._values(raw.values or {}, origin.child("values"))),
        )

    def _readings(self, readings: Mapping[str, Any], origin: Origin) -> Iterator[Reading]:
        for name, item in readings.items():
            place = origin.child(name)
            tag = self._loaded.find(name, place, self._problems)
            given = self._reading(item, place)
            if tag is None or given is None:
                continue
            if tag.spec.virtual is not None and tag.spec.virtual.kind != "memory":
                self._problems.at_key(place, f"`{name}` is computed: no reading of it can come", "check it in `values`")
                continue
            quality = self._quality(given.quality, place)
            if quality is not None and self._fits(tag, given.value, place):
                yield Reading(tag, value_of(tag, given.value), quality)

    def _reading(self, item: Any, place: Origin) -> _Reading | None:
        if item is None:
            return _Reading(None, "bad/comm")
        if isinstance(item, dict) and "hex" not in item:
            return section(_Reading, item, place, self._problems, what="a reading")
        return _Reading(item)

    def _values(self, values: Mapping[str, Any], origin: Origin) -> Iterator[Wanted]:
        for name, item in values.items():
            place = origin.child(name)
            tag = self._loaded.find(name, place, self._problems)
            given = self._reading(item, place)
            if tag is None or given is None or not self._fits(tag, given.value, place):
                continue
            wanted = "" if item is None or given.quality == "good" else given.quality
            if wanted and self._quality(wanted, place) is None:
                continue
            yield Wanted(tag, value_of(tag, given.value), wanted, _line(place))

    def _fits(self, tag: Tag, value: Any, place: Origin) -> bool:
        fault = value_fault(tag, value)
        if fault:
            self._problems.at(place, f"`{tag.name}` {fault}, not {show(value)}")
        return not fault

    def _quality(self, text: str, place: Origin) -> int | None:
        try:
            return int(Quality.parse(text))
        except KeyError:
            known = [quality.text for quality in Quality]
            self._problems.at(place.child("quality"), f"there is no quality `{text}`", did_you_mean(text, known))
            return None

    def _orders(self, raw: _Step, origin: Origin) -> Iterator[Order]:
        for what in _ORDERS:
            written = getattr(raw, what)
            for place, item in _each(written, origin.child(what)):
                name, seconds = item, 0.0
                if what == "shelve":
                    name, seconds = self._shelving(item, place)
                if self._is_alarm(name, place):
                    yield Order(what, name, seconds)

    def _shelving(self, item: Any, place: Origin) -> tuple[Any, float]:
        if isinstance(item, dict) and set(item) == {"alarm", "for"}:
            try:
                return item["alarm"], float(parse_seconds(item["for"]))
            except ValueError as error:
                self._problems.at(place.child("for"), str(error))
                return item["alarm"], 1.0
        self._problems.at(place, "`shelve` takes an alarm and a time", "write {alarm: overheat, for: 1h}")
        return None, 0.0

    def _is_alarm(self, name: Any, place: Origin) -> bool:
        if name is None:
            return False
        if not isinstance(name, str):
            self._problems.at(place, f"an alarm is named by its id, not by {show(name)}")
            return False
        return self._loaded.has_alarm(name, place, self._problems)

    def _moment(self, text: str, place: Origin) -> int:
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            self._problems.at(place, f"`{text}` is no date and time", f'write "{_START}"')
            return 0
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(self._loaded.timezone))
        return round(moment.timestamp() * 1000)


def _each(written: Any, origin: Origin) -> Iterator[tuple[Origin, Any]]:
    """One thing, or a list of them."""
    if isinstance(written, list):
        yield from ((origin.child(number), item) for number, item in enumerate(written))
    elif written is not None:
        yield origin, written


def _line(origin: Origin, *, at_key: bool = False) -> int:
    return origin.document.locate(origin.path, at_key=at_key)[0]
