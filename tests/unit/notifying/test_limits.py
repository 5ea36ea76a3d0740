"""How many messages somebody gets, and what is said of those that were held back."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.notifying.limiting import said
from gateway.rulebook import AlarmSpec
from rules.values import Instant, Transition
from tests.unit.notifying.rig import mqtt


async def test_too_many_messages_are_counted_and_the_next_one_says_so(make: Any) -> None:
    rig = make(mqtt(limit=(2, 600.0)))
    for number in range(5):
        await rig.take(id=f"a{number}")
    assert len(rig.door.messages) == 2
    await rig.clock.advance(601)
    await rig.take()
    assert rig.door.texts()[-1] == "Boiler at 81.0 \u00b0C (3 more messages were held back)"
    await rig.take()
    assert rig.door.texts()[-1] == "Boiler at 81.0 \u00b0C"


async def test_a_template_without_the_text_says_what_was_held_back_on_a_line_of_its_own(make: Any) -> None:
    rig = make(mqtt(limit=(1, 600.0), text="{id}"))
    await rig.take()
    await rig.take()
    await rig.clock.advance(601)
    await rig.take()
    assert rig.door.texts() == ["hot", "hot\n(1 more message was held back)"]


async def test_an_urgent_alarm_that_becomes_active_is_never_held_back_by_the_limit(make: Any) -> None:
    rig = make(mqtt(limit=(1, 600.0), on=("active", "clear")))
    for number in range(3):
        await rig.take(id=f"a{number}", priority="high")
    await rig.take(id="fire", priority="urgent")
    await rig.take(event="clear", state="unack_rtn", id="fire", priority="urgent")
    assert [message["id"] for message in rig.door.messages] == ["a0", "fire"]


async def test_while_messages_are_held_back_an_issue_says_so(make: Any) -> None:
    rig = make(mqtt(limit=(2, 3600.0)), mqtt("boss"))
    for _ in range(2):
        await rig.take()
        await rig.clock.advance(60)
    assert rig.issues() == {}
    await rig.take()
    assert rig.issues() == {"shift": "notification shift: messages are held back by its limit of 2 an hour"}
    await rig.clock.advance(3600 - 121)
    assert list(rig.issues()) == ["shift"]
    await rig.clock.advance(2)
    assert rig.issues() == {}


async def test_that_it_holds_back_messages_takes_no_room_in_the_notification_itself(make: Any) -> None:
    rig = make(mqtt(limit=(2, 600.0)), mqtt("boss", limit=(2, 600.0)))
    limited = AlarmSpec("notify_limited", "shift", issue="notify_limited")
    at = Instant(0, rig.clock.wall_ms())
    rig.notifier.take(Transition(limited, "active", "", "unack_active", at))
    await rig.clock.settle()
    assert [message["id"] for message in rig.door.messages] == ["notify_limited"]


async def test_a_restart_gives_no_new_allowance_and_forgets_no_count(make: Any) -> None:
    rig = make(mqtt(limit=(2, 600.0)), mqtt("gone", limit=(2, 600.0)))
    for _ in range(4):
        await rig.take()
    await rig.clock.advance(300)
    await rig.end()
    again = make(mqtt(limit=(2, 600.0)), memory=rig.memory, clock=rig.clock)
    await again.take()
    assert again.door.messages == []
    await again.clock.advance(301)
    await again.take()
    assert again.door.texts() == ["Boiler at 81.0 \u00b0C (3 more messages were held back)"]
    assert list(again.memory.items()) == ["limit/shift"]


@pytest.mark.parametrize(("limit", "text"), [((20, 3600.0), "20 an hour"), ((3, 600.0), "3 in 10 minutes")])
def test_a_limit_in_words(limit: Any, text: str) -> None:
    assert said(limit) == f"limit of {text}"


async def test_a_generous_limit_counts_every_message_and_keeps_a_short_row(make: Any) -> None:
    rig = make(mqtt(limit=(300, 3600.0)))
    for _ in range(310):
        await rig.take()
        await rig.clock.advance(0.5)
    assert len(rig.door.messages) == 300
    assert len(rig.memory.items()["limit/shift"]) < 70
