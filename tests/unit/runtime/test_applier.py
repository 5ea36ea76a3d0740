"""Applying a configuration: real generations in a folder, a manual clock, and a gateway that only keeps the books."""

import pytest

from gateway.errors import ConfigError, StoreError
from gateway.runtime.applier import Busy
from gateway.settings.generations import Generations
from tests.unit.runtime.changing import Site


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


async def test_a_change_whose_gates_hold_is_confirmed_by_itself(site):
    async with site.running():
        site.change()
        answer = await site.applier.apply(site.folder, confirm_within_s=None, who="anna")
        assert (answer["generation"], answer["gates"]) == (2, ["channel:line"])
        await site.clock.advance(1)
        assert site.applier.pending() is None
        assert site.generations.pending() is None
    assert site.steps() == ["applied", "confirmed"]
    assert site.generations.active().number == 2


async def test_a_change_that_takes_an_uplink_down_goes_back_when_its_window_ends(site):
    before = site.settings.hash
    async with site.running():
        site.change_uplink()
        await site.applier.apply(site.folder, confirm_within_s=None, who="anna")
        site.is_up.discard("uplink:cloud")
        await site.clock.advance(300 - 5)
        assert site.applier.pending()["waiting_for"] == ["uplink:cloud"]
        await site.clock.advance(10)
        assert site.settings.hash == before
    assert site.steps() == ["applied", "reverted"]
    (issue,) = site.health.open()
    assert issue.id == "config_reverted"
    assert "uplink:cloud" in issue.text


async def test_what_was_down_before_is_no_gate(site):
    site.is_up.clear()
    site.change()
    answer = await site.applier.apply(site.folder, confirm_within_s=None, who="anna")
    assert answer["gates"] == []
    assert site.applier.pending() is None


async def test_a_confirm_window_ends_with_the_old_configuration_unless_somebody_confirms(site):
    before = site.settings.hash
    async with site.running():
        site.change()
        await site.applier.apply(site.folder, confirm_within_s=60, who="anna")
        await site.clock.advance(59)
        assert site.settings.hash != before
        await site.clock.advance(2)
        assert site.settings.hash == before
        assert site.generations.active().number == 1


async def test_a_confirmed_change_stays(site):
    async with site.running():
        site.change()
        await site.applier.apply(site.folder, confirm_within_s=60, who="anna")
        await site.applier.confirm("anna")
        await site.clock.advance(120)
        assert site.generations.active().number == 2
    assert site.steps() == ["applied", "confirmed"]


async def test_a_second_change_must_wait_for_the_first_to_be_settled(site):
    async with site.running():
        site.change()
        await site.applier.apply(site.folder, confirm_within_s=60, who="anna")
        site.change("square")
        with pytest.raises(Busy, match="generation 2"):
            await site.applier.apply(site.folder, confirm_within_s=None, who="bert")


async def test_fl_44_the_same_tree_again_restarts_nothing(site):
    answer = await site.applier.apply(site.folder, confirm_within_s=None, who="anna")
    assert answer["unchanged"]
    assert site.switched == []
    assert [generation.number for generation in site.generations.list()] == [1]


async def test_fl_45_a_broken_tree_changes_nothing(site):
    site.write("channels/line.yaml", "driver: sim\ndevices: {dev: {tags: {a: {signal: sine, typ: float32}}}}\n")
    with pytest.raises(ConfigError) as caught:
        await site.applier.apply(site.folder, confirm_within_s=None, who="anna")
    assert caught.value.problems[0].line == 2
    assert site.switched == []
    assert site.generations.active().number == 1


async def test_a_switch_that_fails_leaves_the_old_generation_active(site):
    site.change()
    site.fail = StoreError("the journal has no room")
    with pytest.raises(StoreError):
        await site.applier.apply(site.folder, confirm_within_s=None, who="anna")
    assert site.steps() == ["failed"]
    assert site.generations.active().number == 1
    assert site.applier.pending() is None


async def test_rollback_of_a_pending_change_ends_its_window(site):
    before = site.settings.hash
    async with site.running():
        site.change()
        await site.applier.apply(site.folder, confirm_within_s=60, who="anna")
        answer = await site.applier.rollback("bert")
        assert (answer["generation"], site.settings.hash) == (1, before)
        await site.clock.advance(120)
        assert site.generations.active().number == 1
    assert site.steps() == ["applied", "rolled_back"]


async def test_a_kill_before_the_confirm_brings_the_old_configuration_back(site, tmp_path):
    site.change()
    await site.applier.apply(site.folder, confirm_within_s=60, who="anna")
    again = Generations(tmp_path / "state")
    assert again.recover() == (2, 1)
    assert again.active().number == 1
