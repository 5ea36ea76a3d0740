"""Regular expressions that strangers' texts are matched with."""

from __future__ import annotations

import random
import re
import sys

import pytest

from gateway.patterns import MOST_STATES, Expression, PatternError

PATTERNS = [
    "", "a", "ab*", "(a|ab)(c|bcd)(d*)", "[0-9]{2,3}", "[^a-c]+", r"\d+\.\d+", r"(\.[0-9]+)*", "(?i)aB|c", "(?i:a)B",
    "a??b", "(a*)*b", "^a|b$", r"\bab\b.*", r"a\B.", "(?s).b", ".b", "(?m)^a$.*", r"\Aa\Z", "(a|b|)*c", r"[\w-]+",
    r"\W\D\S", "(?a:\\w)+", "[a-b]{0,2}c{2}", "((a){0}b)?", "(?:ab){2,}", "(?x) a b # c", "é", "(?i)É", "a{3}",
]  # fmt: skip
EVIL = [
    "(a+)+$", "(a|a)*$", "(a|aa)+$", "([a-zA-Z]+)*$", "(.*a){20}", "(a?){60}a{60}", "(((a*)*)*)*b", "(a{0,20}){0,10}",
    ".*.*.*.*.*.*.*.*b", "(a*a*)*b", ".*((a+)+$).*",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_fits_what_python_says_that_it_fits(pattern):
    dice = random.Random(pattern)
    mine, theirs = Expression(pattern), re.compile(pattern)
    texts = ["", "ab", "abcd", "a\n", "É", "1.2", ".1.22", "aB", "ccc", "aaa", "abab"]
    texts += ["".join(dice.choices("aabbcdBA1.-\n é", k=dice.randrange(8))) for _ in range(400)]
    assert [text for text in texts if mine.fits(text)] == [text for text in texts if theirs.fullmatch(text)]


def looks(pattern: Expression, text: str) -> int:
    """How often it looks at a character or a place of a text."""
    count = 0

    def see(frame, event, argument):
        nonlocal count
        count += event == "c_call" and argument.__name__ == "match"

    sys.setprofile(see)
    try:
        pattern.fits(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("pattern", EVIL)
@pytest.mark.parametrize("text", ["a" * 255 + "!", "aab" * 85 + "!"])
def test_no_text_makes_a_pattern_look_more_often_than_its_size_times_the_texts(pattern, text):
    made = Expression(pattern)
    assert 0 < looks(made, text) <= len(made) * (len(text) + 1)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(", "missing )"),
        ("(?=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"(a)\1", "reference back"),
        ("(a)?(?(1)b|c)", "condition"),
        ("(?>a*)", "atomic"),
        ("a*+", "possessive"),
        (f"a{{{MOST_STATES}}}", "too large"),
        ("((a{50}){50}){50}", "too large"),
        ("((){1000}){1000}", "too large"),
        ("(){4000000000}", "too large"),
        ("a{0,4000000000}", "too large"),
        ("(" * 490 + "a" + ")" * 490, "nested too deep"),
        ("a" * 1001, "longer than"),
        ("[[a]", "nested set"),
    ],
)
def test_a_pattern_that_could_not_be_followed_is_refused_when_it_is_read(pattern, said):
    with pytest.raises(PatternError, match=re.escape(said)):
        Expression(pattern)
