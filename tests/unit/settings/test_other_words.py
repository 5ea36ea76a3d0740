"""Words of other programs: none of them is a key here, and the forms that hints show are good ones."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gateway.rulebook import STEP_KINDS
from gateway.settings import other_words, rule_keys
from gateway.settings.convert import fields_of


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (other_words.RULE, fields_of(rule_keys.RuleKeys)),
        (other_words.ALARM, fields_of(rule_keys.AlarmKeys)),
        (other_words.RULE_ALARM, fields_of(rule_keys.RuleAlarmKeys)),
        (other_words.STEP, STEP_KINDS),
    ],
)
def test_a_word_of_others_is_no_word_of_ours(words: Any, known: Any) -> None:
    assert not set(words) & set(known)


@pytest.mark.parametrize("key", ["start", "end", "alarm", "levels", "rate", "deviation", "resend", "mqtt", "smtp"])
def test_a_form_is_what_the_key_takes(key: str) -> None:
    text = other_words.FORMS[key].removeprefix("write ").removesuffix(", in units per second")
    assert isinstance(yaml.safe_load(text), list if key in {"start", "end"} else dict)
