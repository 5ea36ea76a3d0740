"""Reported documents: what is in them, which versions they have, what does not fit (protocol.md 3.1, 3.4, H2, H3)."""

import asyncio

from msgspec import structs

from gateway.model import Batch, Block, DeviceState, Quality
from gateway.settings.types import ShadowSettings
from gateway.shadows.keeper import RESERVE
from tests.support.shadowed import ScriptedDevice, ShadowGateway, device_spec, state_tag
from tests.unit.shadows.plant import patch

DEV = "dev"


async def document(gateway):
    await gateway.settle()
    return await gateway.do(gateway.desk.document(DEV))


async def restart(gateway):
    await gateway.kill()
    gateway.open()
    gateway.start()
    await gateway.settle()


async def test_a_document_has_writable_tags_and_those_that_the_profile_names(gateway):
    state = (await document(gateway)).body["state"]
    assert set(state) == {"speed", "level", "mode", "fan", "set", "run", "run_fb", "hold", "temp"}
    assert state["set"] == {"temp": 20.0}


async def test_the_hash_stands_still_while_only_polls_come(gateway):
    one = await document(gateway)
    await gateway.advance(5)
    gateway.poll(DEV)
    other = await document(gateway)
    assert one.hash == other.hash
    assert other.body["polled"] > one.body["polled"]


async def test_a_changed_leaf_alone_gets_the_documents_new_version(gateway):
    one = await document(gateway)
    await gateway.advance(1)
    gateway.devices[DEV].put("speed", 11)
    gateway.poll(DEV)
    other = await document(gateway)
    assert other.ver == one.ver + 1
    changed = {path for path, row in other.body["meta"].items() if row != one.body["meta"][path]}
    assert (changed, other.body["meta"]["speed"][0]) == ({"speed"}, other.ver)


async def test_no_two_contents_have_one_version(gateway):
    """Local edits and states are part of it: a receiver may go by the version alone."""
    gateway.devices[DEV].state = DeviceState.OFFLINE
    seen = {}

    async def see():
        made = await document(gateway)
        assert seen.setdefault(made.ver, made.hash) == made.hash

    await see()
    await gateway.do(gateway.desk.patch(DEV, patch(1, {"speed": 50})))
    await see()
    await gateway.do(gateway.desk.set(DEV, {"mode": "manual"}, who="console"))
    await see()
    await gateway.do(gateway.desk.delete(DEV, "mode", who="console"))
    await see()
    await see()
    assert len(seen) == 4


async def test_versions_are_above_all_that_were_published_also_after_a_kill_h3(gateway):
    await gateway.checkpoint()
    last = 0
    for n in range(1, 4):
        gateway.devices[DEV].put("speed", 20 + n)
        await gateway.advance(1)
        gateway.poll(DEV)
        made = await document(gateway)
        assert made.ver > last
        assert made.ver <= gateway.keeper.get(DEV).meta.reported_ver, "on disk before it is handed over"
        last = made.ver
        await restart(gateway)
        shown = await document(gateway)
        assert shown.ver > last, "H3"
        assert all(row[0] > last for row in shown.body["meta"].values()), "each restored leaf takes a new version"
        last = shown.ver


async def test_restored_values_are_shown_as_last_known_with_their_own_time(gateway):
    before = await document(gateway)
    await gateway.checkpoint()
    await gateway.advance(100)
    await restart(gateway)
    after = await document(gateway)
    assert after.body["state"] == before.body["state"]
    assert set(after.body["quality"].values()) == {Quality.LAST_KNOWN.text}
    assert [row[1] for row in after.body["meta"].values()] == [row[1] for row in before.body["meta"].values()]
    gateway.poll(DEV)
    assert "quality" not in (await document(gateway)).body


async def use_up(gateway, looks):
    """So many looks that find another value."""
    for n in range(looks):
        gateway.devices[DEV].put("speed", n % 100 + 11)
        gateway.clock.move(0.01)
        gateway.poll(DEV)
        await gateway.do(gateway.reporter.look(DEV))


async def test_a_block_of_versions_used_up_is_followed_by_another(gateway):
    await use_up(gateway, RESERVE + 5)
    assert (await document(gateway)).ver == RESERVE + 5
    assert gateway.keeper.get(DEV).meta.reported_ver == 2 * RESERVE


async def test_looks_at_the_same_time_never_give_one_version_twice_nor_bring_back_an_old_value(gateway):
    await use_up(gateway, RESERVE)
    looks = []
    for value in (1, 2):  # both find that a new block is needed, and wait for it
        gateway.devices[DEV].put("speed", value)
        gateway.clock.move(1)
        gateway.poll(DEV)
        looks.append(asyncio.ensure_future(gateway.reporter.look(DEV)))
        await asyncio.sleep(0)
    await gateway.settle()
    await asyncio.gather(*looks)
    assert gateway.reporter.leaves(DEV)["speed"].value == 2
    reported = [change.items for change in gateway.keeper.feed._changes if change.items[0]["side"] == "reported"]
    given = [item["ver"] for items in reported for item in items if item["path"] == "speed"]
    assert len(given) == len(set(given))


async def test_a_device_that_is_away_keeps_its_last_values_with_a_bad_quality(gateway):
    await document(gateway)
    tags = gateway.tags.device(DEV).tags
    nothing = [None] * len(tags)
    batch = Batch(Block(DEV, tags), nothing, 5, gateway.clock.mono(), None, [Quality.BAD_COMM] * len(tags))
    gateway.latest.on_batch(batch)
    body = (await document(gateway)).body
    assert body["state"]["speed"] == 10
    assert body["quality"]["speed"] == "bad/comm"


async def test_what_does_not_fit_is_left_out_writable_leaves_last_and_an_issue_tells_it(tmp_path):
    from gateway.model import TagSpec, ValueType

    shown = tuple(TagSpec(f"shown{i}", ValueType.STRING, None, shadow=True) for i in range(5))
    tags = (*shown, state_tag("setpoint", ValueType.STRING))
    device = ScriptedDevice({tag.path: "x" * 20 for tag in tags})
    gateway = ShadowGateway(tmp_path, {DEV: (device_spec(*tags), device)}, settings=ShadowSettings(max_bytes=100))
    gateway.open()
    gateway.poll(DEV)
    body = (await document(gateway)).body
    assert "setpoint" in body["state"]
    assert 1 < len(body["state"]) < 6
    assert body["state"].keys() == body["meta"].keys()
    assert [issue.id for issue in gateway.health.open()] == ["shadow_too_large"]
    gateway.settings = structs.replace(gateway.settings, max_bytes=8192)
    assert len((await document(gateway)).body["state"]) == 6
    assert gateway.health.open() == []
    await gateway.close()


async def test_a_device_with_neither_values_nor_wishes_has_no_document_and_leaves_no_rows(tmp_path):
    gateway = ShadowGateway(tmp_path, {DEV: (device_spec(state_tag("speed")), ScriptedDevice({"speed": 1}))})
    gateway.open()
    assert await document(gateway) is None
    assert await gateway.do(gateway.desk.document("nobody")) is None
    assert gateway.keeper.devices() == []
    await gateway.close()


async def test_tags_that_stay_here_are_seen_here_and_not_in_the_document_for_the_uplinks(tmp_path):
    specs = (state_tag("speed"), state_tag("secret", local=True), state_tag("wish", local=True, desired=5))
    device = ScriptedDevice({"speed": 10, "secret": 42, "wish": 1})
    gateway = ShadowGateway(tmp_path / "kept", {DEV: (device_spec(*specs), device)})
    gateway.open()
    gateway.start()
    gateway.poll(DEV)
    await gateway.do(gateway.desk.set(DEV, {"secret": 43, "speed": 11}, who="anna"))
    await gateway.advance(3)
    view = await gateway.do(gateway.desk.view(DEV))
    assert view["reported"]["secret"]["value"] == 43
    document = await gateway.do(gateway.desk.document(DEV))
    assert document.body["state"] == {"speed": 11}
    assert "secret" not in repr(document.body)
    assert device.values["wish"] == 5
    assert "wish" not in repr(document.body)
    await gateway.close()
