"""Foreign values are read from their text, and what nobody read is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.importing.report import Report
from gateway.importing.sources import Source
from gateway.importing.views import View


def view_of(text: str, report: Report | None = None) -> View:
    report = report or Report()
    (view,) = Source("f.yaml", text.encode(), report).views
    return view


def of(text: str, key: str = "a") -> tuple[View, Report]:
    report = Report()
    found = view_of(text, report).get(key)
    assert found is not None
    return found, report


def test_a_scalar_keeps_its_text_and_its_kind() -> None:
    plain, _ = of("a: 10.10")
    quoted, _ = of('a: "10.10"')
    assert (plain.text, plain.quoted, quoted.text, quoted.quoted) == ("10.10", False, "10.10", True)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        *(
            ("7", 7),
            ('"7"', 7),
            ("-0.5", -0.5),
            ("1e3", 1000.0),
            ("0x1F", 31),
            ('" 0.1 "', 0.1),
            ("0", 0),
            ("0.0", 0.0),
        ),
        *(('"007"', 7.0), ("+5", 5)),
    ],
)
def test_numbers_are_read_plain_or_as_text(text: str, want: float) -> None:
    found, report = of(f"a: {text}")
    assert found.as_number() == want
    assert not len(report.problems)


@pytest.mark.parametrize("text", ["010", "1_000", "12:30", "yes", "[1]", "{b: 1}", '""', "0b1", "1e999", "9" * 500])
def test_what_is_no_sure_number_is_refused_at_its_place(text: str) -> None:
    found, report = of(f"x: 1\na: {text}")
    assert found.as_number() is None
    (problem,) = report.problems.sorted()
    assert (problem.file, problem.line, problem.column, problem.path) == ("f.yaml", 2, 4, "a")


def test_a_leading_zero_and_an_underscore_are_explained() -> None:
    for text, hint in (("010", "write 10"), ("1_000", "write 1000")):
        found, report = of(f"a: {text}")
        found.as_number()
        assert hint in report.problems.sorted()[0].hint


@pytest.mark.parametrize(("text", "want"), [("1.0", 1), ("255", 255), ('"0"', 0)])
def test_whole_numbers_have_bounds(text: str, want: int) -> None:
    found, _ = of(f"a: {text}")
    assert found.as_whole(0, 255) == want


@pytest.mark.parametrize("text", ["1.5", "256", "-1"])
def test_other_whole_numbers_are_refused(text: str) -> None:
    found, report = of(f"a: {text}")
    assert found.as_whole(0, 255) is None
    assert len(report.problems) == 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("1m30s", 90.0), ("20s", 20.0), ("1h", 3600.0), ("5", 5.0), ('"2.5s"', 2.5)]
)
def test_durations_are_those_of_go(text: str, seconds: float) -> None:
    found, _ = of(f"a: {text}")
    assert found.as_seconds(plain=1.0) == seconds


@pytest.mark.parametrize("text", ["5", "ten", "5 minutes", "1d", "s"])
def test_a_duration_without_a_known_unit_is_refused(text: str) -> None:
    found, report = of(f"a: {text}")
    assert found.as_seconds() is None
    assert "duration" in report.problems.sorted()[0].message


def test_flags_are_words_or_texts() -> None:
    assert [of(f"a: {text}")[0].as_flag() for text in ("true", '"False"', "TRUE", "on")] == [True, False, True, None]


def test_keys_that_nobody_asked_for_are_told_with_line_and_path() -> None:
    report = Report()
    view = view_of("name: x\nextra: 1\nlist:\n- {known: 1, other: 2}\n- {known: 1}\nskipped: {a: 1}\n", report)
    view.get("name")
    found = view.get("list")
    assert found is not None
    for item in found.items():
        item.get("known")
    view.tell_unread()
    assert [(note.place.line, note.place.path) for note in report.notes] == [
        (2, "extra"),
        (4, "list[0].other"),
        (6, "skipped"),
    ]


def test_strict_makes_notes_errors() -> None:
    report = Report(strict=True)
    view_of("name: x", report).tell_unread()
    assert not report.notes
    assert report.problems.sorted()[0].line == 1


def test_null_counts_as_not_there() -> None:
    view = view_of("a:\nb: null\nc: 1")
    assert (view.get("a"), view.get("b")) == (None, None)
    assert view.get("a", "c") is not None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda below: (
            st.lists(below, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), below, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_every_reader_takes_every_value_without_an_exception(data: object) -> None:
    import json

    found, _ = of(json.dumps({"a": data if data is not None else 0}))
    found.as_map(), found.as_list(), found.as_text(), found.as_number(), found.as_whole(0, 9)
    found.as_flag(), found.as_seconds(1.0), found.as_seconds()
    assert found.place.line == 1
    found.tell_unread()
