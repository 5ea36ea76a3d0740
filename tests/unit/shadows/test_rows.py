"""Rows on disk: what is read is what was written, to the type; rows of another release stay as they are (H20, H26)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack, structs

from gateway.shadows import rows
from gateway.shadows.values import Edit, Leaf, Meta, Origin, Phase, Progress, Rejection, Shadow
from tests.unit.shadows.kit import Message, merged
from tests.unit.shadows.plant import patch

_PATHS = st.lists(st.sampled_from(("a", "b.c", "d.e.f")), min_size=1, max_size=1).map(lambda found: found[0])
_NUMBERS = st.integers(0, 2**53 - 1)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
_PROGRESS = st.builds(
    Progress, st.sampled_from(Phase), _NUMBERS, st.integers(0, 599), st.text(max_size=9), st.integers(0, 3), _NUMBERS
)
_SHADOWS = st.builds(
    Shadow,
    st.just("dev"),
    st.builds(Meta, st.just(1), *[_NUMBERS] * 6),
    st.dictionaries(_PATHS, st.builds(Leaf, _VALUES, _NUMBERS, _NUMBERS, st.sampled_from(Origin), _NUMBERS)),
    st.dictionaries(_PATHS, st.builds(Edit, _VALUES, _NUMBERS, _NUMBERS, _NUMBERS, st.text(max_size=5), _PROGRESS)),
    st.dictionaries(_PATHS, _PROGRESS),
    st.dictionaries(
        _NUMBERS,
        st.builds(Rejection, _PATHS, _NUMBERS, st.sampled_from(Phase), st.integers(0, 599), st.text(), _NUMBERS),
    ),
)


def typed(shadow):
    """To Python 1, 1.0 and True are equal, in a document they are not."""
    parts = (shadow.desired, shadow.edits, shadow.progress, shadow.lost)
    return repr((shadow.device, shadow.meta, [sorted(part.items()) for part in parts]))


@settings(max_examples=150, deadline=None)
@given(_SHADOWS)
def test_what_is_read_is_what_was_written_h20(shadow):
    stored = msgpack.decode(msgpack.encode(rows.encode(shadow)))
    assert typed(rows.decode(stored)["dev"]) == typed(shadow)


@settings(max_examples=150, deadline=None)
@given(_SHADOWS, _SHADOWS)
def test_the_changes_of_two_shadows_lead_from_one_to_the_other(before, after):
    stored = rows.encode(before)
    for key, row in rows.changes(before, after).items():
        if row is None:
            del stored[key]
        else:
            stored[key] = row
    assert typed(rows.decode(stored)["dev"]) == typed(after)
    assert rows.changes(after, after) == {}


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, 1.0), ([0], [False])])
def test_a_value_that_changes_its_type_alone_is_a_change(one, other):
    before, after = merged([Message(1, {"a": one})]), merged([Message(1, {"a": other})])
    assert any(key.endswith("\0D\0a") for key in rows.changes(before, after))


def test_an_unreadable_row_counts_as_missing_and_the_others_stay(caplog):
    stored = rows.encode(merged([Message(3, {"a": 1, "b": 2})]))
    stored["dev\0D\0a"] = None
    assert set(rows.decode(stored)["dev"].desired) == {"b"}
    assert "unreadable" in caplog.text


async def test_rows_of_a_newer_release_are_shown_as_there_and_never_rewritten_h26(gateway):
    meta = structs.replace(Meta(), schema=2)
    row = rows.encode(Shadow("dev", meta))["dev\0M"]
    await gateway.do(gateway.store.submit(lambda tx: tx.put(rows.TABLE, "dev\0M", [*row, "more"])))
    await gateway.kill()
    gateway.open()
    gateway.start()
    before = gateway.store.table(rows.TABLE).items()
    gateway.poll("dev")
    refused, _ = await gateway.do(gateway.desk.patch("dev", patch(1, {"speed": 50})))
    assert refused.code == 409
    assert await gateway.do(gateway.desk.document("dev")) is None
    await gateway.do(gateway.desk.view("dev"))
    await gateway.do(gateway.desk.exchanged())
    await gateway.advance(10)
    assert gateway.store.table(rows.TABLE).items() == before
    assert gateway.devices["dev"].log == []
