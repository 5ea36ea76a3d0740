"""Paths of leaves: what is a leaf, what is too deep, what cannot be a key (protocol.md 3.1, H19, H24, H28)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.nesting import nest
from gateway.shadows import paths
from gateway.shadows.values import ShadowError

_KEYS = st.text("abcXYZ019_-", min_size=1, max_size=4).filter(lambda key: key[0] not in "_-")
_LEAVES = (
    st.booleans() | st.integers(-9, 9) | st.text(max_size=3) | st.just({}) | st.lists(st.integers(0, 3), max_size=3)
)
_STATES = st.dictionaries(_KEYS, _LEAVES | st.dictionaries(_KEYS, _LEAVES, min_size=1), min_size=1)


@settings(max_examples=150, deadline=None)
@given(_STATES)
def test_nesting_undoes_flattening_and_no_leaf_is_the_folder_of_another(state):
    leaves = paths.flatten(state)
    assert nest(leaves) == state
    for one in leaves:
        assert not any(paths.collides(one, other) for other in leaves)
        assert paths.check_path(one) == one


def test_arrays_and_empty_objects_are_leaves():
    assert paths.flatten({"a": [1, {"b": 2}], "c": {}, "d": None}) == {"a": [1, {"b": 2}], "c": {}, "d": None}


@pytest.mark.parametrize("state", [[], "x", 1, None, True])
def test_a_state_is_an_object(state):
    with pytest.raises(ShadowError) as error:
        paths.flatten(state)
    assert error.value.code == 400


@pytest.mark.parametrize(
    "state",
    [
        {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}},
        {"a": {"b": {"c": {"d": {"e": [1]}}}}},
        {"a": [[[[[1]]]]]},
        {"": 1},
        {"a.b": 1},
        {"a/b": 1},
        {"_a": 1},
        {"a": {"b c": 1}},
        {"a" * 65: 1},
        {"a": float("nan")},
        {"a": [float("inf")]},
    ],
)
def test_what_has_no_place_in_a_document_is_refused_h19(state):
    with pytest.raises(ShadowError) as error:
        paths.flatten(state)
    assert error.value.code == 400


def test_five_levels_are_taken():
    assert paths.flatten({"a": {"b": {"c": {"d": {"e": 1}}}}}) == {"a.b.c.d.e": 1}
    assert paths.flatten({"a": [[[[1]]]]}) == {"a": [[[[1]]]]}


def test_too_many_leaves_are_refused_h19():
    with pytest.raises(ShadowError) as error:
        paths.flatten({f"a{n}": n for n in range(paths.MAX_LEAVES + 1)})
    assert error.value.code == 413


@pytest.mark.parametrize(("one", "other", "expected"), [("a", "a.b", True), ("a", "ab", False), ("a", "a", False)])
def test_a_leaf_collides_with_what_is_in_its_folder_only(one, other, expected):
    assert paths.collides(one, other) is expected
    assert paths.collides(other, one) is expected


@pytest.mark.parametrize("path", ["", ".", "a..b", "a.b.c.d.e.f", "a/../b", "a b", "a.", "\n"])
def test_paths_of_people_are_checked(path):
    with pytest.raises(ShadowError):
        paths.check_path(path)
    assert paths.check_path("set/temp") == paths.check_path("set.temp") == "set.temp"


def test_a_whole_number_beyond_2_to_53_is_text_however_it_was_written():
    assert paths.flatten({"a": 2**53, "b": {"c": -(2**60)}, "d": [2**53 - 1, 2**53]}) == {
        "a": str(2**53),
        "b.c": str(-(2**60)),
        "d": [2**53 - 1, str(2**53)],
    }
