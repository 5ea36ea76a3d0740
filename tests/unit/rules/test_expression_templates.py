"""Texts with values in them."""

from __future__ import annotations

import pytest

from gateway.rulebook import ExpressionError
from rules.expression import compile_template
from tests.unit.rules.expression_kit import BAD_COMM, LAST_KNOWN, SLOTS, Known, find


def rendered(text, qualities=None, **values):
    known = Known(qualities, **values)
    return compile_template(text, "boiler", find).bind(SLOTS).render(known.values, known.quality)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("no value at all", "no value at all"),
        ("Boiler at {boiler.temperature:.1f} °C", "Boiler at 81.4 °C"),
        ("{temperature}", "81.36"),
        ("{ temperature }", "81.36"),
        ("{temperature:.0f}|{temperature:08.2f}|{temperature:+.1f}", "81|00081.36|+81.4"),
        ("{temperature:.2e}|{temperature:.3g}|{pressure:.1%}", "8.14e+01|81.4|350.0%"),
        ("{level:d}|{level:05d}|{level:x}|{level:,d}|{level}", "1250|01250|4e2|1,250|1250"),
        ("{level:.1f}|{level:10.1f}", "1250.0|    1250.0"),
        ("{power}", "25.1"),
        ("{burner} and {pump.run}", "true and ?"),
        ("{status}: {status}", "ready: ready"),
        ("{raw}", "01ff"),
        ('{{"t": {pressure}}}', '{"t": 3.5}'),
        ("{{temperature}}", "{temperature}"),
        ("{{{level}}}", "{1250}"),
        ("}}{{", "}{"),
        ("{limits/high}\n", "9.5\n"),
    ],
)
def test_a_template_shows_values(text, result):
    shown = {
        "temperature": 81.36000061035156,  # a float32
        "pressure": 3.5,
        "level": 1250,
        "power": 25.1,
        "burner": True,
        "status": "ready",
        "raw": b"\x01\xff",
        "limits/high": 9.5,
    }
    assert rendered(text, **shown) == result


def test_a_text_is_shown_as_it_is():
    assert rendered("{status}", status="{level} }} %s") == "{level} }} %s"


def test_a_bad_or_unknown_value_is_a_question_mark_and_an_uncertain_one_is_told():
    assert rendered("{level:d}, {level}", {"level": BAD_COMM}, level=5) == "?, ?"
    assert rendered("{level:d}") == "?"
    assert rendered("{level:d}", {"level": LAST_KNOWN}, level=5) == "5"


def test_a_value_that_its_format_does_not_suit_is_told_plainly():
    assert rendered("{level:d}|{temperature:.1f}", level=2.5, temperature="hot") == "2.5|hot"


def test_tags_are_told_in_order_each_once():
    template = compile_template("{level} {pump.speed} {boiler.level:.1f}", "boiler", find)
    assert template.tags == ("boiler.level", "pump.speed")
    assert template.bind({"boiler.level": 4, "pump.speed": 2}).slots == [4, 2]


@pytest.mark.parametrize(
    ("text", "at", "said", "hint"),
    [
        ("at {boiler.temprature:.1f}", "{boiler", "no tag `boiler.temprature`", "`boiler.temperature`"),
        ("at {temperature", "{temperature", "never closed", "{{"),
        ("at temperature}", "}", "never opened", "}}"),
        ('{"t": 5}', "{", "is no tag", "{{ and }}"),
        ("at {}", "{}", "no tag in these braces", "{tag}"),
        ("at {temperature:9999f}", "9999f", "no format", ".1f"),
        ("at {temperature:d}", "d}", "shows whole numbers", ".0f"),
        ("at {status:.1f}", ".1f", "a text has no format", "colon"),
        ("at {lеvel}", "еvel", "U+0435", ""),
    ],
)
def test_an_error_names_its_place(text, at, said, hint):
    with pytest.raises(ExpressionError) as caught:
        compile_template(text, "boiler", find)
    assert caught.value.offset == text.index(at)
    assert said in str(caught.value)
    assert hint in caught.value.hint
