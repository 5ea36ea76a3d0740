"""Changing what is desired of a device, through a real broker; the gateway's part is played as protocol.md 3 tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.fleet import BrokerRefuses, Conflict, FleetError, NoAnswer, SetResult
from tests.integration.fleet.conftest import Raw, operator
from tests.integration.fleet.device_side import DeviceSide
from tests.support.eventually import eventually

ROOT = "fp/1/default/gw"
DESIRED = f"{ROOT}/shadow/pump/desired"
REPORTED = f"{ROOT}/shadow/pump/reported"


def _states(done: SetResult) -> dict[str, str]:
    return {leaf.path: leaf.state for leaf in done.leaves}


async def test_a_change_is_done_when_the_gateway_has_read_it_back(broker: Any, raw: Raw, side: DeviceSide) -> None:
    async with operator(broker.url) as fleet:
        done = await fleet.set("gw", "pump", {"setpoints/temp": 21.5, "mode": "auto"})
        assert done.ok
        assert [(leaf.path, leaf.ver, leaf.value) for leaf in done.leaves] == [
            ("setpoints.temp", 1, 21.5),
            ("mode", 1, "auto"),
        ]
        again = await fleet.set("gw", "pump", {"setpoints.temp": 22})
        assert (again.ok, again.ver) == (True, 2)
    assert side.writes == [("mode", "auto"), ("setpoints.temp", 21.5), ("setpoints.temp", 22)]
    document = raw.body(DESIRED)
    assert document["ver"] == 2
    assert document["state"] == {"mode": "auto", "setpoints": {"temp": 22}}
    assert {path: meta[0] for path, meta in document["meta"].items()} == {"mode": 1, "setpoints.temp": 2}


async def test_an_old_gateway_without_leaf_states_is_believed_by_its_values(
    broker: Any, make_side: Callable[..., DeviceSide]
) -> None:
    side = make_side(apply=False)
    side.clamps["speed"] = 1500
    async with operator(broker.url) as fleet:
        done = await fleet.set("gw", "pump", {"temp": 21.5, "speed": 1800}, wait_s=3)
    assert _states(done) == {"temp": "ok", "speed": "failed"}


async def test_refused_clamped_and_unreachable_are_told_with_their_reasons(broker: Any, side: DeviceSide) -> None:
    side.refuses["mode"] = (422, "device said exception 3")
    side.clamps["speed"] = 1500
    async with operator(broker.url) as fleet:
        done = await fleet.set("gw", "pump", {"mode": "x", "speed": 1800, "temp": 1})
        mode, speed, temp = done.leaves
        assert (mode.state, mode.code, mode.text) == ("rejected", 422, "device said exception 3")
        assert (speed.state, speed.code, speed.value) == ("failed", 500, 1500)
        assert temp.state == "ok"
        assert not done.ok
        side.away = True
        late = await fleet.set("gw", "pump", {"temp": 2}, wait_s=1)
        assert [(leaf.state, leaf.code, leaf.text) for leaf in late.leaves] == [
            ("pending", 504, "the device does not answer")
        ]
        shadow = await fleet.shadow("gw", "pump")
    assert shadow.delta == {"mode": "x", "speed": 1800, "temp": 2}
    assert {(each.path, each.state) for each in shadow.rejections} == {
        ("mode", "rejected"),
        ("speed", "failed"),
        ("temp", "pending"),
    }


async def test_a_change_waits_at_the_broker_for_a_gateway_that_is_away(broker: Any, raw: Raw) -> None:
    async with operator(broker.url) as fleet:
        done = await fleet.set("gw", "pump", {"temp": 21.5}, wait_s=0)
    assert _states(done) == {"temp": "pending"}
    assert "no status" in done.leaves[0].text
    side = DeviceSide(broker.port).start()
    try:
        await eventually(lambda: side.writes == [("temp", 21.5)])
    finally:
        side.stop()
    async with operator(broker.url) as fleet:
        later = await fleet.set("gw", "pump", {"temp": 22})
    assert later.online is False
    assert (later.leaves[0].state, later.leaves[0].value) == ("pending", 21.5)
    assert "offline" in later.leaves[0].text


async def test_a_document_older_than_what_the_gateway_knows_is_not_changed_by_accident(
    broker: Any, raw: Raw, side: DeviceSide
) -> None:
    """A broker that was restored from an old copy: what was set since is not in it."""
    raw.publish(DESIRED, {"v": 1, "ver": 3, "state": {"fan": True}})
    await eventually(lambda: side.desired_ver == 3)
    side.desired_ver = 40
    side.report()
    await eventually(lambda: (raw.body(REPORTED) or {}).get("desired_ver") == 40)
    async with operator(broker.url) as fleet:
        for change in (fleet.set("gw", "pump", {"temp": 1}), fleet.delete("gw", "pump", ["fan"])):
            with pytest.raises(FleetError, match=r"version 3 .* version 40.*--patch.*--new") as refused:
                await change
            assert refused.value.code == 409
        assert raw.body(DESIRED) == {"v": 1, "ver": 3, "state": {"fan": True}}
        patched = await fleet.set("gw", "pump", {"temp": 1}, patch=True)
        assert (patched.ok, patched.ver) == (True, 41)
        done = await fleet.set("gw", "pump", {"temp": 2}, fresh=True)
        assert (done.ok, done.ver) == (True, 42), "a version is given once"
        with pytest.raises(FleetError, match="without --patch"):
            await fleet.set("gw", "pump", {"temp": 3}, patch=True)
    assert raw.body(DESIRED)["state"] == {"temp": 2}


async def test_a_leaf_without_meta_keeps_its_documents_version(broker: Any, raw: Raw, side: DeviceSide) -> None:
    raw.publish(DESIRED, {"v": 1, "ver": 3, "state": {"fan": True}})
    await eventually(lambda: side.desired_ver == 3)
    async with operator(broker.url) as fleet:
        done = await fleet.set("gw", "pump", {"temp": 1})
    assert (done.ok, done.ver) == (True, 4)
    assert raw.body(DESIRED)["meta"]["fan"] == [3, 0]


async def test_a_delete_takes_the_leaf_out_of_the_document_and_leaves_the_device_alone(
    broker: Any, raw: Raw, side: DeviceSide
) -> None:
    async with operator(broker.url) as fleet:
        await fleet.set("gw", "pump", {"a": 1, "group": {"b": 2, "c": 3}})
        done = await fleet.delete("gw", "pump", ["group"])
        assert done.ok
        with pytest.raises(FleetError, match="nothing is not in") as refused:
            await fleet.delete("gw", "pump", ["nothing"])
        assert refused.value.code == 404
    assert raw.body(DESIRED)["state"] == {"a": 1}
    assert side.values == {"a": 1, "group.b": 2, "group.c": 3}


async def test_if_ver_must_hold(broker: Any, raw: Raw, side: DeviceSide) -> None:
    async with operator(broker.url) as fleet:
        assert (await fleet.set("gw", "pump", {"a": 1}, if_ver=0)).ok
        with pytest.raises(Conflict, match="at version 1, not at 7"):
            await fleet.set("gw", "pump", {"a": 2}, if_ver=7)
        assert (await fleet.set("gw", "pump", {"a": 2}, if_ver=1)).ok
    assert raw.body(DESIRED)["ver"] == 2


async def test_a_value_set_at_the_panel_is_adopted_with_a_higher_version(
    broker: Any, raw: Raw, side: DeviceSide
) -> None:
    async with operator(broker.url) as fleet:
        await fleet.set("gw", "pump", {"mode": "auto", "temp": 1})
        side.values["mode"] = "manual"
        side.local["mode"] = ["manual", 1, 1, 1795000001000, "console"]
        side.report()
        await eventually(lambda: raw.body(REPORTED).get("local"))
        assert (await fleet.shadow("gw", "pump")).delta == {"mode": "auto"}
        done = await fleet.adopt("gw", "pump")
        assert (done.ok, done.ver) == (True, 2)
        with pytest.raises(FleetError, match="nobody has set temp"):
            await fleet.adopt("gw", "pump", ["temp"])
    assert raw.body(DESIRED)["state"] == {"mode": "manual", "temp": 1}


async def test_many_writers_at_once_lose_nothing(broker: Any, raw: Raw, side: DeviceSide) -> None:
    """Three operators change leaves of their own at the same moment."""

    async def one(number: int) -> SetResult:
        async with operator(broker.url) as fleet:
            return await fleet.set("gw", "pump", {f"leaf{number}": number}, wait_s=20)

    done = await asyncio.gather(*(one(number) for number in range(3)))
    assert all(each.ok for each in done), done
    assert raw.body(DESIRED)["state"] == {f"leaf{number}": number for number in range(3)}
    await eventually(lambda: side.values == {f"leaf{number}": number for number in range(3)})


async def test_a_writer_that_does_not_look_takes_nothing_away(broker: Any, raw: Raw, side: DeviceSide) -> None:
    """A script that publishes a document of the same version over ours: ours comes back with a higher one."""
    side.away = True
    async with operator(broker.url) as fleet:
        setting = asyncio.create_task(fleet.set("gw", "pump", {"ours": 1}, wait_s=10))
        await eventually(lambda: (raw.body(DESIRED) or {}).get("state") == {"ours": 1})
        raw.publish(DESIRED, {"v": 1, "ver": 1, "state": {"theirs": 2}})
        await eventually(lambda: raw.body(DESIRED)["state"] == {"ours": 1, "theirs": 2})
        side.come_back()
        done = await setting
    assert done.ok
    assert side.values == {"ours": 1, "theirs": 2}


@pytest.mark.parametrize("payload", [b"", b"garbage"])
async def test_a_document_that_is_thrown_away_under_us_comes_back(
    broker: Any, raw: Raw, side: DeviceSide, payload: bytes
) -> None:
    async with operator(broker.url) as fleet:
        await fleet.set("gw", "pump", {"before": 1})
        side.away = True
        setting = asyncio.create_task(fleet.set("gw", "pump", {"ours": 1}, wait_s=10))
        await eventually(lambda: raw.body(DESIRED)["state"] == {"before": 1, "ours": 1})
        raw.publish(DESIRED, payload)
        await eventually(lambda: raw.messages[DESIRED] not in {b"", b"garbage"})
        side.come_back()
        assert (await setting).ok
    assert raw.body(DESIRED)["state"] == {"before": 1, "ours": 1}


async def test_a_later_writer_overrules_and_that_is_told(broker: Any, raw: Raw, side: DeviceSide) -> None:
    side.away = True
    async with operator(broker.url) as fleet:
        setting = asyncio.create_task(fleet.set("gw", "pump", {"temp": 1}, wait_s=20))
        await eventually(lambda: (raw.body(DESIRED) or {}).get("ver") == 1)
        raw.publish(DESIRED, {"v": 1, "ver": 5, "state": {"temp": 2}})
        done = await setting
    assert [(leaf.state, leaf.code) for leaf in done.leaves] == [("superseded", 409)]
    assert "version 5" in done.leaves[0].text


async def test_a_document_that_the_broker_lost_is_not_begun_anew_by_accident(
    broker: Any, raw: Raw, side: DeviceSide
) -> None:
    side.desired_ver = 12
    side.report()
    await eventually(lambda: raw.body(REPORTED))
    async with operator(broker.url) as fleet:
        with pytest.raises(FleetError, match="knows version 12") as refused:
            await fleet.set("gw", "pump", {"temp": 1})
        assert refused.value.code == 409
        done = await fleet.set("gw", "pump", {"temp": 1}, fresh=True)
    assert (done.ok, done.ver) == (True, 13)


@pytest.mark.parametrize("garbage", [b"{", b"[]", b'{"v":2,"ver":1,"state":{}}', b'{"v":1,"state":{}}', b"\x00\xff"])
async def test_garbage_on_the_desired_topic_is_never_written_over_by_accident(
    broker: Any, raw: Raw, side: DeviceSide, garbage: bytes
) -> None:
    side._client.on_message = None
    raw.publish(DESIRED, garbage)
    async with operator(broker.url) as fleet:
        with pytest.raises(FleetError, match="no desired document"):
            await fleet.set("gw", "pump", {"temp": 1})
        assert (await fleet.shadow("gw", "pump")).unreadable == ("desired",)
        assert (await fleet.set("gw", "pump", {"temp": 1}, fresh=True, wait_s=0)).ver == 1


async def test_too_large_documents_are_refused_before_they_are_published(broker: Any, raw: Raw) -> None:
    async with operator(broker.url) as fleet:
        with pytest.raises(FleetError, match="8192 are allowed") as refused:
            await fleet.set("gw", "pump", {"text": "x" * 9000})
        assert refused.value.code == 413
    async with operator(broker.url, max_document=100_000) as fleet:
        assert (await fleet.set("gw", "pump", {"text": "x" * 9000}, wait_s=0)).ver == 1
        with pytest.raises(FleetError, match="65536 are allowed"):
            await fleet.set("gw", "pump", {"text": "x" * 66_000})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"a/b/c/d/e/f": 1}, "at most 5"),
        ({"a b": 1}, "ids joined by"),
        ({"": 1}, "ids joined by"),
        ({"a": float("nan")}, "nan cannot be written"),
        ({"a": 2**70}, "beyond 64 bits"),
        ({"a": b"x"}, "bytes cannot be written"),
        ({"a": 1, "a.b": 2}, "at the same time"),
        ({"a/b": 1, "a.b": 2}, "given twice"),
        ({}, "nothing to change"),
    ],
)
async def test_what_no_document_can_hold_is_refused_with_its_reason(
    broker: Any, values: dict[str, Any], text: str
) -> None:
    async with operator(broker.url) as fleet:
        with pytest.raises(FleetError, match=text) as refused:
            await fleet.set("gw", "pump", values)
        assert refused.value.code == 400
        for gateway, device in (("a/b", "pump"), ("gw", "#")):
            with pytest.raises(FleetError, match="is not the id"):
                await fleet.set(gateway, device, {"a": 1})


async def test_a_patch_goes_to_a_gateway_that_keeps_the_document_itself(
    broker: Any, raw: Raw, side: DeviceSide
) -> None:
    side.desired_ver = 4
    side.report()
    await eventually(lambda: raw.body(REPORTED))
    async with operator(broker.url) as fleet:
        done = await fleet.set("gw", "pump", {"group/temp": 1}, patch=True, if_ver=4)
        assert (done.ok, done.ver) == (True, 5)
        refused = await fleet.set("gw", "pump", {"temp": 2}, patch=True, if_ver=4)
        assert [(leaf.state, leaf.code) for leaf in refused.leaves] == [("rejected", 409)]
    patch = raw.body(f"{DESIRED}/patch")
    assert "ver" not in patch
    assert raw.body(DESIRED) is None


async def test_a_patch_that_nobody_can_get_is_not_said_to_be_sent(broker: Any) -> None:
    async with operator(broker.url) as fleet:
        with pytest.raises(NoAnswer, match="does not listen"):
            await fleet.set("gw", "pump", {"temp": 1}, patch=True)


async def test_a_broker_that_refuses_the_document_is_a_clear_error(make_broker: Callable[..., Any]) -> None:
    allowed = f"topic read fp/#\ntopic write {DESIRED}\n"
    broker = make_broker(acl=allowed)
    async with operator(broker.url, timeout_s=3) as fleet:
        with pytest.raises(BrokerRefuses, match="does not let this user publish"):
            await fleet.set("gw", "other", {"temp": 1})
    blind = make_broker(acl=f"topic write {DESIRED}\n")
    async with operator(blind.url, timeout_s=2) as fleet:
        with pytest.raises(BrokerRefuses, match="did not give it back"):
            await fleet.set("gw", "pump", {"temp": 1})
