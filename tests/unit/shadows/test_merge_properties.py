"""Merging under any order, repetition and loss of messages: what hypothesis finds counts (H3-H7, H10, H25, H27-H30)."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.shadows import paths
from gateway.shadows.values import Shadow
from tests.support.scale import scaled
from tests.unit.shadows.both_sides import Sides
from tests.unit.shadows.kit import CloudSide, Message, merged, rules, values

_PATHS = ("a", "a.b", "a.b.c", "d", "e.f")
_VALUES = (1, 2, True, "x", [1, 2], {}, None)


@st.composite
def histories(draw: st.DrawFn) -> tuple[CloudSide, list[Message]]:
    """What a cloud published: patches, and whole documents with or without `meta`."""
    cloud, sent = CloudSide(), []
    for _ in range(draw(st.integers(1, 8))):
        if draw(st.integers(0, 3)) == 0 and cloud.ver:
            sent.append(cloud.document(meta=draw(st.booleans())))
            continue
        chosen: dict[str, object] = {}
        for path in draw(st.lists(st.sampled_from(_PATHS), min_size=1, max_size=3, unique=True)):
            value = draw(st.sampled_from(_VALUES))
            if value is None or not any(paths.collides(path, other) for other in chosen if chosen[other] is not None):
                chosen[path] = value
        sent.append(cloud.patch(chosen))
    return cloud, sent


def check(shadow: Shadow) -> None:
    live = shadow.live()
    assert shadow.meta.bytes == paths.total((path, leaf.value) for path, leaf in live.items()), "H25"
    for one in live:
        assert not any(paths.collides(one, other) for other in live), "H28"
    assert all(leaf.ver <= shadow.meta.desired_ver for leaf in shadow.desired.values()), "H1"


@settings(max_examples=scaled(150, 20_000), deadline=None)
@given(histories(), st.data())
def test_any_order_and_repetition_of_messages_gives_the_same_values_h6(
    history: tuple[CloudSide, list[Message]], data: st.DataObject
) -> None:
    cloud, sent = history
    in_order = merged(sent)
    assert values(in_order) == cloud.values()
    shuffled = data.draw(st.permutations(sent + data.draw(st.lists(st.sampled_from(sent), max_size=4))))
    other = merged(shuffled)
    assert repr(sorted(values(other).items())) == repr(sorted(values(in_order).items())), "H6"
    assert other.meta.desired_ver == in_order.meta.desired_ver == cloud.ver, "H6"
    check(other)


@settings(max_examples=scaled(150, 20_000), deadline=None)
@given(histories(), st.data())
def test_versions_never_go_down_and_a_message_twice_is_as_once_h3_h4_h5(
    history: tuple[CloudSide, list[Message]], data: st.DataObject
) -> None:
    _, sent = history
    shadow = Shadow("dev")
    for message in data.draw(st.permutations(sent)):
        before, shadow = shadow, message.merged(shadow, rules())
        check(shadow)
        assert shadow.meta.desired_ver >= before.meta.desired_ver, "H3"
        assert shadow.meta.full_ver >= before.meta.full_ver, "H3"
        for path in before.desired.keys() & shadow.desired.keys():
            assert shadow.desired[path].ver >= before.desired[path].ver, "H4"
        again = message.merged(shadow, rules())
        assert (again.meta, again.live(), again.progress) == (shadow.meta, shadow.live(), shadow.progress), "H5"


@settings(max_examples=scaled(150, 20_000), deadline=None)
@given(histories(), st.data())
def test_after_losses_a_whole_document_makes_both_sides_equal_h7_h30(
    history: tuple[CloudSide, list[Message]], data: st.DataObject
) -> None:
    cloud, sent = history
    came = data.draw(st.permutations([message for message in sent if data.draw(st.booleans())]))
    shadow = merged(came)
    with_meta = merged([cloud.document(meta=True)], shadow) if cloud.ver else shadow
    without = merged([cloud.document(meta=False)], shadow) if cloud.ver else shadow
    assert values(with_meta) == values(without) == cloud.values(), "H7, H30"
    late = merged(data.draw(st.permutations(sent)), with_meta)  # what was under way all the time arrives
    assert values(late) == cloud.values(), "H21: nothing that was deleted returns"


@settings(max_examples=scaled(100, 5_000), deadline=None)
@given(histories(), st.data())
def test_a_document_older_than_the_last_whole_one_changes_nothing_h27(
    history: tuple[CloudSide, list[Message]], data: st.DataObject
) -> None:
    _, sent = history
    shadow = merged(sent)
    old = [message for message in sent if message.whole and message.ver < shadow.meta.full_ver]
    for message in old:
        assert message.merged(shadow, rules()) == shadow, "H27"


def test_a_thousand_random_schedules_of_edits_on_both_sides_end_in_equal_documents() -> None:
    """The cloud writes desired leaves, the gateway edits, the net loses, repeats and reorders; then one exchange."""
    seed = random.randrange(2**32)
    for n in range(scaled(1_000, 20_000)):
        rng = random.Random(seed + n)
        sides = Sides(rng)
        for _ in range(rng.randint(3, 25)):
            sides.step()
        sides.exchange()
        sides.check(f"seed {seed + n}")
