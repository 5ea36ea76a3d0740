"""Devices follow what is desired: the device's own log of writes decides (protocol.md 3.3, H9, H12-H15)."""

import asyncio

import pytest

from gateway.model import DeviceState
from gateway.shadows.values import Origin
from gateway.shadows.writing import MAX_TRIES, targets
from tests.unit.shadows.plant import document, patch

DEV = "dev"


async def desire(gateway, ver, **state):
    refused, _ = await gateway.do(gateway.desk.patch(DEV, patch(ver, state)))
    assert refused is None
    await gateway.settle()


def apply_of(gateway, path):
    one = gateway.keeper.get(DEV).progress[path]
    return str(one.phase), one.code


def told(gateway):
    return [(one.path, one.ver, str(one.phase), one.code) for one in gateway.desk.untold(DEV)]


async def hear(gateway):
    for rejection in gateway.desk.untold(DEV):
        await gateway.do(gateway.desk.told(DEV, rejection))


async def shown(gateway, path):
    view = await gateway.do(gateway.desk.view(DEV))
    return view["reported"][path]["value"]


async def restart(gateway):
    await gateway.kill()
    gateway.open()
    gateway.start()
    await gateway.settle()


async def test_what_is_desired_is_written_once_and_reported_as_read(gateway):
    device = gateway.devices[DEV]
    await desire(gateway, 1, speed=55, mode="manual")
    await gateway.advance(5)
    assert sorted(device.log) == [("mode", "manual"), ("speed", 55)]
    assert apply_of(gateway, "speed") == ("ok", 200)
    assert (await shown(gateway, "speed"), gateway.desk.delta(DEV)) == (55, {})


async def test_a_value_that_the_device_has_is_asked_for_and_not_written(gateway):
    device = gateway.devices[DEV]
    await desire(gateway, 1, speed=10)
    assert (device.log, apply_of(gateway, "speed")) == ([], ("ok", 200))


async def test_a_value_believed_to_be_there_that_is_not_any_more_is_written(gateway):
    device = gateway.devices[DEV]
    device.values["speed"] = 30  # since the last poll
    await desire(gateway, 1, speed=10)
    assert (device.log, apply_of(gateway, "speed")) == ([("speed", 10)], ("ok", 200))


async def test_a_message_twice_is_one_write(gateway):
    await desire(gateway, 1, speed=55)
    await desire(gateway, 1, speed=55)
    await gateway.do(gateway.desk.desired(DEV, document(1, {"speed": 55})))
    await gateway.advance(5)
    assert gateway.devices[DEV].log == [("speed", 55)]


async def test_a_refusal_of_the_device_is_final_and_told_with_its_code(gateway):
    device = gateway.devices[DEV]
    device.refuses["speed"] = 422
    await desire(gateway, 1, speed=55)
    await gateway.advance(60)
    assert (device.log, apply_of(gateway, "speed")) == ([], ("rejected", 422))
    assert told(gateway) == [("speed", 1, "rejected", 422)]
    await hear(gateway)
    assert told(gateway) == []
    assert gateway.desk.delta(DEV) == {"speed": 55}
    device.refuses.clear()
    await gateway.advance(60)
    assert device.log == [], "H14: that version has ended"
    await desire(gateway, 2, speed=55)
    assert device.log == [("speed", 55)]


async def test_a_device_that_clamps_is_written_once_and_the_value_it_took_is_reported(gateway):
    device = gateway.devices[DEV]
    device.clamps["speed"] = 40
    await desire(gateway, 1, speed=55)
    await gateway.advance(60)
    assert device.log == [("speed", 55)]
    assert apply_of(gateway, "speed") == ("failed", 500)
    assert "reads 40" in gateway.keeper.get(DEV).progress["speed"].text
    assert (await shown(gateway, "speed"), gateway.desk.delta(DEV)) == (40, {"speed": 55})


async def test_a_device_that_needs_time_is_looked_at_again_and_written_once(gateway):
    device = gateway.devices[DEV]
    device.late["speed"] = 1
    await desire(gateway, 1, speed=55)
    assert apply_of(gateway, "speed")[0] == "verifying"
    await gateway.advance(30)
    assert (device.log, apply_of(gateway, "speed")) == ([("speed", 55)], ("ok", 200))
    assert await shown(gateway, "speed") == 55


async def test_a_write_without_an_answer_that_had_its_effect_is_not_repeated(gateway):
    device = gateway.devices[DEV]
    device.mute.add("speed")
    await desire(gateway, 1, speed=55)
    assert apply_of(gateway, "speed") == ("writing", 504)
    await gateway.advance(30)
    assert (device.log, apply_of(gateway, "speed")) == ([("speed", 55)], ("ok", 200))


async def test_a_write_that_nobody_answers_fails_after_all_tries_while_the_device_is_there(gateway):
    device = gateway.devices[DEV]
    device.deaf.add("speed")
    await desire(gateway, 1, speed=55)
    await gateway.advance(120)
    assert (device.log, apply_of(gateway, "speed")) == ([], ("failed", 504))
    assert gateway.keeper.get(DEV).progress["speed"].tries == MAX_TRIES - 1


async def test_a_silent_device_that_goes_offline_never_fails_and_is_written_when_it_returns_h15(gateway):
    device = gateway.devices[DEV]
    device.deaf.add("speed")
    await desire(gateway, 1, speed=55)
    device.state = DeviceState.OFFLINE
    await gateway.advance(600)
    assert apply_of(gateway, "speed")[0] in ("pending", "writing")
    device.deaf.clear()
    device.state = DeviceState.ONLINE
    await gateway.advance(30)
    assert (device.log, apply_of(gateway, "speed")) == ([("speed", 55)], ("ok", 200))


async def test_a_leaf_of_a_device_that_is_away_waits_is_told_once_and_written_once(gateway):
    device = gateway.devices[DEV]
    device.state = DeviceState.OFFLINE
    await desire(gateway, 1, speed=55)
    await gateway.advance(10)
    assert told(gateway) == [("speed", 1, "pending", 504)]
    await hear(gateway)
    await gateway.advance(300)
    assert told(gateway) == [], "H15: told once"
    device.state = DeviceState.ONLINE
    await gateway.advance(5)
    assert (device.log, apply_of(gateway, "speed")) == ([("speed", 55)], ("ok", 200))


async def test_of_a_leaf_that_waits_only_the_newest_value_is_written(gateway):
    device = gateway.devices[DEV]
    device.state = DeviceState.OFFLINE
    for ver in range(1, 6):
        await desire(gateway, ver, speed=50 + ver)
        await gateway.advance(2)
    device.state = DeviceState.ONLINE
    await gateway.advance(5)
    assert device.log == [("speed", 55)]


async def test_a_newer_version_during_a_write_is_written_after_it_one_at_a_time_h13(gateway):
    device = gateway.devices[DEV]
    device.hold = asyncio.Event()
    await desire(gateway, 1, speed=55)
    await desire(gateway, 2, speed=56, level=3)
    device.hold.set()
    await gateway.advance(5)
    assert [value for tag, value in device.log if tag == "speed"] == [55, 56]
    assert ("level", 3) in device.log
    assert device.most_in_flight == 1
    assert (apply_of(gateway, "speed"), gateway.keeper.get(DEV).progress["speed"].ver) == (("ok", 200), 2)


async def test_a_write_overtaken_by_another_one_ends_superseded_and_is_not_told(gateway):
    device = gateway.devices[DEV]
    device.supersedes.add("speed")
    await desire(gateway, 1, speed=55)
    device.supersedes.clear()
    await gateway.advance(60)
    assert (device.log, apply_of(gateway, "speed"), told(gateway)) == ([], ("superseded", 409), [])


async def test_with_keep_a_device_changed_at_its_panel_while_away_is_reported_and_not_written_h14(gateway):
    device = gateway.devices[DEV]
    await desire(gateway, 1, speed=55)
    device.state = DeviceState.OFFLINE
    await gateway.advance(5)
    device.put("speed", 70)
    device.state = DeviceState.ONLINE
    gateway.poll(DEV)
    await gateway.advance(30)
    assert device.log == [("speed", 55)]
    assert (await shown(gateway, "speed"), gateway.desk.delta(DEV)) == (70, {"speed": 55})


async def test_reapply_writes_the_last_good_value_again_when_the_device_returns_without_it(gateway):
    device = gateway.devices[DEV]
    await desire(gateway, 1, level=5)
    device.state = DeviceState.OFFLINE
    await gateway.advance(5)
    device.put("level", 0)
    device.state = DeviceState.ONLINE
    await gateway.advance(5)
    assert device.log == [("level", 5), ("level", 5)]
    await gateway.advance(60)
    assert len(device.log) == 2, "once for each return"


@pytest.mark.parametrize("case", ["same", "too old", "refused"])
async def test_reapply_writes_nothing_that_is_there_too_old_or_never_ended_well(gateway, case):
    device = gateway.devices[DEV]
    if case == "refused":
        device.refuses["level"] = 422
    await desire(gateway, 1, level=5)
    before = list(device.log)
    device.refuses.clear()
    device.state = DeviceState.OFFLINE
    await gateway.advance(5)
    if case != "same":
        device.put("level", 0)
    if case == "too old":
        gateway.clock.step_wall(3600)
    device.state = DeviceState.ONLINE
    await gateway.advance(10)
    assert device.log == before


@pytest.mark.parametrize("reached", [True, False])
async def test_after_a_crash_in_mid_write_the_device_is_read_first_and_written_only_if_it_differs(gateway, reached):
    device = gateway.devices[DEV]
    hold = asyncio.Event()
    if reached:
        device.hold = hold
    else:
        device.hold_before = hold
    await desire(gateway, 1, speed=55)
    assert apply_of(gateway, "speed")[0] == "writing"
    await restart(gateway)
    device.hold = device.hold_before = None
    hold.set()
    await gateway.advance(10)
    assert (device.log, apply_of(gateway, "speed")) == ([("speed", 55)], ("ok", 200))


async def test_after_a_crash_in_mid_write_a_value_set_at_the_panel_meanwhile_is_not_taken_for_the_written_one(gateway):
    device = gateway.devices[DEV]
    device.hold = asyncio.Event()
    await desire(gateway, 1, speed=55)
    await restart(gateway)
    device.hold = None
    await gateway.advance(10)
    assert await shown(gateway, "speed") == 55


async def test_a_value_desired_before_a_stop_is_written_once_after_the_start(gateway):
    device = gateway.devices[DEV]
    device.state = DeviceState.OFFLINE
    await desire(gateway, 1, speed=55)
    await restart(gateway)
    await restart(gateway)
    device.state = DeviceState.ONLINE
    await gateway.advance(10)
    await restart(gateway)
    await gateway.advance(10)
    assert device.log == [("speed", 55)]


async def test_a_device_not_heard_of_yet_gets_nothing_and_nothing_is_told(gateway):
    device = gateway.devices[DEV]
    device.state = DeviceState.UNKNOWN
    await desire(gateway, 1, speed=55)
    await gateway.advance(30)
    assert (device.log, told(gateway)) == ([], [])


async def test_a_local_edit_is_written_at_once_and_an_older_message_does_not_undo_it(gateway):
    device = gateway.devices[DEV]
    await desire(gateway, 3, speed=55)
    await gateway.do(gateway.desk.set(DEV, {"speed": 60}, who="console"))
    await desire(gateway, 2, speed=40)
    await desire(gateway, 3, speed=55)
    await gateway.advance(5)
    assert device.log == [("speed", 55), ("speed", 60)]
    document = await gateway.do(gateway.desk.document(DEV))
    assert document.body["local"]["speed"][:3] == [60, 3, 1]


async def test_an_edit_that_the_device_refuses_is_told_as_lost_and_the_device_keeps_its_value(gateway):
    device = gateway.devices[DEV]
    await desire(gateway, 3, speed=55)
    device.refuses["speed"] = 422
    await gateway.do(gateway.desk.set(DEV, {"speed": 60}, who="console"))
    await gateway.advance(10)
    assert device.log == [("speed", 55)]
    assert told(gateway) == [("speed", 3, "rejected", 422)]
    assert gateway.keeper.get(DEV).edits == {}


async def test_a_desired_value_that_overrules_an_edit_is_written(gateway):
    device = gateway.devices[DEV]
    await gateway.do(gateway.desk.set(DEV, {"speed": 60}, who="console"))
    await gateway.advance(2)
    await desire(gateway, 1, speed=55)
    await gateway.advance(2)
    assert device.log == [("speed", 60), ("speed", 55)]


async def test_a_feedback_tag_decides_whether_a_write_worked(gateway):
    device = gateway.devices[DEV]
    await desire(gateway, 1, run=True)
    assert (device.log, apply_of(gateway, "run")) == ([("run", True)], ("ok", 200))
    assert (await shown(gateway, "run_fb"), gateway.desk.delta(DEV)) == (True, {})
    del device.follows["run"]
    await desire(gateway, 2, run=False)
    await gateway.advance(60)
    assert apply_of(gateway, "run") == ("failed", 500)
    assert (await shown(gateway, "run_fb"), gateway.desk.delta(DEV)) == (True, {"run": False})


async def test_what_is_read_back_is_reported_also_after_the_wall_clock_went_back_h12_h23(gateway):
    device = gateway.devices[DEV]
    await desire(gateway, 1, speed=55)
    gateway.clock.step_wall(-3600)
    await gateway.advance(2)
    device.put("speed", 70)
    gateway.poll(DEV)
    assert await shown(gateway, "speed") == 70


async def test_a_deleted_leaf_that_waits_is_not_written(gateway):
    device = gateway.devices[DEV]
    device.state = DeviceState.OFFLINE
    await desire(gateway, 1, speed=55)
    await desire(gateway, 2, speed=None)
    device.state = DeviceState.ONLINE
    await gateway.advance(10)
    assert device.log == []


async def test_a_leaf_waits_for_the_pause_after_a_refusal_for_being_busy_and_is_then_written(gateway):
    device = gateway.devices[DEV]
    device.refuses["speed"] = 429
    await desire(gateway, 1, speed=55)
    assert apply_of(gateway, "speed") == ("pending", 429)
    device.refuses.clear()
    await gateway.advance(5)
    assert (device.log, apply_of(gateway, "speed")) == ([("speed", 55)], ("ok", 200))


async def test_an_unreadable_device_is_not_written_a_second_time_blindly(gateway):
    """After an unknown outcome nothing is written before something was read."""
    device = gateway.devices[DEV]
    device.unreadable = True
    await desire(gateway, 1, speed=55)
    await gateway.advance(10)
    assert device.log == [("speed", 55)]
    device.unreadable = False
    await gateway.advance(30)
    assert len(device.log) == 1


async def test_what_a_rule_sets_is_written_as_the_rules_and_not_as_somebodys_at_the_gateway(gateway):
    gateway.devices[DEV].state = DeviceState.OFFLINE
    await gateway.do(gateway.desk.set(DEV, {"speed": 60}, who="rule:night", origin=Origin.RULE))
    await gateway.do(gateway.desk.set(DEV, {"mode": "manual"}, who="anna"))
    found = {target.path: (target.via, target.who) for target in targets(gateway.keeper.get(DEV))}
    assert found == {"speed": ("rule", "rule:night"), "mode": ("local", "anna")}
