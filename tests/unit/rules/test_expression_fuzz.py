"""Random texts: the compiler answers with a program that runs or with an ExpressionError, never with anything else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Quality
from gateway.rulebook import ExpressionError
from rules.expression import compile_template
from rules.expression.functions import FUNCTIONS
from tests.unit.rules.expression_kit import SLOTS, TAGS, Known, compiled, find, new_window

WORDS = [
    *TAGS,
    *(name.partition(".")[2] for name in TAGS),
    *(f"{{{name}}}" for name in TAGS),
    *FUNCTIONS,
    *(f"{name}(" for name in FUNCTIONS),
    *("and", "or", "not", "in", "not in", "if", "else", "true", "False", "is", "lambda", "for", "None", "AND"),
    *("+", "-", "*", "/", "//", "%", "<", "<=", ">", ">=", "==", "!=", "(", ")", "[", "]", ",", "{", "}", ".", "'"),
    *("&&", "||", "!", "?", ":", "=", "<>", "**", "~", "@", ":=", "->", "\\", "#", ";", '"', "\n", "\x00", "é", "．"),
    *("0", "1", "80.5", "1e3", "1e308", "0x1F", "9223372036854775807", "5m", "10s", "10 samples", "1ms", "'a'", '""'),
]
MIXED = st.lists(st.sampled_from(WORDS), max_size=25).flatmap(
    lambda words: st.lists(st.sampled_from([" ", "", "  "]), min_size=len(words), max_size=len(words)).map(
        lambda gaps: "".join(word + gap for word, gap in zip(words, gaps, strict=True))
    )
)
VALID = [
    "boiler.temperature > 80 and boiler.pressure > 3.5",
    "level in (1, 2, 3) or not burner and 'fault' in status",
    "avg(temperature, 5m) - 2 * stddev(temperature, 10 samples) > limits/high",
    "temperature if burner else min(pressure, 3) // 2",
    "hysteresis(rate(temperature, 10s), 1, 2) and quality(pressure) == 'good'",
    "changed(mode) and prev(mode) != mode or age(mode) > 60",
]
DAMAGED = st.tuples(st.sampled_from(VALID), st.integers(0, 80), st.integers(0, 6), st.text(max_size=4)).map(
    lambda parts: parts[0][: parts[1]] + parts[3] + parts[0][parts[1] + parts[2] :]
)
ANY_VALUE = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(), st.text(max_size=5))


@settings(max_examples=600, deadline=None)
@given(st.one_of(MIXED, DAMAGED, st.text(max_size=60)), st.lists(ANY_VALUE, min_size=len(TAGS), max_size=len(TAGS)))
def test_any_text_is_a_program_that_runs_or_a_clean_error(text, values):
    try:
        program = compiled(text)
    except ExpressionError as error:
        assert 0 <= error.offset <= len(text)
        assert f"{error}{error.hint}".isprintable()
        return
    bound = program.bind(SLOTS, new_window, keep=64)
    known = Known()
    known.values = known.previous = values
    result = known.run(bound, at=1000)
    assert result is None or isinstance(result, {"bool": bool, "number": int | float, "text": str}[program.type])
    known.quality = [int(Quality.BAD_COMM)] * len(TAGS)
    if program.needs:
        assert known.run(bound) is None


@settings(max_examples=300, deadline=None)
@given(st.one_of(MIXED, st.text(alphabet="{}ablevel:.1fdx% ", max_size=30), st.text(max_size=40)))
def test_any_template_renders_or_is_a_clean_error(text):
    try:
        template = compile_template(text, "boiler", find)
    except ExpressionError as error:
        assert 0 <= error.offset <= len(text)
        return
    known = Known()
    assert isinstance(template.bind(SLOTS).render(known.values, known.quality), str)
