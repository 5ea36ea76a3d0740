"""Who is told of what, how often, and what a restart does not change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.notifying.mailbox import OLDEST_S, WAITING
from gateway.rulebook import NotifySpec, Resend
from gateway.testing import DictMemory, ManualClock
from tests.support.eventually import eventually
from tests.support.mailserver import MailServer
from tests.support.webserver import HANG, OK, WebServer, answer
from tests.unit.notifying.rig import Refused, mqtt


async def test_an_alarm_is_told_with_all_that_is_known(make: Any) -> None:
    rig = make(mqtt())
    await rig.take(tag="temperature")
    (told,) = rig.door.messages
    assert told["time"].startswith("2027-01-15T")
    expected = {
        "gateway": "gw1",
        "id": "hot",
        "entity": "boiler",
        "tag": "temperature",
        "event": "active",
        "state": "unack_active",
        "priority": "medium",
        "text": "Boiler at 81.0 \u00b0C",
        "action": "Open the bypass",
        "value": 81.0,
        "quality": "good",
    }
    assert {key: value for key, value in told.items() if key in expected} == expected
    assert rig.door.topics == [("cloud", "plant/alarms", False)]
    assert rig.memory.items() == {}


@pytest.mark.parametrize(
    ("spec", "alarm", "told"),
    [
        ({}, {}, True),
        ({"priority": "medium"}, {"priority": "medium"}, True),
        ({"priority": "high"}, {"priority": "medium"}, False),
        ({"priority": "low"}, {"priority": "diagnostic"}, False),
        ({"every_alarm": False}, {}, False),
        ({"every_alarm": False}, {"notify": ("shift",)}, True),
        ({"every_alarm": False, "priority": "urgent"}, {"notify": ("shift",)}, False),
        ({"on": ("clear",)}, {}, False),
        ({"on": ("active", "clear")}, {"event": "clear", "state": "unack_rtn"}, True),
        ({"on": ("ack",)}, {"event": "ack", "state": "ack_active"}, True),
        ({"on": ("shelved",)}, {"event": "shelve", "state": "shelved"}, True),
        ({}, {"event": "shelve", "state": "shelved"}, False),
        ({}, {"event": "active", "state": "suppressed"}, False),
        ({"on": ("clear",)}, {"event": "clear", "state": "shelved"}, False),
        ({}, {"event": "unshelve", "state": "unack_active"}, True),
        ({}, {"event": "unsuppress", "state": "ack_active"}, False),
        ({}, {"event": "in_service", "state": "normal"}, False),
        ({}, {"event": "bad", "state": "unack_active"}, False),
    ],
)
async def test_who_is_told_of_what(make: Any, spec: Any, alarm: Any, told: bool) -> None:
    rig = make(mqtt(**spec))
    await rig.take(**alarm)
    assert bool(rig.door.messages) is told


async def test_a_template_says_it_in_other_words(make: Any) -> None:
    rig = make(mqtt(text="{priority}: {text} ({value}) {{x}} {state} {comment}|"))
    await rig.take(value=81.23456789)
    assert rig.door.texts() == ["medium: Boiler at 81.0 \u00b0C (81.2346) {x} unack_active |"]


async def test_a_template_that_is_json_stays_json_whatever_is_in_the_fields(make: Any) -> None:
    rig = make(mqtt(text='{{"text": "{text}", "value": {value}}}'))
    await rig.take(text='say "no"\n\\{id}')
    assert rig.door.messages == [{"text": 'say "no"\n\\{id}', "value": 81}]


async def test_an_alarm_is_told_again_until_its_times_are_over(make: Any) -> None:
    rig = make(mqtt(resend=Resend(600.0, 3)))
    await rig.take()
    for _ in range(6):
        await rig.clock.advance(600)
    text = "Boiler at 81.0 \u00b0C"
    assert rig.door.texts() == [text, *(f"{text} (told again, {n} of 3)" for n in (1, 2, 3))]
    assert rig.memory.items() == {}


@pytest.mark.parametrize(
    "end",
    [("ack", "ack_active"), ("clear", "unack_rtn"), ("shelve", "shelved"), ("suppress", "suppressed")],
)
async def test_nobody_is_told_again_of_what_somebody_knows_or_what_is_over(make: Any, end: tuple[str, str]) -> None:
    rig = make(mqtt(resend=Resend(600.0, 3)))
    await rig.take()
    await rig.clock.advance(601)
    await rig.take(*end)
    await rig.clock.advance(7200)
    assert len(rig.door.messages) == 2
    assert rig.memory.items() == {}


async def test_an_input_that_goes_bad_does_not_silence_an_alarm(make: Any) -> None:
    rig = make(mqtt(resend=Resend(600.0, 3)))
    await rig.take()
    await rig.take("bad", "unack_active")
    await rig.clock.advance(601)
    assert len(rig.door.messages) == 2


async def test_a_restart_goes_on_without_a_double_message(make: Any) -> None:
    spec = mqtt(resend=Resend(600.0, 2))
    first = make(spec)
    await first.take()
    await first.clock.advance(601)
    assert len(first.door.messages) == 2
    await first.end()
    second = make(spec, memory=first.memory, clock=first.clock)
    await second.clock.settle()
    assert second.door.messages == []
    await second.clock.advance(598)
    assert second.door.messages == []
    await second.clock.advance(3)
    assert second.door.texts() == ["Boiler at 81.0 \u00b0C (told again, 2 of 2)"]
    await second.clock.advance(7200)
    assert len(second.door.messages) == 1


async def test_what_came_due_meanwhile_is_told_once_soon_after_the_start(make: Any) -> None:
    spec = mqtt(resend=Resend(600.0, 3))
    first = make(spec)
    await first.take()
    await first.end()
    later = ManualClock(first.clock.wall_ms() + 3_600_000, 5.0)
    second = make(spec, memory=first.memory, clock=later)
    await later.advance(2)
    assert second.door.texts() == ["Boiler at 81.0 \u00b0C (told again, 1 of 3)"]


async def test_after_a_restart_only_alarms_that_still_stand_are_told_again(make: Any) -> None:
    spec = mqtt(resend=Resend(600.0, 3))
    first = make(spec)
    await first.take()
    await first.take(id="cold")
    await first.end()
    second = make(spec, memory=first.memory, clock=first.clock)
    second.notifier.standing({"cold@boiler"})
    await second.clock.advance(601)
    assert [message["id"] for message in second.door.messages] == ["cold"]


async def test_a_message_that_was_not_delivered_is_delivered_after_the_restart(make: Any) -> None:
    first = make(mqtt())
    first.door.broken = Refused("no connection", 408)
    await first.take()
    await first.end()
    second = make(mqtt(), memory=first.memory, clock=first.clock)
    await second.clock.settle()
    assert len(second.door.messages) == 1
    assert second.memory.items() == {}


async def test_rows_that_nobody_understands_are_dropped(make: Any) -> None:
    memory = DictMemory()
    for row, value in {"queue/shift/1": 5, "queue/shift/2": {"fields": 1}, "again/shift/a@b": [1], "x": 1}.items():
        memory.put(row, value)
    make(mqtt(resend=Resend(600.0, 3)), memory=memory)
    assert memory.items() == {}


async def test_a_failure_is_an_issue_until_the_next_success_and_the_message_comes(make: Any) -> None:
    rig = make(mqtt())
    rig.door.broken = Refused("no connection", 408)
    await rig.take()
    assert rig.issues() == {"shift": "notification shift: no connection"}
    rig.door.broken = None
    await rig.clock.advance(200)
    assert rig.door.texts() == ["Boiler at 81.0 \u00b0C"]
    assert rig.issues() == {}


async def test_retries_grow_apart_and_end(make: Any) -> None:
    rig = make(mqtt())
    rig.door.broken = Refused("no connection", 408)
    await rig.take()
    await rig.clock.advance(OLDEST_S + 200)
    assert OLDEST_S / 120 < rig.door.tries < 2000
    tries = rig.door.tries
    await rig.clock.advance(1000)
    assert rig.door.tries == tries
    rig.door.broken = None
    await rig.take(id="cold")
    assert rig.door.texts() == ["Boiler at 81.0 \u00b0C (1 more message was held back)"]


async def test_what_is_refused_for_good_is_not_tried_again(make: Any) -> None:
    rig = make(mqtt())
    rig.door.broken = Refused("the topic is not allowed", 403)
    await rig.take()
    await rig.clock.advance(300)
    assert (rig.door.tries, list(rig.issues())) == (1, ["shift"])


async def test_the_time_of_a_message_is_not_rounded_up(make: Any) -> None:
    rig = make(mqtt())
    rig.clock.step_wall(0.999)
    await rig.take()
    assert rig.door.messages[0]["time"] == "2027-01-15T08:00:00Z"


async def test_the_queue_is_bounded_and_a_slow_way_holds_up_no_other(make: Any) -> None:
    async with WebServer(HANG) as server:
        slow = NotifySpec("slow", "webhook", (("url", server.url), ("timeout_s", 30.0)))
        rig = make(slow, mqtt())
        for number in range(WAITING + 5):
            await rig.take(id=f"a{number}")
        assert rig.notifier.waiting() == {"slow": WAITING, "shift": 0}
        assert len(rig.door.messages) == WAITING + 5
        assert "100 messages wait" in rig.issues()["slow"]
        await rig.end()


async def test_a_message_of_a_rule_goes_to_those_that_it_names(make: Any) -> None:
    rig = make(mqtt(), mqtt("boss", priority="urgent", limit=(1, 60.0)))
    assert rig.notifier.send(["shift", "boss", "nobody"], "hello", "rule:r") == ["nobody: there is none"]
    await rig.clock.settle()
    assert rig.notifier.send(["boss"], "hello", "rule:r") == ["boss: held back by its limit of 1 a minute"]
    await rig.clock.settle()
    assert [(message["text"], message["who"]) for message in rig.door.messages] == [("hello", "rule:r")] * 2


async def test_a_reload_keeps_what_waits_and_forgets_what_is_gone(make: Any) -> None:
    rig = make(mqtt(resend=Resend(600.0, 3)), mqtt("old", resend=Resend(600.0, 3)))
    rig.door.broken = Refused("no connection", 408)
    await rig.take()
    assert set(rig.issues()) == {"shift", "old"}
    rig.notifier.reload([mqtt(text="{id}", resend=Resend(600.0, 3)), mqtt("new")])
    rig.door.broken = None
    await rig.clock.advance(200)
    assert rig.door.texts() == ["hot"]
    assert rig.issues() == {}
    await rig.clock.advance(600)
    assert rig.door.texts() == ["hot", "hot\n(told again, 1 of 3)"]
    await rig.take(id="cold")
    assert len(rig.door.messages) == 4
    assert not [row for row in rig.memory.items() if "/old/" in row]


async def test_a_bug_in_a_way_out_stops_nobody(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    rig = make(mqtt(), NotifySpec("broken", "webhook", ()))
    await rig.take()
    assert len(rig.door.messages) == 1
    assert "broken" in rig.issues()
    rig.notifier.take(object())
    await rig.take()
    assert len(rig.door.messages) == 2


# --- real peers


async def test_a_webhook_gets_json_and_its_headers(make: Any) -> None:
    async with WebServer(answer(503), OK) as server:
        options = (("url", f"{server.url}?key=s3cr3t"), ("method", "POST"), ("headers", (("X-Key", "s3cr3t"),)))
        rig = make(NotifySpec("hook", "webhook", (*options, ("timeout_s", 5.0))))
        await rig.take()
        await eventually(lambda: rig.issues())
        assert "s3cr3t" not in repr(rig.issues())

        async def delivered() -> bool:
            await rig.clock.advance(1)
            return not rig.issues()

        await eventually(delivered)
        bodies = [json.loads(one.body) for one in server.received]
        assert [body["id"] for body in bodies] == ["hot", "hot"]
        assert server.received[1].headers["X-Key"] == "s3cr3t"


async def test_a_mail_reads_like_one(make: Any) -> None:
    async with MailServer() as smtp:
        options = {"host": "localhost", "port": smtp.port, "from": "gw@example.org", "to": ("ops@example.org",)}
        options |= {"tls": "none", "username": None, "password": None}
        rig = make(NotifySpec("mail", "smtp", tuple(options.items())))
        await rig.take(priority="high", text="Boiler at\n81.0 \u00b0C")
        await eventually(lambda: smtp.mails)
    (got,) = smtp.mails
    assert got["Subject"] == "[gw1] high boiler hot unack_active: Boiler at 81.0 \u00b0C"
    text = got.get_content()
    assert "value: 81" in text
    assert "What to do: Open the bypass" in text
