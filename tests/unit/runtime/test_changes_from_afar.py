"""Trees that a job brings: judged more strictly than those of a person, tried once more after a power cut, remembered."""

import asyncio
import resource
import signal

import pytest

from gateway.errors import ConfigError
from gateway.runtime.applier import Busy
from gateway.settings.generations import GenerationError, Trial, content_digest
from tests.unit.runtime.changing import CHANNEL, GATEWAY, Site

RULE = 'hot: {when: "dev.a > 5", start: [{log: "hot"}]}\n'


class Cancelled(Exception):
    pass


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


async def _nothing(*_):
    return


async def send(site, files, *, rev=7, job="j1/1", commit=_nothing, check=_nothing):
    trial = Trial(job=job, rev=rev, digest=content_digest(files))
    return await site.applier.apply_from_afar(files, trial, who="job:j1", check=check, commit=commit)


def changed(site, signal="ramp"):
    return site.tree(**{"channels/line.yaml": CHANNEL.replace("SIGNAL", signal).encode()})


def other_broker(site):
    return site.tree(**{"gateway.yaml": GATEWAY.replace("1883", "1884").encode()})


async def test_a_tree_is_kept_when_all_held_for_a_while(site):
    async with site.running():
        answer = await send(site, changed(site))
        assert (answer["gates"], answer["window_s"]) == (["channel:line"], 120)
        await site.clock.advance(8)
        assert site.generations.outcome("j1/1") is None
        await site.clock.advance(4)
        ended = await site.applier.ended("j1/1")
    assert (ended.outcome, ended.rev, ended.generation, ended.hash) == ("confirmed", 7, 2, site.settings.hash)
    assert site.generations.remote() == (7, content_digest(changed(site)))
    assert site.steps() == ["applied", "confirmed"]


async def test_what_flickers_begins_its_hold_anew(site):
    async with site.running():
        await send(site, changed(site))
        await site.clock.advance(8)
        site.is_up.discard("channel:line")
        await site.clock.advance(1)
        site.is_up.add("channel:line")
        await site.clock.advance(8)
        assert site.applier.pending() is not None
        await site.clock.advance(4)
        assert site.applier.pending() is None


async def test_a_tree_that_cuts_the_link_is_taken_back_with_its_reason_and_not_tried_again(site):
    before = site.settings.hash
    files = other_broker(site)
    async with site.running():
        await send(site, files)
        site.is_up.discard("uplink:cloud")
        await site.clock.advance(295)
        assert site.settings.hash != before
        await site.clock.advance(10)
        ended = await site.applier.ended("j1/1")
    assert site.settings.hash == before == ended.hash
    assert (ended.outcome, ended.reason) == ("reverted", "not up again in time: uplink:cloud")
    assert site.generations.failed_before(content_digest(files)) == ended.reason
    assert site.generations.remote() == (0, "")


async def test_an_uplink_under_another_name_has_to_come_up_too(site):
    files = site.tree(**{"gateway.yaml": GATEWAY.replace("cloud:", "other:").encode()})
    async with site.running():
        answer = await send(site, files)
        assert answer["gates"] == ["uplink:*"]
        site.is_up = {"channel:line"}
        await site.clock.advance(310)
        assert (await site.applier.ended("j1/1")).reason == "not up again in time: any uplink"


async def test_rules_alone_restart_nothing_and_a_rule_that_fails_ends_the_trial_at_once(site):
    before = site.settings.hash
    async with site.running():
        answer = await send(site, site.tree(**{"rules/r.yaml": RULE.encode()}))
        assert (answer["gates"], answer["window_s"]) == (["rules"], 60)
        assert site.switched[-1][1] == ()
        await site.clock.advance(1)
        site.health.set("rule_failed", "hot", "rule hot: it took 30.0 ms", "correct it")
        await site.clock.advance(1)
        ended = await site.applier.ended("j1/1")
    assert (ended.outcome, ended.reason) == ("reverted", "rule hot: it took 30.0 ms")
    assert site.settings.hash == before


async def test_a_rule_that_failed_before_is_no_gate(site):
    site.health.set("rule_failed", "hot", "rule hot: it took 30.0 ms", "correct it")
    async with site.running():
        await send(site, site.tree(**{"rules/r.yaml": RULE.encode()}))
        await site.clock.advance(12)
        assert (await site.applier.ended("j1/1")).outcome == "confirmed"


async def test_a_power_cut_while_it_is_tried_costs_one_try_and_blacklists_nothing(site):
    await send(site, changed(site))
    pending = site.settings.hash
    assert site.restart() is None
    assert site.settings.hash == pending
    async with site.running():
        await site.clock.advance(12)
        assert (await site.applier.ended("j1/1")).outcome == "confirmed"
    assert site.steps() == ["applied", "tried_again", "confirmed"]


async def test_a_gateway_that_dies_of_the_change_ends_on_what_ran_before(site):
    before = site.settings.hash
    files = changed(site)
    await send(site, files)
    assert site.restart() is None
    assert site.restart() == (2, 1)
    assert site.settings.hash == before
    ended = await site.applier.ended("j1/1")
    assert (ended.outcome, ended.reason, ended.generation) == ("interrupted", "", 1)
    assert site.generations.failed_before(content_digest(files)) is None
    answer = await send(site, files, job="j2/1")
    assert answer["generation"] == 3


async def test_gates_that_held_before_a_power_cut_must_hold_after_it(site):
    before = site.settings.hash
    await send(site, other_broker(site))
    site.restart()
    site.is_up.discard("uplink:cloud")
    async with site.running():
        await site.clock.advance(290)
        assert site.applier.pending()["waiting_for"] == ["uplink:cloud"]
        await site.clock.advance(20)
    assert site.settings.hash == before
    assert site.generations.outcome("j1/1").outcome == "reverted"


async def test_a_person_at_the_gateway_may_take_it_back_and_may_try_it_again(site):
    files = changed(site)
    async with site.running():
        await send(site, files)
        await site.applier.rollback("local")
        ended = await site.applier.ended("j1/1")
    assert (ended.outcome, ended.reason) == ("reverted", "taken back by local")
    assert site.generations.failed_before(content_digest(files)) is None


async def test_a_job_that_was_cancelled_before_its_commit_point_changes_nothing(site):
    async def commit():
        raise Cancelled

    with pytest.raises(Cancelled):
        await send(site, changed(site), commit=commit)
    assert site.switched == []
    assert site.generations.active().number == 1
    assert site.generations.pending() is None
    async with site.running():
        await send(site, changed(site))
        await site.clock.advance(12)
    assert site.generations.active().number == 3


async def test_nothing_is_stored_of_a_tree_that_is_refused(site):
    async def refuse(_new):
        raise ConfigError([])

    with pytest.raises(ConfigError):
        await send(site, changed(site), check=refuse)
    with pytest.raises(ConfigError):
        await send(site, site.tree(**{"channels/line.yaml": b"driver: ["}))
    assert [one.number for one in site.generations.list()] == [1]


async def test_the_same_meaning_in_other_words_is_kept_at_once_with_its_revision(site):
    files = site.tree(**{"gateway.yaml": b"# other words\n" + GATEWAY.encode()})
    answer = await send(site, files, rev=9)
    assert answer["unchanged"]
    assert site.switched == []
    assert site.generations.active().files() == files
    assert site.generations.remote() == (9, content_digest(files))
    assert site.generations.outcome("j1/1").outcome == "confirmed"


async def test_a_change_of_a_person_in_its_window_keeps_a_job_out(site):
    async with site.running():
        site.change()
        await site.applier.apply(site.folder, confirm_within_s=60, who="anna")
        with pytest.raises(Busy):
            await send(site, changed(site, "square"))


async def test_a_folder_that_was_applied_without_a_window_has_a_second_try_too(site):
    site.change()
    await site.applier.apply(site.folder, confirm_within_s=None, who="anna")
    assert site.restart() is None
    async with site.running():
        await site.clock.advance(1)
    assert site.generations.pending() is None
    assert site.generations.active().number == 2


async def test_the_settings_that_run_say_how_long_a_change_may_take(site):
    limits = "apply: {uplinks: 20s, channels: 5s, rules: 3s, hold: 2s}\n"
    site.write("gateway.yaml", GATEWAY + limits)
    await site.applier.apply(site.folder, confirm_within_s=None, who="anna")
    files = site.tree(**{"gateway.yaml": GATEWAY.replace("1883", "1884").encode()})
    async with site.running():
        answer = await send(site, files)
        assert answer["window_s"] == 20
        await site.clock.advance(3)
        await asyncio.sleep(0)
        assert (await site.applier.ended("j1/1")).outcome == "confirmed"


async def test_a_channel_that_is_linked_must_be_heard_before_it_counts(site):
    async with site.running():
        await send(site, changed(site))
        site.silent.add("channel:line")
        await site.clock.advance(60)
        assert site.applier.pending() is not None
        site.is_up.discard("channel:line")  # after some time-outs it is known: nobody answers there
        await site.clock.advance(70)
        assert (await site.applier.ended("j1/1")).reason == "not up again in time: channel:line"


@pytest.mark.parametrize("before", [True, False])
async def test_devices_that_speak_when_they_like_take_back_no_change(site, before):
    async with site.running():
        if before:
            site.silent.add("channel:line")
        await send(site, changed(site))
        site.silent.add("channel:line")
        await site.clock.advance(12)
        assert (site.applier.pending() is None) is before
        await site.clock.advance(110)
        assert (await site.applier.ended("j1/1")).outcome == "confirmed"


async def test_a_disk_without_room_takes_no_tree_and_changes_nothing(site):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(GenerationError, match="cannot be kept: File too large"):
            await send(site, changed(site))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert site.switched == []
    assert site.generations.active().number == 1
    async with site.running():
        assert (await send(site, changed(site)))["generation"] == 2


async def test_a_change_that_is_good_waits_for_room_to_be_kept_and_a_bad_one_goes_back_without(site):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    old = site.settings.hash
    try:
        async with site.running():
            await send(site, changed(site))
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
            await site.clock.advance(20)
            assert site.applier.pending() is not None
            site.is_up.discard("channel:line")
            await site.clock.advance(120)
            assert site.settings.hash == old
            assert site.generations.outcome("j1/1").outcome == "reverted"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    site.restart()
    site.restart()
    assert site.settings.hash == old, "what could not be written is found again, and counted"


async def test_devices_that_discovery_brought_in_stay_and_are_no_part_of_what_was_sent(site):
    keys = {"tags": {"b": {"signal": "sine", "type": "float32"}}}
    await site.applier.provision(lambda known: known.with_device("line", "dev2", keys, {}), note="found", who="anna")
    files = changed(site)
    async with site.running():
        await send(site, files)
        await site.clock.advance(12)
    active = site.generations.active().files()
    assert {name: text for name, text in active.items() if name != "provisioned.yaml"} == files
    assert [device.id for device in site.settings.channels[0].devices] == ["dev", "dev2"]
    assert site.generations.remote() == (7, content_digest(files))
