"""Canonical JSON against the numbers of RFC 8785 appendix B and ECMAScript."""

import pytest

from gateway.canonical import canonical, digest


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (1e-7, "1e-7"),
        (1.5e-5, "0.000015"),
        (-2e-6, "-0.000002"),
        (333333333.3333332, "333333333.3333332"),
        (21, "21"),
    ],
)
def test_numbers_are_written_as_ecmascript_writes_them(value, text):
    assert canonical(value).decode() == text


def test_keys_are_sorted_by_utf16_units_and_text_is_not_escaped():
    assert (
        canonical({"€": 1, "a": [True, None], "\U0001f600": "ä"}).decode() == '{"a":[true,null],"€":1,"\U0001f600":"ä"}'
    )


def test_a_number_that_json_cannot_carry_is_refused():
    with pytest.raises(ValueError, match="nan"):
        canonical(float("nan"))


def test_the_digest_does_not_depend_on_key_order():
    assert digest({"a": 1, "b": 2.0}, 16) == digest({"b": 2, "a": 1.0}, 16)
