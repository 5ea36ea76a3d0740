"""Names as people write them, in letters of an id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.ids import is_id, suggest_id
from gateway.settings.letters import plain_letters


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Außentemperatur", "Aussentemperatur"),
        ("Température", "Temperature"),
        ("Te\u0301mpe\u0301rature", "Temperature"),
        ("Łódź pompa 1", "Lodz_pompa_1"),
        ("m³/h", "m3_h"),
        ("a__b-c", "a__b-c"),
        ("温度 1", "___1"),
        ("온도", "__"),
        ("½ \u0301", "___"),
    ],
)
def test_letters_lose_their_accents_and_all_else_is_an_underscore(name: str, plain: str) -> None:
    assert plain_letters(name) == plain


def test_a_row_of_signs_can_be_one_underscore_and_underscores_of_the_user_stay() -> None:
    assert plain_letters("a // é ½b__c", squeeze=True) == "a_e_b__c"


def test_the_hint_for_a_name_keeps_its_letters() -> None:
    assert suggest_id("Kühlung (Süd)") == "for example `Kuhlung_Sud`"


@given(st.text(max_size=60), st.booleans())
def test_whatever_is_written_is_made_of_characters_of_an_id(name: str, squeeze: bool) -> None:
    assert is_id("x" + plain_letters(name, squeeze)[:63])
