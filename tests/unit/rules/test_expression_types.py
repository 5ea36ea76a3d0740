"""Static types: what cannot be meant is an error at load."""

from __future__ import annotations

import pytest

from gateway.rulebook import ExpressionError
from tests.unit.rules.expression_kit import compiled

WRONG = [
    # text, offset of, a part of the message, a part of the hint
    ("status + 1", "status", "text cannot be calculated with", ""),
    ("1 - status", "status", "text cannot be calculated with", ""),
    ("-status", "status", "text cannot be given a sign", ""),
    ("level * 'a'", "'a'", "text cannot be calculated with", ""),
    ("raw + 1", "raw", "bytes cannot be calculated with", ""),
    ("(level > 1) + status", "status", "text cannot be calculated with", ""),
    ("abs(status)", "status", "text cannot be given to abs", ""),
    ("max(1, status)", "status", "text cannot be given to max", ""),
    ("round(status)", "status", "text cannot be rounded", ""),
    ("scale(level, 0, status, 0, 1)", "status", "text cannot be given to scale", ""),
    ("hysteresis(status, 0, 1)", "status", "text cannot be given to hysteresis", ""),
    ("level > 'high'", "'high'", "number is compared with a text", ""),
    ("status == 1", "1", "text is compared with a number", ""),
    ("burner == 'on'", "'on'", "bool is compared with a text", ""),
    ("1 < level < status", "status", "number is compared with a text", ""),
    ("status < 'a'", "'a'", "not less or more", "`==`"),
    ("raw < echo", "echo", "not less or more", "`==`"),
    ("raw == status", "status", "compared with a text", ""),
    ("mode == 'heat'", "'heat'", "number is compared with a text", "`heat` is the label of 1: write `== 1`"),
    ("'cool' != mode", "mode", "text is compared with a number", "`cool` is the label of 2: write `!= 2`"),
    ("level in (1, 'a')", "'a'", "number is compared with a text", ""),
    ("status in ('a', 1)", "1", "text is compared with a number", ""),
    ("status in ('a')", "'a'", "list of constants", "`== 'a'`"),
    ("level not in (1)", "1", "list of constants", "`!= 1`"),
    ("1 < level in (1, 2)", "(1, 2)", "`in` cannot stand in a chain", "`and`"),
    ("level in status", "level", "number cannot be in a text", ""),
    ("status in level", "level", "text cannot be in a number", ""),
    ("level in (mode, 1)", "mode", "constants only", "`or`"),
    ("level and burner", "level", "`level` is a number", "`level != 0`"),
    ("burner or level + 1", "level", "is a number", "`... != 0`"),
    ("burner and status", "status", "`status` is a text", '`status == "..."`'),
    ("not level", "level", "is a number", "`level != 0`"),
    ("1 if level else 2", "level", "is a number", "`level != 0`"),
    ("1 if burner else 'a'", "'a'", "a number before `if` and a text after `else`", "of a kind"),
    ("quality(level) == 'god'", "'god'", "no quality", '"good"'),
    ("'bad/com' != quality(level)", "'bad/com'", "no quality", '"bad/comm"'),
    ("quality(level) in ('good', 'stale')", "'stale'", "no quality", ""),
    ("avg(status, 5m)", "status", "`avg` of a text", "count, first and last"),
    ("rate(status)", "status", "`rate` of a text", ""),
    ("sum(raw, 10 samples)", "raw", "`sum` of bytes", ""),
    ("raw", "raw", "bytes are no result", "`==`"),
    ("prev(raw)", "prev", "bytes are no result", ""),
    ("level / 0", "0", "division by zero", ""),
    ("level % 0.0", "0.0", "division by zero", ""),
    ("scale(level, 5, 5, 0, 1)", "5, 0", "the same", ""),
    ("round(level, 1.5)", "1.5", "constant from 0 to 15", ""),
    ("round(level, mode)", "mode", "constant from 0 to 15", ""),
]


@pytest.mark.parametrize(("text", "at", "said", "hint"), WRONG, ids=[case[0] for case in WRONG])
def test_what_cannot_be_meant_is_refused_at_its_place(text, at, said, hint):
    with pytest.raises(ExpressionError) as caught:
        compiled(text)
    assert caught.value.offset == text.index(at)
    assert said in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("level", "number"),
        ("burner", "bool"),
        ("status", "text"),
        ("true", "bool"),
        ("1", "number"),
        ("'a'", "text"),
        ("level > 1", "bool"),
        ("burner == 1", "bool"),
        ("burner > false", "bool"),
        ("burner + burner", "number"),
        ("-burner", "number"),
        ("level if burner else mode", "number"),
        ("burner if burner else level", "number"),
        ("'a' if burner else status", "text"),
        ("burner if level > 1 else true", "bool"),
        ("raw == echo and raw != echo", "bool"),
        ("'a' in status", "bool"),
        ("status in ('a', 'b')", "bool"),
        ("burner in (true, 0)", "bool"),
        ("quality(raw)", "text"),
        ("age(raw)", "number"),
        ("is_good(raw)", "bool"),
        ("changed(raw)", "bool"),
        ("prev(status)", "text"),
        ("prev(burner)", "bool"),
        ("count(status, 5m)", "number"),
        ("last(status, 5m)", "text"),
        ("first(burner, 10 samples)", "bool"),
        ("rate(level)", "number"),
        ("rate(level, 10s)", "number"),
        ("hysteresis(level, 1, 2)", "bool"),
    ],
)
def test_an_expression_has_a_type(text, type_):
    assert compiled(text).type == type_


@pytest.mark.parametrize("text", ["level", "level + 1", "quality(level)", "'a'", "level if burner else mode"])
def test_a_condition_is_true_or_false(text):
    with pytest.raises(ExpressionError, check=lambda error: "a condition is true or false" in str(error)):
        compiled(text, condition=True)


def test_the_hint_of_a_condition_that_is_a_number_shows_a_comparison():
    with pytest.raises(ExpressionError, check=lambda error: error.hint == "write `level != 0`"):
        compiled("level", condition=True)
