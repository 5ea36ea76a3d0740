"""Errors of expressions: the exact place, and what to write instead."""

from __future__ import annotations

import pytest

from gateway.rulebook import ExpressionError
from rules.expression import RuleExpressions, compile_expression
from tests.unit.rules.expression_kit import compiled, find

CASES = [
    # text, what stands at the offset, a part of the message, a part of the hint
    ("temperature > 1 && burner", "&&", "not known", "`and`"),
    ("temperature > 1 || burner", "||", "not known", "`or`"),
    ("burner and !in_use", "!in_use", "not known", "`not`"),
    ("burner ? 1 : 2", "? 1", "not known", "`x if condition else y`"),
    ("level = 1", "= 1", "not known", "`==`"),
    ("level === 1", "=== 1", "not known", "`==`"),
    ("level <> 1", "<> 1", "not known", "`!=`"),
    ("level =< 1", "=< 1", "not known", "`<=`"),
    ("level => 1", "=> 1", "not known", "`>=`"),
    ("level ≥ 1", "≥ 1", "U+2265", "`>=`"),
    ("level – 1", "– 1", "U+2013", "`-`"),
    ("status == “on”", "“on”", "U+201C", '`"text"`'),
    ("level ** 2", "** 2", "not known", "`x * x`"),
    ("1 < 2 AND burner", "AND", "not known", "`and`"),
    ("burner Or burner", "Or", "not known", "`or`"),
    ("NOT burner", "NOT", "not known", "`not`"),
    ("burner == TRUE", "TRUE", "not known", "`true`"),
    ("level is 1", "is 1", "not known", "`==`"),
    ("level mod 2", "mod", "not known", "`%`"),
    ("level == None", "None", "no empty value", "is_good"),
    ("level == nan", "nan", "no value", "is_good"),
    ("level[0]", "[0]", "no parts", "tag of its own"),
    ("f'{level}'", "f'", "means nothing", "in quotes alone"),
    ("lambda: level", "lambda", "cannot be made", "computed tag"),
    ("[x for x in status]", "for", "no loops", "avg(tag, 5m)"),
    ("1 + status.upper()", "status.upper", "no methods", "abs(x)"),
    ("pump.speed-boiler.level > 1", "pump.speed-", "no tag", "minus has spaces around it: `pump.speed - boiler.level`"),
    ("level-5 > 1", "level-5", "no tag", "minus has spaces around it: `level - 5`"),
    ("1 < pump.speed/2", "pump.speed/2", "no tag", "division has spaces around it: `pump.speed / 2`"),
    ("level-high > 1", "level-high", "no tag", "a minus has spaces around it"),
    ("level/high > 1", "level/high", "no tag", "a division has spaces around it"),
    ("abs(1 +)", ")", "missing after `+`", ""),
    ("2-level", "2-level", "neither", "braces: {2-level}"),
    ("1st-floor.in", "1st", "no number", "{1st-floor.in}"),
    ("boiler.temprature > 1", "boiler.temprature", "no tag", "`boiler.temperature`"),
    ("1 < temperatrue", "temperatrue", "no tag `boiler.temperatrue`", "`boiler.temperature`"),
    ("bolier.level > 1", "bolier.level", "no tag", "`boiler.level`"),
    ("Boiler.Level > 1", "Boiler.Level", "no tag", ""),
    ("boiler.LEVEL > 1", "boiler.LEVEL", "no tag", "`boiler.level`"),
    ("line1_plc00.temperature > 1", "line1_plc00", "no tag", "`line1-plc00.temperature`"),
    ("boiler.limits.high > 1", "boiler.limits.high", "no tag", "`boiler.limits/high`"),
    ("{pump.sped} > 1", "{pump.sped}", "no tag", "`pump.speed`"),
    ("speed > 1", "speed", "no tag `boiler.speed`", ""),
    ("sqrt > 1", "sqrt", "no tag", "function: sqrt(x)"),
    ("1 + avrg(level, 5m)", "avrg", "no function", "avg(tag, 5m)"),
    ("average(level, 5m)", "average", "no function", "avg(tag, 5m)"),
    ("pow(level, 2)", "pow", "no function", "`x * x`"),
    ("ABS(level)", "ABS", "no function", "abs(x)"),
    ("xyzzy(level)", "xyzzy", "no function", "known: abs, age, avg"),
    ("1 + 5m", "5m", "only where a function takes it", "avg(tag, 5m)"),
    ("10 samples > 1", "10 samples", "only where a function takes it", ""),
    ("avg(level, 5 m)", " m", "space before the unit", "write 5m"),
    ("avg(level, 5)", "5)", "over a time or samples", "avg(tag, 5m)"),
    ("avg(level, 25h)", "25h", "longer than a day", "24h"),
    ("avg(level, 1m, 5m)", "5m", "leaves readings out", "length"),
    ("avg(level, 10 samples, 5m)", "5m", "only a window over a time", ""),
    ("avg(level + 1, 5m)", "level + 1", "takes a tag", "computed tag"),
    ("clamp(level, 10)", "clamp", "at least 3", "clamp(x, low, high)"),
    ("abs(level, 10)", "10)", "at most 1", "abs(x)"),
    ("clamp(level, 10, 5)", "10, 5", "low is not below high", ""),
    ("hysteresis(level, 5, 5)", "5, 5", "low is not below high", ""),
    ("min(level)", "min", "of one thing", "min(tag, 5m)"),
    ("level > 1,5", ",5", "within brackets", "a number has a point: 1.5"),
    ("level > 007", "007", "does not begin with 0", "write 7"),
    ("level > 1_000", "1_000", "no number", "write 1000"),
    ("level > 1e400", "1e400", "too large", ""),
    ("level > 1. ", ". ", "digit is missing", "1.0"),
    ("(level > 1", "(level", "never closed", "`)`"),
    ("level > 1)", ")", "never opened", ""),
    ("level in (1, 2]", "]", "does not close", "`)`"),
    ("level >", "", "missing after `>`", ""),
    ("level > and burner", "and", "missing before `and`", ""),
    ("level burner", "burner", "operator is missing between `level` and `burner`", ""),
    ("level (1)", "level", "no function", ""),
    ("1 if burner", "if", "no `else`", "x if condition else y"),
    ("1 else 2", "else", "without `if`", "x if condition else y"),
    ("burner == not burner", "not", "cannot follow `==`", "`== (not x)`"),
    ("in and burner", "in", "missing before `in`", "{in}"),
    ("{a{b}}", "{b}", "brace within braces", "{device.tag}"),
    ("burner and {level", "{level", "never closed", "{device.tag}"),
    ("status == 'abc", "'abc", "never closed", ""),
    ("level > 1 # high", "#", "comment", ""),
    ("lеvel > 1", "еvel", "U+0435 CYRILLIC", "letters a to z"),
    ("level\x00", "\x00", "U+0000", ""),
    ("burner and reset", "reset", "only be written", ""),
    ("status == night", "night", "no tag", 'stands in quotes: "night"'),
    ("night != status", "night", "no tag", 'stands in quotes: "night"'),
    ("status in (day, night)", "day", "no tag", 'stands in quotes: "day"'),
    ("status not in ('day', night)", "night", "no tag", 'stands in quotes: "night"'),
    ("burner == on", "on", "no tag", "write `true`"),
    ("burner != No", "No", "no tag", "write `false`"),
    ("burner == high", "high", "no tag", "a bool is `true` or `false`"),
    ("mode == heat", "heat", "no tag", "the label of 1: write 1"),
    ("level == high", "high", "no tag", ""),
    ("level > 80%", "", "missing after `%`", "no unit here: write 80"),
    ("(level > 80%) and burner", ")", "missing after `%`", "no unit here: write 80"),
    ("level > 80 % and burner", "and", "missing before `and`", "no unit here: write 80"),
    ("level > 80 degC", "degC", "operator is missing", "no unit here: write 80"),
    ("level > 80 °C", "°", "no unit here", ""),
    ("level > '80'", "'80'", "compared with a text", "no quotes: write 80"),
    ("'-1.5' < level", "level", "compared with a number", "no quotes: write -1.5"),
    ("burner == 'true'", "'true'", "compared with a text", "no quotes"),
    ("level >> 80", ">> 80", "not known", "`>`"),
    ("level << 80", "<< 80", "not known", "`<`"),
    ("avg(level) > 5", "avg", "takes a tag and a time", "write avg(level, 5m)"),
    ("count() > 5", "count", "takes a tag and a time", "write count(tag, 5m)"),
]


@pytest.mark.parametrize(
    ("text", "at", "said", "hint"), CASES, ids=[case[0].encode("ascii", "replace") for case in CASES]
)
def test_an_error_names_its_place_and_what_to_write(text, at, said, hint):
    with pytest.raises(ExpressionError) as caught:
        compiled(text)
    place = len(text) if at == "" else text.index(at)
    assert (caught.value.offset, text[caught.value.offset :][: len(at)]) == (place, at)
    assert said in str(caught.value)
    assert hint in caught.value.hint


def test_a_name_without_a_device_needs_one_where_there_is_none():
    with pytest.raises(ExpressionError) as caught:
        compile_expression("level > 1", "", find, condition=True)
    assert "a tag is named with its device" in str(caught.value)
    assert caught.value.hint == "write `device.level`"


def test_a_misspelt_device_is_found_among_the_own_tags():
    with pytest.raises(ExpressionError, check=lambda error: "`boiler.level`" in error.hint):
        compiled("kettle.level > 1")


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("pump.in and pump.run", ("pump.in", "pump.run")),
        ("min.max > min(level, 3)", ("min.max", "boiler.level")),
        ("abs(abs) > abs", ("boiler.abs",)),
        ("{in} and burner", ("boiler.in", "boiler.burner")),
        ("{1st-floor.in} or { pump.in }", ("1st-floor.in", "pump.in")),
        ("line1-plc00.temperature - level > 1", ("line1-plc00.temperature", "boiler.level")),
        ("boiler.limits/high > limits/high / 2", ("boiler.limits/high",)),
        ("limits/high / level//2 > 1", ("boiler.limits/high", "boiler.level")),
        ("level - 1 > 0", ("boiler.level",)),
        ("level -1 > 0", ("boiler.level",)),
        ("level- 1 > 0", ("boiler.level",)),
        ("5-3 > -level", ("boiler.level",)),
        ("quality(pump.speed) == 'good' and burner and pump.speed > 1", ("pump.speed", "boiler.burner")),
    ],
)
def test_names_are_read_as_they_are_written(text, tags):
    assert compiled(text, condition=True).tags == tags


def test_a_cron_line_is_checked_with_its_zone():
    RuleExpressions().check_cron("30 2 * * 1-5", "Europe/Berlin")
    for text, zone in (("61 * * * *", "UTC"), ("* * *", "UTC"), ("0 0 30 2 *", "UTC"), ("* * * * *", "Mars/Olympus")):
        with pytest.raises(ExpressionError):
            RuleExpressions().check_cron(text, zone)


def test_a_word_of_another_language_can_be_the_name_of_a_tag():
    def one(device, path):
        return find("boiler", "level") if (device, path) in {("b", "is"), ("b", "AND")} else None

    assert compile_expression("is > 1 and AND > 1", "b", one, condition=True).tags == ("b.is", "b.AND")


def test_the_settings_get_type_and_tags_of_an_expression_and_tags_of_a_template():
    checks = RuleExpressions()
    checked = checks.check("level > 1 and pump.run", "boiler", find)
    assert (checked.type, checked.tags) == ("bool", ("boiler.level", "pump.run"))
    assert checks.check("level + 1", "boiler", find).type == "number"
    assert checks.check("status", "boiler", find).type == "text"
    assert checks.check_template("{level:d} at {pump.speed}, {level}", "boiler", find) == ("boiler.level", "pump.speed")
