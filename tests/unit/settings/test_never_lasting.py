"""What `until` would end before anybody sees it is refused; nothing else is judged."""

from __future__ import annotations

import pytest

from gateway.settings.never_lasting import ends_at_once
from tests.unit.settings.plant import plant
from tests.unit.settings.toy import Faults, Load


@pytest.mark.parametrize(
    ("when", "until"),
    [
        ("t > 80", "t > 75"),
        ("t > 80", "t > 80"),
        ("t > 80", "t >= 80"),
        ("b.t >= 80", "80 <= {t}"),
        ("t < 5", "{b.t} < 6"),
        ("t < 5", "t <= 5"),
        ("-5 > t", "t < -4.5"),
    ],
)
def test_an_end_that_follows_from_the_beginning_comes_at_once(when: str, until: str) -> None:
    assert ends_at_once(when, until, "b")


@pytest.mark.parametrize(
    ("when", "until"),
    [
        ("t > 80", "t < 75"),
        ("t > 80", "t > 90"),
        ("t >= 80", "t > 80"),
        ("t < 5", "t < 4"),
        ("t > 80", "u > 75"),
        ("t > 80 and x", "t > 75"),
        ("t > limit", "t > 75"),
        ("changed(t)", "changed(t)"),
        ("t == 5", "t == 5"),
    ],
)
def test_everything_else_is_left_alone(when: str, until: str) -> None:
    assert not ends_at_once(when, until, "b")


def test_such_a_rule_and_such_an_alarm_are_refused(load: Load, faults: Faults) -> None:
    good = "a: {when: pump1.speed > 80, until: pump1.speed < 75, %s}\n"
    bad = good.replace("<", ">")
    assert load(plant(rules=good % "start: [{log: x}]", alarms=good % "text: x")).book.rules
    for files in ({"rules": bad % "start: [{log: x}]"}, {"alarms": bad % "text: x"}):
        (fault,) = faults(plant(**files))
        assert "this ends at once" in fault.message
        assert fault.path == "a.until"
