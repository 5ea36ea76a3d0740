"""Lengths of time as people read them."""

import pytest

from gateway.cli.forms import span


@pytest.mark.parametrize(
    ("seconds", "text"), [(20, "20 s"), (60.0, "1 min"), (90, "1.5 min"), (100, "100 s"), (7200, "2 h"), (0.5, "0.5 s")]
)
def test_a_span_is_exact_and_in_a_unit_that_fits(seconds: float, text: str) -> None:
    assert span(seconds) == text
