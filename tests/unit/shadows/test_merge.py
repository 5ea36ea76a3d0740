"""Merging, case by case: what a version means, what a document says by leaving out, limits, all or none."""

import pytest
from msgspec import structs

from gateway.shadows import edits
from gateway.shadows.edits import set_edit
from gateway.shadows.merge import TOMBSTONE_MS, merge_document, merge_patch
from gateway.shadows.values import Origin, Phase, Policy, Progress, Shadow, ShadowError
from tests.unit.shadows.kit import NOW, Message, leaf, merged, refusing, rules, values


def patch(ver, **given):
    return Message(ver, {path.replace("__", "."): value for path, value in given.items()})


def whole(ver, meta=None, **given):
    return Message(ver, {path.replace("__", "."): value for path, value in given.items()}, True, meta)


def phases(shadow):
    return {path: (one.phase, one.ver) for path, one in shadow.progress.items()}


def done(shadow, path, phase=Phase.OK, code=200):
    known = shadow.progress[path]
    return edits.go_on(shadow, path, known.ver, 0, structs.replace(known, phase=phase, code=code, ts=NOW))


def test_of_two_values_the_one_with_the_higher_version_stays_whichever_comes_last():
    assert values(merged([patch(2, a=2), patch(1, a=1)])) == {"a": 2}
    assert values(merged([patch(1, a=1), patch(2, a=2)])) == {"a": 2}


@pytest.mark.parametrize("turn", [1, -1])
def test_equal_versions_are_decided_by_the_rank_of_the_origin_then_by_the_greater_bytes(turn):
    by_rank = [{"a": leaf(9, 5, origin=Origin.LOCAL)}, {"a": leaf(1, 5)}, {"a": leaf(8, 5, origin=Origin.RULE)}]
    by_bytes = [{"a": leaf(1, 5)}, {"a": leaf(True, 5)}, {"a": leaf("x", 5)}]
    for rows, expected in ((by_rank, 1), (by_bytes, True)):
        shadow = Shadow("dev")
        for row in rows[::turn]:
            shadow = merge_patch(shadow, 5, row, rules())
        assert shadow.desired["a"].value is expected or shadow.desired["a"].value == expected
        assert type(shadow.desired["a"].value) is type(expected)


def test_a_whole_document_deletes_what_it_leaves_out_and_keeps_what_is_newer():
    shadow = merged([patch(3, old=1), patch(9, new=1), whole(5, kept=1)])
    assert values(shadow) == {"kept": 1, "new": 1}


def test_a_patch_that_overtook_a_document_does_not_make_the_document_vanish():
    shadow = merged([patch(9, a=9), whole(8, a=8, b=8)])
    assert values(shadow) == {"a": 9, "b": 8}
    assert (shadow.meta.desired_ver, shadow.meta.full_ver) == (9, 8)


def test_a_deleted_leaf_does_not_return_with_an_older_version_h21():
    shadow = merged([patch(5, a=None), patch(4, a=4)])
    assert values(shadow) == {}
    shadow = merged([patch(4, a=4), whole(6, b=1), patch(5, a=5)])
    assert values(shadow) == {"b": 1}
    assert "a" not in shadow.desired


def test_a_tombstone_is_forgotten_with_a_later_document_or_after_a_month():
    fresh = merged([patch(4, a=4), patch(5, a=None), patch(6, b=1)])
    assert "a" in fresh.desired
    assert "a" not in merged([whole(6, b=1)], fresh).desired
    month = merged([patch(7, b=2)], fresh, rules(now=NOW + TOMBSTONE_MS + 1))
    assert "a" not in month.desired
    assert "a" in merged([patch(7, b=2)], fresh, rules(now=NOW + TOMBSTONE_MS - 1)).desired


def test_a_leaf_takes_the_place_of_the_folder_and_back_in_any_order_h28():
    one = merged([patch(5, a__b=1), patch(6, a=2)])
    other = merged([patch(6, a=2), patch(5, a__b=1)])
    assert values(one) == values(other) == {"a": 2}
    assert values(merged([patch(7, a__b=3)], one)) == {"a.b": 3}


def test_arrays_and_empty_objects_are_replaced_whole_h24():
    shadow = merged([patch(1, a=[1, 2, 3], b={}), patch(2, a=[4])])
    assert values(shadow) == {"a": [4], "b": {}}
    assert values(merged([patch(3, b__c=1)], shadow)) == {"a": [4], "b.c": 1}


def test_a_message_with_a_leaf_and_its_folder_is_refused():
    with pytest.raises(ShadowError) as error:
        merged([patch(1, a=1, a__b=2)])
    assert error.value.code == 400
    assert values(merged([patch(1, a=None, a__b=2)])) == {"a.b": 2}


def test_a_patch_with_one_bad_leaf_changes_nothing_h16():
    before = merged([patch(1, a=1)])
    with pytest.raises(ShadowError) as error:
        merged([patch(2, a=2, b=999)], before, rules(check=refusing(999)))
    assert (error.value.code, error.value.path) == (422, "b")


def test_in_a_whole_document_a_bad_leaf_ends_alone():
    by = rules(check=refusing(999))
    shadow = merged([patch(1, a=1), whole(2, a=2, b=999)], by=by)
    assert values(shadow) == {"a": 2, "b": 999}, "both sides have the same document"
    assert {path: (one.phase, one.ver, one.code) for path, one in shadow.progress.items()} == {
        "a": (Phase.PENDING, 2, 0),
        "b": (Phase.REJECTED, 2, 422),
    }
    again = merged([whole(2, a=2, b=999)], shadow, by)
    assert again == shadow, "what has ended is not judged again"
    better = merged([whole(3, a=2, b=5)], shadow, by)
    assert (better.progress["b"].phase, better.progress["b"].ver) == (Phase.PENDING, 3)


def test_a_bad_leaf_of_a_document_does_not_end_a_local_edit_over_it():
    by = rules(check=refusing(999))
    edited = set_edit(merged([whole(1, a=1)]), "a", 7, "panel", by)
    shadow = merged([whole(2, a=999)], edited, by)
    assert shadow.edits["a"].value == 7
    assert shadow.progress["a"].phase is Phase.REJECTED


def test_a_patch_with_a_bad_leaf_that_is_overtaken_is_refused_all_the_same():
    """Else the good leaf of it would depend on the order of arrival."""
    bad, newer, by = patch(5, x=999, y=5), patch(6, x=6), rules(check=refusing(999))
    with pytest.raises(ShadowError):
        merged([newer, bad], by=by)


def test_a_patch_that_comes_again_is_not_judged_again():
    shadow = merged([patch(5, x=1)])
    assert merged([patch(5, x=1)], shadow, rules(check=refusing(1, code=403))) == shadow


def test_a_document_too_large_changes_nothing_and_says_how_large_h19():
    before = merged([patch(1, a="x" * 10)])
    with pytest.raises(ShadowError, match="at most 64") as error:
        merged([patch(2, b="y" * 60)], before, rules(max_bytes=64))
    assert error.value.code == 413


def test_deleting_makes_room_in_the_same_patch():
    before = merged([patch(1, a="x" * 50)], by=rules(max_bytes=64))
    assert values(merged([patch(2, a=None, b="y" * 50)], before, rules(max_bytes=64))) == {"b": "y" * 50}


def test_a_document_without_versions_that_repeats_a_value_does_not_have_it_written_again():
    shadow = done(merged([whole(1, a=1, b=1)]), "a")
    again = merged([whole(2, a=1, b=2)], shadow)
    assert phases(again) == {"a": (Phase.OK, 2), "b": (Phase.PENDING, 2)}
    assert again.desired["a"].ver == 2


def test_a_document_with_versions_writes_what_has_a_new_version():
    shadow = done(done(merged([whole(2, {"a": 1, "b": 2}, a=1, b=1)]), "a"), "b")
    again = merged([whole(3, {"a": 1, "b": 3}, a=1, b=1)], shadow)
    assert phases(again) == {"a": (Phase.OK, 1), "b": (Phase.PENDING, 3)}


def test_a_value_that_was_refused_is_tried_again_when_a_newer_document_repeats_it():
    shadow = done(merged([whole(1, a=1)]), "a", Phase.REJECTED, 422)
    assert phases(merged([whole(2, a=1)], shadow)) == {"a": (Phase.PENDING, 2)}
    assert phases(merged([whole(1, a=1)], shadow)) == {"a": (Phase.REJECTED, 1)}, "the same document again is no news"


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), ("1", 1), ([1], [True]), ({}, [])])
def test_values_of_another_type_are_other_values(one, other):
    shadow = done(merged([whole(1, a=one)]), "a")
    again = merged([whole(2, a=other)], shadow)
    assert type(again.desired["a"].value) is type(other)
    assert phases(again) == {"a": (Phase.PENDING, 2)}


def test_a_leaf_that_is_deleted_is_written_no_more():
    shadow = merged([patch(1, a=1), patch(2, a=None)])
    assert shadow.progress == {}
    assert merged([patch(1, a=1), whole(2, b=1)]).progress.keys() == {"b"}


def test_rows_of_a_newer_release_are_never_changed_h26():
    shadow = structs.replace(Shadow("dev"), meta=structs.replace(Shadow("dev").meta, schema=2))
    for change in (
        lambda: merge_patch(shadow, 1, {"a": leaf(1, 1)}, rules()),
        lambda: merge_document(shadow, 1, {"a": leaf(1, 1)}, rules(), own_versions=False),
        lambda: edits.set_edit(shadow, "a", 1, "panel", rules()),
        lambda: edits.drop_edit(shadow, "a"),
    ):
        with pytest.raises(ShadowError) as error:
            change()
        assert error.value.code == 409


def over(policy, base=4, desired=40, edited=50, phase=Phase.OK):
    """A shadow with a local edit over a desired leaf."""
    shadow = merged([patch(base, a=desired)])
    shadow = edits.set_edit(shadow, "a", edited, "panel", rules(policy))
    progress = Progress(phase, base, 200)
    return structs.replace(shadow, edits={"a": structs.replace(shadow.edits["a"], progress=progress)})


LATER, EARLIER = NOW + 10, NOW - 10


@pytest.mark.parametrize(
    ("policy", "ts", "synced", "stays"),
    [
        (Policy.CLOUD_WINS, EARLIER, True, False),
        (Policy.LOCAL_WINS, LATER, True, True),
        (Policy.LAST_TS, EARLIER, True, True),
        (Policy.LAST_TS, LATER, True, False),
        (Policy.LAST_TS, EARLIER, False, False),
        (Policy.LOCAL_UNTIL_ONLINE, EARLIER, True, False),
    ],
)
def test_the_table_of_policies_holds_and_the_loser_is_told_h22(policy, ts, synced, stays):
    shadow = merge_patch(over(policy), 5, {"a": leaf(60, 5, ts)}, rules(policy, synced=synced))
    told = edits.untold(shadow)
    if stays:
        assert (shadow.edits["a"].value, shadow.edits["a"].base_ver) == (50, 5)
        assert shadow.wanted() == {"a": 50}
        assert [(one.path, one.ver, one.phase, one.code, one.n) for one in told] == [("a", 5, Phase.REJECTED, 409, 0)]
    else:
        assert shadow.edits == {}
        assert phases(shadow) == {"a": (Phase.PENDING, 5)}
        assert [(one.path, one.ver, one.phase, one.code, one.n) for one in told] == [("a", 5, Phase.REJECTED, 409, 1)]


@pytest.mark.parametrize("policy", list(Policy))
def test_the_cloud_adopts_an_edit_by_writing_its_value_h31(policy):
    shadow = merged([patch(5, a=50)], over(policy), rules(policy))
    assert (shadow.edits, shadow.lost) == ({}, {})
    assert phases(shadow) == {"a": (Phase.OK, 5)}, "the device has it: nothing is written"
    waiting = merged([patch(5, a=50)], over(policy, phase=Phase.PENDING), rules(policy))
    assert phases(waiting) == {"a": (Phase.PENDING, 5)}


def test_an_older_desired_leaf_does_not_touch_an_edit():
    shadow = over(Policy.CLOUD_WINS)
    assert merged([patch(3, a=30)], shadow).edits == shadow.edits
    assert merged([patch(4, a=40)], shadow).edits == shadow.edits
    assert merged([whole(4, {"a": 4}, a=40)], shadow).edits == shadow.edits


@pytest.mark.parametrize("deletion", [patch(6, a=None), whole(6, b=1)])
@pytest.mark.parametrize("policy", list(Policy))
def test_deleting_a_leaf_overrules_an_edit_over_it_by_patch_and_by_document_alike(policy, deletion):
    shadow = merged([deletion], over(policy), rules(policy))
    if policy is Policy.LOCAL_WINS:
        assert (shadow.edits["a"].value, shadow.edits["a"].base_ver) == (50, 6)
    else:
        assert shadow.edits == {}
        assert [(one.path, one.n, one.code, one.ver) for one in edits.untold(shadow)] == [("a", 1, 409, 6)]
    again = merged([deletion, whole(7, b=1)], shadow, rules(policy))
    assert (again.edits, again.lost) == (shadow.edits, shadow.lost)


@pytest.mark.parametrize("before", [[], [patch(4, a=40), patch(5, a=None)]])
def test_an_edit_of_a_leaf_that_nobody_desires_stays_when_documents_leave_it_out(before):
    shadow = edits.set_edit(merged(before), "a", 50, "panel", rules())
    for message in (whole(6, b=1), patch(5, a=None) if before else patch(7, c=1), whole(8, b=2)):
        shadow = merged([message], shadow)
        assert shadow.edits["a"].value == 50


def test_a_newer_document_without_versions_overrules_an_edit_also_by_the_value_that_it_stands_over():
    shadow = merged([whole(9, a=40)], over(Policy.CLOUD_WINS))
    assert shadow.edits == {}
    assert [one.n for one in edits.untold(shadow)] == [1]


def test_steps_of_the_wall_clock_change_nothing_but_last_ts_h23():
    for policy in (Policy.CLOUD_WINS, Policy.LOCAL_WINS, Policy.LOCAL_UNTIL_ONLINE):
        results = [
            merge_patch(over(policy), 5, {"a": leaf(60, 5, ts)}, rules(policy, now=now))
            for ts in (0, NOW, 2 * NOW)
            for now in (0, NOW, NOW + 1000)
        ]
        assert len({repr((shadow.edits, values(shadow), phases(shadow))) for shadow in results}) == 1
