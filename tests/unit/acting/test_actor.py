"""What rules do: each kind of action, its end, its audit entry, and what stays in nobody's way."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from gateway.acting.actor import REFUSALS_A_MINUTE
from gateway.acting.doing import WITHIN
from gateway.acting.lanes import SHARE
from tests.support.eventually import eventually
from tests.support.webserver import CLOSE, OK, WebServer, answer
from tests.unit.acting.conftest import Refused, Rig


async def test_a_write_goes_through_commands_and_is_audited_once(rig: Rig) -> None:
    rig.do("write", values={"pump.run": 1})
    await rig.clock.settle()
    assert rig.line.written == [("pump.run", 1)]
    assert rig.told == [("r", "ok", 200, "")]
    (entry,) = rig.trail.entries
    assert (entry["who"], entry["via"], entry["what"], entry["new"]) == ("rule:r", "rule", "write", 1)


async def test_nothing_is_between_a_due_write_and_the_line(rig: Rig) -> None:
    rig.do("write", values={"pump.run": 1})
    turns = 0
    while not rig.line.written:
        turns += 1
        await asyncio.sleep(0)
    assert turns <= 3  # its own task, then one task per value


async def test_a_refused_write_is_an_issue_of_its_rule_until_it_works(rig: Rig) -> None:
    rig.do("write", values={"pump.run": "fast"})
    await rig.clock.settle()
    assert rig.states() == [("rejected", 400)]
    assert "pump.run takes a number" in rig.issues()["r"]
    rig.do("write", values={"pump.speed": 5})
    await rig.clock.settle()
    assert "pump.run" in rig.issues()["r"]
    rig.do("write", values={"pump.run": 1})
    await rig.clock.settle()
    assert rig.issues() == {}


async def test_issues_of_rules_that_are_gone_end(rig: Rig) -> None:
    for rule in ("old", "new"):
        rig.do("write", rule=rule, values={"pump.run": "fast"})
    await rig.clock.settle()
    rig.actor.keep(["new"])
    assert list(rig.issues()) == ["new"]


async def test_a_write_to_several_devices_is_checked_as_one(rig: Rig) -> None:
    rig.do("write", values={"pump.run": 1, "fan.run": "fast"})
    await rig.clock.settle()
    assert rig.line.written == []
    assert rig.told[0][1:3] == ("rejected", 400)
    assert "fan.run takes a number" in rig.told[0][3]


async def test_a_write_to_a_device_that_is_down_is_told_as_failed(rig: Rig) -> None:
    rig.do("write", values={"gone.run": 1})
    await rig.clock.settle()
    assert rig.states() == [("failed", 504)]


async def test_actions_on_one_device_keep_their_order_and_hold_up_no_other(rig: Rig) -> None:
    rig.line.gate.clear()
    rig.do("write", values={"pump.run": 1})
    rig.do("command", op="demote", device="pump")
    rig.do("write", values={"pump.run": 0})
    rig.do("write", values={"fan.run": 1})
    await rig.clock.settle()
    assert rig.line.written == [("pump.run", 1), ("fan.run", 1)]
    assert rig.doors.calls == []
    rig.line.gate.set()
    await rig.clock.settle()
    assert rig.line.written[-1] == ("pump.run", 0)
    assert [call[1] for call in rig.doors.calls] == ["demote"]


async def test_a_write_whose_turn_comes_too_late_is_not_done(rig: Rig) -> None:
    rig.line.gate.clear()
    rig.do("write", values={"pump.run": 1})
    rig.do("write", values={"pump.run": 0})
    await rig.clock.settle()
    await rig.clock.advance(WITHIN["write"] + 1)
    rig.line.gate.set()
    await rig.clock.settle()
    assert rig.line.written == [("pump.run", 1)]
    assert rig.states() == [("ok", 200), ("expired", 408)]


async def test_a_rule_that_asks_for_too_much_refuses_itself_and_no_other(rig: Rig) -> None:
    rig.line.gate.clear()
    for number in range(SHARE + 20):
        rig.do("write", values={"pump.speed": number})
    rig.do("write", values={"pump.run": 1}, rule="quiet")
    assert rig.states() == [("rejected", 429)] * 20
    assert rig.actor.stats()["refused"] == 20
    assert "wait for device pump" in rig.issues()["r"]
    assert "quiet" not in rig.issues()
    assert [entry["code"] for entry in rig.trail.entries] == [429] * REFUSALS_A_MINUTE  # no flood of the audit log
    rig.line.gate.set()
    await eventually(lambda: len(rig.line.written) == SHARE + 1)


async def test_a_dry_run_is_only_told(rig: Rig) -> None:
    for kind in ("write", "desired", "command", "publish", "webhook", "log", "notify"):
        rig.do(kind, dry_run=True, values={"pump.run": 1})
    await rig.clock.settle()
    assert rig.states() == [("dry_run", 200)] * 7
    assert rig.line.written == rig.doors.calls == rig.trail.entries == []


async def test_desired_values_go_to_the_shadow_of_each_device(rig: Rig) -> None:
    rig.do("desired", values={"pump.run": 1, "fan.speed": 2, "pump.a/b": 3})
    await rig.clock.settle()
    assert rig.doors.calls == [
        ("desire", "pump", {"run": 1, "a/b": 3}, "rule:r"),
        ("desire", "fan", {"speed": 2}, "rule:r"),
    ]
    assert rig.states() == [("ok", 200)]
    assert rig.trail.entries == []  # the shadows have their own


async def test_desired_values_that_are_refused_are_audited_and_told(rig: Rig) -> None:
    rig.doors.broken = Refused("pump.run is read-only", 403)
    rig.do("desired", values={"pump.run": 1})
    await rig.clock.settle()
    assert rig.states() == [("rejected", 403)]
    assert rig.trail.entries[0]["text"] == "pump.run is read-only"


@pytest.mark.parametrize(
    ("body", "state", "code", "text"),
    [
        ({"out": {}}, "ok", 200, ""),
        ({"code": 404, "text": "there is no device"}, "rejected", 404, "there is no device"),
        ({"code": 207, "items": {"a": {"code": 200}, "b": {"code": 504, "text": "away"}}}, "failed", 207, "b: away"),
        ({"code": 504}, "failed", 504, ""),
    ],
)
async def test_a_command_ends_as_its_op_does(rig: Rig, body: Any, state: str, code: int, text: str) -> None:
    rig.doors.body = body
    rig.do("command", op="promote", device="pump", args=(("a", 1),))
    await rig.clock.settle()
    assert rig.doors.calls[0][:5] == ("command", "promote", "pump", {"a": 1}, "rule:r")
    assert rig.told == [("r", state, code, text)]
    assert (rig.trail.entries[0]["what"], rig.trail.entries[0]["op"]) == ("command", "promote")


async def test_a_message_is_published_over_its_uplink(rig: Rig) -> None:
    rig.do("publish", topic="plant/alarm", text="hot: 81 \u00b0C", uplink="cloud", retain=True)
    await rig.clock.settle()
    assert rig.doors.calls == [("publish", "cloud", "plant/alarm", "hot: 81 \u00b0C".encode(), True, 60.0)]
    assert rig.trail.entries[0]["topic"] == "plant/alarm"


async def test_an_uplink_that_is_slow_holds_up_its_own_messages_only(rig: Rig) -> None:
    rig.doors.gate.clear()
    rig.do("publish", topic="a", uplink="slow")
    rig.do("publish", topic="b", uplink="slow")
    rig.do("publish", topic="c", uplink="other")
    rig.do("write", values={"pump.run": 1})
    await rig.clock.settle()
    assert [call[2] for call in rig.doors.calls] == ["a", "c"]
    assert rig.states() == [("ok", 200)]
    rig.doors.gate.set()


async def test_a_text_is_logged_on_one_line(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "fieldpost.rules")
    rig.do("log", text="boiler\nis hot", level="warning")
    assert caplog.messages == ["r: boiler is hot"]
    assert caplog.records[0].levelno == logging.WARNING
    assert rig.trail.entries[0]["what"] == "log"


async def test_a_message_to_people_is_handed_over(rig: Rig) -> None:
    rig.do("notify", to=("ops", "boss"), text="hot")
    assert rig.doors.calls == [("notify", ("ops", "boss"), "hot", "rule:r")]
    rig.doors.missed = ["boss"]
    rig.do("notify", to=("ops", "boss"), text="hot")
    assert rig.states() == [("ok", 200), ("failed", 429)]
    assert "boss" in rig.issues()["r"]


@pytest.mark.parametrize("kind", ["set", "delay"])
async def test_what_is_no_action_on_the_world_is_refused(rig: Rig, kind: str) -> None:
    rig.do(kind, values={"pump.run": 1})
    assert rig.states() == [("rejected", 400)]


async def test_a_door_that_breaks_is_a_failed_action_and_nothing_else(rig: Rig, caplog: Any) -> None:
    rig.doors.broken = RuntimeError("boom")
    rig.do("command", op="promote", device="pump")
    rig.do("notify", to=("ops",), text="x")
    await rig.clock.settle()
    assert rig.states() == [("failed", 500), ("failed", 500)]
    rig.doors.broken = None
    rig.do("command", op="promote", device="pump")
    await rig.clock.settle()
    assert rig.states()[-1] == ("ok", 200)


async def test_a_listener_that_raises_does_no_harm(rig: Rig, caplog: Any) -> None:
    rig.actor._told = lambda *_: 1 / 0
    rig.do("write", values={"pump.run": 1})
    rig.do("write", values={"pump.run": 0})
    await rig.clock.settle()
    assert [value for _, value in rig.line.written] == [1, 0]


async def test_a_stop_tells_what_was_not_done() -> None:
    rig = Rig()
    rig.line.gate.clear()
    running = asyncio.ensure_future(rig.actor.run())
    rig.do("write", values={"pump.run": 1})
    rig.do("write", values={"pump.run": 0})
    await rig.clock.settle()
    running.cancel()
    await asyncio.wait({running})
    assert rig.states() == [("failed", 500), ("failed", 503)]
    assert rig.line.written == [("pump.run", 1)]


# --- webhooks


async def advance_until(rig: Rig, condition: Any) -> None:
    """Time passes while threads do their part."""

    async def look() -> bool:
        await rig.clock.advance(1.0)
        return bool(condition())

    await eventually(look, 20)


async def test_a_webhook_is_called_and_audited_without_its_secrets(rig: Rig) -> None:
    async with WebServer() as server:
        rig.do("webhook", url=f"{server.url}?token=s3cr3t", text='{"a": 1}', headers=(("X-Key", "s3cr3t"),))
        await eventually(lambda: rig.told)
    assert rig.states() == [("ok", 200)]
    assert server.received[0].body == b'{"a": 1}'
    assert rig.trail.entries[0]["host"] == f"localhost:{server.port}"
    assert "s3cr3t" not in repr(rig.trail.entries)


async def test_a_webhook_is_tried_three_times(rig: Rig) -> None:
    async with WebServer(answer(503), CLOSE, OK) as server:
        rig.do("webhook", url=server.url)
        await advance_until(rig, lambda: rig.told)
        assert (rig.states(), len(server.received)) == ([("ok", 200)], 3)


async def test_a_webhook_that_fails_each_time_is_an_issue_without_secrets(rig: Rig) -> None:
    async with WebServer(answer(500)) as server:
        rig.do("webhook", url=f"{server.url}/s3cr3t", headers=(("X-Key", "s3cr3t"),))
        await advance_until(rig, lambda: rig.told)
        assert (rig.states(), len(server.received)) == ([("failed", 500)], 3)
    assert "500" in rig.issues()["r"]
    assert "s3cr3t" not in repr([rig.issues(), rig.told, rig.trail.entries])


async def test_a_webhook_that_is_refused_is_not_tried_again(rig: Rig) -> None:
    async with WebServer(answer(404)) as server:
        rig.do("webhook", url=server.url)
        await eventually(lambda: rig.told)
        assert (rig.states(), len(server.received)) == ([("rejected", 404)], 1)


async def test_calls_to_one_host_keep_their_order(rig: Rig) -> None:
    async with WebServer() as server:
        for number in range(10):
            rig.do("webhook", url=server.url, text=str(number))
        await eventually(lambda: len(rig.told) == 10)
        assert [each.body for each in server.received] == [str(number).encode() for number in range(10)]
