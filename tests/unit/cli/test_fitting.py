"""Tables that fit the terminal: names stay whole, texts are shortened, then columns go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.commands.alarms import _HEADER, _LEAST, _SPARE
from gateway.cli.fitting import columns, fitted

ROW = ("overheat@gateway", "unack_active", "urgent", "3.0 min", "81.25", "Temperature 81.2 degC, valve shut", "by anna; on my way; -> Open the bypass")  # fmt: skip


def widest(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> int:
    table = [[name.lstrip(">") for name in header], *rows]
    return sum(max(len(row[place]) for row in table) + 2 for place in range(len(header))) - 2


def fit(width: int, *rows: tuple[str, ...]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    return fitted(_HEADER, rows, width, least=_LEAST, spare=_SPARE)


def test_without_a_width_and_with_room_nothing_changes() -> None:
    assert fit(0, ROW) == (_HEADER, [ROW])
    assert fit(500, ROW) == (_HEADER, [ROW])


def test_texts_are_shortened_first() -> None:
    header, (row,) = fit(100, ROW)
    assert header == _HEADER
    assert row[:5] == ROW[:5]
    assert row[5].endswith("\u2026")
    assert widest(header, [row]) <= 100


def test_then_columns_are_left_out_and_the_name_stays() -> None:
    header, (row,) = fit(80, ROW)
    assert widest(header, [row]) <= 80
    assert header == ("alarm", "state", "priority", ">for", "text", "note")
    header, (row,) = fit(40, ROW)
    assert (header, row) == (("alarm", "state"), ("overheat@gateway", "unack_active"))


@given(st.integers(60, 200), st.lists(st.tuples(*[st.text("ab ", max_size=40)] * 7), min_size=1, max_size=4))
def test_whatever_the_texts_it_fits_where_name_and_state_do(width: int, rows: list[tuple[str, ...]]) -> None:
    rows = [(row[0][:30], row[1][:20], *row[2:]) for row in rows]
    header, cells = fit(width, *rows)
    assert widest(header, cells) <= width
    assert [row[:2] for row in cells] == [row[:2] for row in rows]


def test_the_width_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert columns() == 72
