"""Local edits and the ends of writes: one end for a version, nothing lost without a word."""

import pytest
from msgspec import structs

from gateway.shadows import edits
from gateway.shadows.edits import MAX_EDITS
from gateway.shadows.merge import MAX_LOST
from gateway.shadows.values import Phase, Policy, Progress, Shadow, ShadowError
from tests.unit.shadows.kit import NOW, Message, merged, refusing, rules


def edited(path="a", value=5, shadow=None, policy=Policy.CLOUD_WINS):
    return edits.set_edit(shadow or Shadow("dev"), path, value, "panel", rules(policy))


def end(phase, ver=0, code=0, text=""):
    return Progress(phase, ver, code, text)


def test_an_edit_stands_over_the_desired_leaf_and_keeps_its_version():
    shadow = edited(shadow=merged([Message(7, {"a": 1})]))
    assert (shadow.edits["a"].base_ver, shadow.edits["a"].n) == (7, 1)
    assert shadow.wanted() == {"a": 5}
    assert shadow.live()["a"].value == 1


def test_an_edit_ends_the_write_that_waits_as_superseded_and_that_end_stays_h15():
    shadow = edited(shadow=merged([Message(7, {"a": 1})]))
    assert (shadow.progress["a"].phase, shadow.progress["a"].ver) == (Phase.SUPERSEDED, 7)
    assert edits.go_on(shadow, "a", 7, 0, end(Phase.OK, 7)) is None
    assert edits.untold(shadow) == []


def test_an_edit_does_not_change_an_end_h15():
    shadow = merged([Message(7, {"a": 1})])
    shadow = edits.go_on(shadow, "a", 7, 0, end(Phase.REJECTED, 7, 422))
    assert edited(shadow=shadow).progress["a"].phase is Phase.REJECTED


def test_only_the_latest_edit_of_a_leaf_counts():
    shadow = edited(value=6, shadow=edited(value=5))
    assert shadow.edits["a"].n == 2
    assert edits.go_on(shadow, "a", 0, 1, end(Phase.OK)) is None
    assert edits.go_on(shadow, "a", 0, 2, end(Phase.OK)).edits["a"].progress.phase is Phase.OK


@pytest.mark.parametrize(
    ("phase", "code", "told"), [(Phase.REJECTED, 422, 422), (Phase.FAILED, 500, 500), (Phase.SUPERSEDED, 0, 409)]
)
def test_an_edit_that_the_device_does_not_take_is_gone_and_told_h31(phase, code, told):
    shadow = edits.go_on(edited(), "a", 0, 1, end(phase, code=code, text="no"))
    assert shadow.edits == {}
    rejection = edits.untold(shadow)[0]
    assert (rejection.path, rejection.n, rejection.code, rejection.phase) == ("a", 1, told, Phase.REJECTED)
    assert edits.untold(edits.told(shadow, rejection)) == []


def test_an_end_counts_once_for_each_version_h15():
    shadow = merged([Message(7, {"a": 1})])
    shadow = edits.go_on(shadow, "a", 7, 0, end(Phase.OK, 7, 200))
    assert edits.go_on(shadow, "a", 7, 0, end(Phase.FAILED, 7, 500)) is None
    assert edits.go_on(shadow, "a", 6, 0, end(Phase.OK, 6)) is None
    assert edits.go_on(shadow, "b", 7, 0, end(Phase.OK, 7)) is None


def test_the_end_of_a_version_that_was_replaced_or_deleted_does_not_count():
    newer = merged([Message(7, {"a": 1}), Message(8, {"a": 2})])
    assert edits.go_on(newer, "a", 7, 0, end(Phase.OK, 7)) is None
    gone = merged([Message(7, {"a": 1}), Message(8, {"a": None})])
    assert edits.go_on(gone, "a", 7, 0, end(Phase.OK, 7)) is None


def test_an_edit_taken_back_leaves_the_device_as_it_is():
    shadow = merged([Message(7, {"a": 1})])
    shadow = edits.go_on(shadow, "a", 7, 0, end(Phase.OK, 7, 200))
    back = edits.drop_edit(edited(shadow=shadow), "a")
    assert (back.edits, back.progress) == ({}, shadow.progress)
    with pytest.raises(ShadowError) as error:
        edits.drop_edit(back, "a")
    assert error.value.code == 404


def test_edits_that_hold_until_online_end_with_the_first_exchange_and_are_told():
    shadow = edited(shadow=merged([Message(7, {"a": 1})]))
    after = edits.exchanged(shadow, rules(Policy.LOCAL_UNTIL_ONLINE))
    assert after.edits == {}
    assert [(one.n, one.code, one.ver) for one in edits.untold(after)] == [(1, 409, 7)]
    for policy in set(Policy) - {Policy.LOCAL_UNTIL_ONLINE}:
        assert edits.exchanged(shadow, rules(policy)) == shadow


def test_an_edit_that_collides_or_is_refused_changes_nothing():
    shadow = merged([Message(7, {"a.b": 1})])
    with pytest.raises(ShadowError) as error:
        edited("a", shadow=shadow)
    assert error.value.code == 400
    with pytest.raises(ShadowError) as error:
        edits.set_edit(shadow, "c", 999, "panel", rules(check=refusing(999)))
    assert error.value.code == 422


def test_the_number_of_edits_is_bounded_and_the_refusal_is_clear():
    shadow = Shadow("dev")
    for n in range(MAX_EDITS):
        shadow = edited(f"a{n}", shadow=shadow)
    with pytest.raises(ShadowError) as error:
        edited("more", shadow=shadow)
    assert error.value.code == 413
    assert edited("a0", 6, shadow).edits["a0"].value == 6, "one that is there may change"


def test_of_too_many_lost_edits_the_latest_are_told():
    shadow = Shadow("dev")
    for n in range(1, MAX_LOST + 3):
        shadow = edits.go_on(edited(shadow=shadow), "a", 0, n, end(Phase.REJECTED, code=422))
    told = edits.untold(shadow)
    assert [one.n for one in told] == list(range(3, MAX_LOST + 3))


def test_an_end_that_was_told_of_an_older_version_leaves_the_newer_one_untold():
    shadow = merged([Message(7, {"a": 1})])
    shadow = edits.go_on(shadow, "a", 7, 0, end(Phase.REJECTED, 7, 422))
    old = edits.untold(shadow)[0]
    newer = merged([Message(8, {"a": 2})], shadow)
    newer = edits.go_on(newer, "a", 8, 0, end(Phase.REJECTED, 8, 422))
    assert edits.untold(edits.told(newer, old)) == edits.untold(newer)


def test_a_leaf_that_waits_for_its_device_is_told_once():
    shadow = merged([Message(7, {"a": 1})])
    assert edits.untold(shadow) == []
    shadow = edits.go_on(shadow, "a", 7, 0, end(Phase.PENDING, 7, 504, "offline"))
    waiting = edits.untold(shadow)
    assert [(one.phase, one.code) for one in waiting] == [(Phase.PENDING, 504)]
    assert edits.untold(edits.told(shadow, waiting[0])) == []


def test_ends_that_are_good_are_not_told():
    for phase in (Phase.OK, Phase.SUPERSEDED):
        shadow = edits.go_on(merged([Message(7, {"a": 1})]), "a", 7, 0, end(phase, 7))
        assert edits.untold(shadow) == []
    for phase in (Phase.REJECTED, Phase.FAILED, Phase.EXPIRED):
        shadow = edits.go_on(merged([Message(7, {"a": 1})]), "a", 7, 0, end(phase, 7))
        assert len(edits.untold(shadow)) == 1


def test_an_edit_that_ended_well_is_not_written_again():
    shadow = edits.go_on(edited(), "a", 0, 1, end(Phase.OK, code=200))
    assert edits.go_on(shadow, "a", 0, 1, end(Phase.FAILED)) is None
    assert structs.replace(shadow.edits["a"], ts=NOW).progress.phase is Phase.OK
