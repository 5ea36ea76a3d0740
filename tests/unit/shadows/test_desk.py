"""The one door of the shadows: refusals that change nothing, answers by rid, the gateway as the authority."""

import asyncio
import json

import pytest

from gateway.settings.types import ShadowSettings
from gateway.shadows import answers, rows
from gateway.shadows.values import ShadowError
from tests.unit.shadows.plant import document, patch

DEV = "dev"


def disk(gateway):
    return repr(sorted(gateway.store.table(rows.TABLE).items().items()))


async def send(gateway, ver, state, **more):
    return await gateway.do(gateway.desk.patch(DEV, patch(ver, state, **more)))


async def restart(gateway):
    await gateway.kill()
    gateway.open()
    gateway.start()
    await gateway.settle()


@pytest.mark.parametrize(
    ("payload", "code", "path"),
    [
        (patch(5, {"speed": 999, "mode": "x"}), 422, "speed"),
        (patch(5, {"level": 40_000, "mode": "x"}), 422, "level"),
        (patch(5, {"speed": "fast"}), 400, "speed"),
        (patch(5, {"nothing": 1}), 404, "nothing"),
        (patch(5, {"temp": 1.0}), 403, "temp"),
        (patch(5, {"pulse": True}), 403, "pulse"),
        (patch(5, {"fan": 1}), 400, "fan"),
        (patch(None, {"speed": 1}), 400, ""),
        (patch(5, {"speed": 1}, if_ver=3), 409, ""),
        (patch(5, {"mode": "x" * 9000}), 413, ""),
        (patch(5, {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}), 400, None),
        (b"{", 400, ""),
    ],
)
async def test_a_refused_patch_changes_no_byte_and_names_the_leaf_h16_h18_h19(gateway, payload, code, path):
    await send(gateway, 4, {"speed": 20, "mode": "auto"})
    before = disk(gateway)
    refused, answer = await gateway.do(gateway.desk.patch(DEV, payload))
    await gateway.settle()
    assert refused.code == code
    assert path is None or refused.path == path
    assert refused.ver in (4, 5), "H11: what is there, or what was asked for"
    assert answer is None
    assert disk(gateway) == before


async def test_a_device_that_is_not_configured_is_refused_with_404(gateway):
    refused, _ = await gateway.do(gateway.desk.patch("nobody", patch(1, {"a": 1})))
    assert refused.code == 404
    assert (await gateway.do(gateway.desk.desired("nobody", document(1, {})))).code == 404
    for call in (gateway.desk.view("nobody"), gateway.desk.set("nobody", {"a": 1}, who="x")):
        with pytest.raises(ShadowError) as error:
            await gateway.do(call)
        assert error.value.code == 404


async def test_in_maintenance_nothing_is_taken(gateway):
    gateway.locked.add(DEV)
    refused, _ = await send(gateway, 1, {"speed": 20})
    assert (refused.code, gateway.keeper.get(DEV).meta.desired_ver) == (403, 0)


async def test_if_ver_lets_a_patch_through_only_at_that_version_h18(gateway):
    assert (await send(gateway, 1, {"speed": 20}, if_ver=0))[0] is None
    assert (await send(gateway, 2, {"speed": 30}, if_ver=0))[0].code == 409
    assert (await send(gateway, 2, {"speed": 30}, if_ver=1))[0] is None


async def test_the_same_rid_has_one_effect_and_one_answer_also_after_a_restart_h17(gateway):
    first = await send(gateway, 1, {"speed": 20}, rid="p-1", if_ver=0)
    again = await send(gateway, 1, {"speed": 20}, rid="p-1", if_ver=0)
    await restart(gateway)
    after = await send(gateway, 1, {"speed": 20}, rid="p-1", if_ver=0)
    assert first == again == after == (None, {"rid": "p-1", "state": "done", "code": 200, "out": {"desired_ver": 1}})
    await gateway.advance(5)
    assert gateway.devices[DEV].log == [("speed", 20)]


async def test_a_refusal_by_rid_stays_a_refusal_also_when_it_would_be_taken_now_h17(gateway):
    refused, first = await send(gateway, 5, {"speed": 20}, rid="p-1", if_ver=4)
    assert (refused.code, first["state"], first["code"]) == (409, "rejected", 409)
    await send(gateway, 4, {"mode": "x"})
    assert (await send(gateway, 5, {"speed": 20}, rid="p-1", if_ver=4))[1] == first
    await restart(gateway)
    assert (await send(gateway, 5, {"speed": 20}, rid="p-1", if_ver=4))[1] == first
    assert "speed" not in gateway.keeper.get(DEV).desired


async def test_the_gateway_gives_versions_where_it_is_the_authority(gateway):
    gateway.settings = ShadowSettings(authority="gateway")
    _, answer = await send(gateway, None, {"speed": 20}, rid="p-1")
    assert answer["out"] == {"desired_ver": 1}
    assert (await send(gateway, 7, {"speed": 30}))[0].code == 400
    await gateway.do(gateway.desk.set(DEV, {"speed": 40, "mode": "manual"}, who="console"))
    shadow = gateway.keeper.get(DEV)
    assert (shadow.meta.desired_ver, shadow.edits) == (2, {})
    assert {path: leaf.value for path, leaf in shadow.live().items()} == {"speed": 40, "mode": "manual"}
    await gateway.do(gateway.desk.delete(DEV, "speed", who="console"))
    assert set(gateway.keeper.get(DEV).live()) == {"mode"}
    with pytest.raises(ShadowError) as error:
        await gateway.do(gateway.desk.delete(DEV, "speed", who="console"))
    assert error.value.code == 404


async def test_a_patch_cut_off_while_it_is_stored_has_no_second_effect_when_it_comes_again_h17(gateway):
    """The connection is lost, and the broker delivers it once more."""
    gateway.settings = ShadowSettings(authority="gateway")
    task = asyncio.ensure_future(gateway.desk.patch(DEV, patch(None, {"speed": 20}, rid="p-1")))
    await gateway.clock.settle()
    task.cancel()
    await gateway.settle()
    with pytest.raises(asyncio.CancelledError):
        await task
    _, answer = await send(gateway, None, {"speed": 20}, rid="p-1")
    assert answer["out"] == {"desired_ver": 1}
    assert gateway.keeper.get(DEV).meta.desired_ver == 1


async def test_many_patches_at_once_some_with_one_rid_share_commits_and_each_rid_has_one_effect(gateway):
    """A burst must not take a commit each, and a repetition among them is one all the same."""
    gateway.settings = ShadowSettings(authority="gateway")
    rids = [f"p-{n % 20}" for n in range(60)]
    commits = gateway.store.commits
    asked = [asyncio.ensure_future(gateway.desk.patch(DEV, patch(None, {"speed": 20}, rid=rid))) for rid in rids]
    await gateway.do(asyncio.wait(asked))
    answers_ = [task.result()[1] for task in asked]
    assert sorted({answer["out"]["desired_ver"] for answer in answers_}) == list(range(1, 21))
    assert all(answer == answers_[rids.index(answer["rid"])] for answer in answers_)
    assert gateway.store.commits - commits < 20
    assert gateway.keeper.get(DEV).meta.desired_ver == 20


async def test_of_too_many_rids_the_oldest_are_forgotten_also_after_a_restart(gateway, monkeypatch):
    monkeypatch.setattr(answers, "KNOWN_RIDS", 3)
    names = ["z", "y", "b", "a", "x"]
    for n, rid in enumerate(names[:4], start=1):
        await gateway.advance(1)
        await send(gateway, n, {"speed": 20 + n}, rid=rid)
    await restart(gateway)
    await send(gateway, 5, {"speed": 30}, rid=names[4])
    known = {key.partition("/")[2] for key in gateway.store.table(answers.RIDS).items()}
    assert known == {"b", "a", "x"}


async def test_edits_of_several_values_are_taken_all_or_none(gateway):
    with pytest.raises(ShadowError) as error:
        await gateway.do(gateway.desk.set(DEV, {"mode": "manual", "speed": 999}, who="console"))
    assert (error.value.code, error.value.path) == (422, "speed")
    assert gateway.keeper.get(DEV).edits == {}


async def test_a_value_that_holds_only_while_offline_is_not_set_while_online(gateway):
    gateway.online = True
    with pytest.raises(ShadowError) as error:
        await gateway.do(gateway.desk.set(DEV, {"hold": 20}, who="console"))
    assert error.value.code == 409
    gateway.online = False
    await gateway.do(gateway.desk.set(DEV, {"hold": 20}, who="console"))
    await gateway.do(gateway.desk.exchanged())
    assert gateway.keeper.get(DEV).edits == {}
    assert [(one.path, one.code) for one in gateway.desk.untold(DEV)] == [("hold", 409)]


async def test_an_older_document_is_answered_with_the_reported_one_h27(gateway):
    """A broker restored from a backup has lost that too."""
    await gateway.do(gateway.desk.desired(DEV, document(5, {"speed": 20})))
    await gateway.advance(5)
    made = await gateway.do(gateway.desk.document(DEV))
    gateway.desk.ack("mqtt://broker", DEV, made.hash)
    before = disk(gateway)
    assert await gateway.do(gateway.desk.desired(DEV, document(3, {"speed": 90}))) is None
    await gateway.advance(5)
    assert disk(gateway) == before
    assert gateway.devices[DEV].log == [("speed", 20)]
    assert gateway.desk.acked("mqtt://broker", DEV) == ""
    again = await gateway.do(gateway.desk.document(DEV))
    gateway.desk.ack("mqtt://broker", DEV, again.hash)
    await gateway.do(gateway.desk.desired(DEV, document(5, {"speed": 20})))
    assert gateway.desk.acked("mqtt://broker", DEV) == again.hash, "the same document again is no reason to answer"


async def test_a_change_is_audited_with_its_versions_and_a_refusal_with_its_code(gateway):
    consumer = gateway.store.consumer("audit")
    await send(gateway, 1, {"speed": 20})
    await send(gateway, 2, {"speed": 999})
    await gateway.do(gateway.desk.set(DEV, {"mode": "manual"}, who="ann"))
    await gateway.settle()
    found, after = [], (0, 0)
    while (segment := consumer.next_segment("event", after)) is not None:
        found += segment.rows
        after = (segment.epoch, segment.last)
    kept = [(row["what"], row["who"]) for row in found if row["kind"] == "audit"]
    assert kept == [("desired", "cloud"), ("desired_refused", "cloud"), ("shadow_set", "ann")]


async def test_a_view_can_be_written_as_json(gateway):
    await send(gateway, 1, {"speed": 20, "set": {"temp": 21.5}})
    await gateway.do(gateway.desk.set(DEV, {"mode": "manual"}, who="ann"))
    view = json.loads(json.dumps(await gateway.do(gateway.desk.view(DEV))))
    assert view["desired"]["set.temp"]["value"] == 21.5
    assert view["local"]["mode"]["who"] == "ann"
