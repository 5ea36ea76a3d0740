"""The difference between desired and reported, per type and tolerance (protocol.md 3.1, H8-H10, H29)."""

import pytest

from gateway.model import Quality, TagSpec, Transform, ValueType, Verify
from gateway.shadows.delta import delta
from gateway.shadows.reporting import ReportedLeaf
from tests.support.shadowed import state_tag
from tests.unit.runtime.support import bound, channel
from tests.unit.shadows.kit import Message, merged


def device(*tags):
    return bound(channel(*tags))[1][0]


def reported(**values):
    return {path: ReportedLeaf(value, 1, 1, Quality.GOOD) for path, value in values.items()}


def differs(spec, wanted, got):
    found = delta(merged([Message(1, {"a": wanted})]), reported(a=got), device(spec))
    assert set(found) <= {"a"}
    if found:  # H29: applied, nothing is left
        assert delta(merged([Message(1, {"a": wanted})]), reported(a=found["a"]), device(spec)) == {}
    return bool(found)


FLOAT_STEP = 2.0**-23


@pytest.mark.parametrize(
    ("spec", "wanted", "got", "expected"),
    [
        (state_tag("a"), 5, 5, False),
        (state_tag("a"), 5, 6, True),
        (state_tag("a"), 5, 5.0, False),
        (state_tag("a"), 1, True, True),
        (state_tag("a"), 0, False, True),
        (state_tag("a", ValueType.INT16, transform=Transform(scale=0.5)), 10.0, 10.4, False),
        (state_tag("a", ValueType.INT16, transform=Transform(scale=0.5)), 10.0, 10.5, True),
        (state_tag("a", ValueType.FLOAT32), 1.0, 1.0 + FLOAT_STEP, False),
        (state_tag("a", ValueType.FLOAT32), 1.0, 1.0 + 3 * FLOAT_STEP, True),
        (state_tag("a", ValueType.FLOAT32), 0.1, 0.10000000149011612, False),
        (state_tag("a", ValueType.FLOAT64), 0.1, 0.1 + 1e-9, True),
        (state_tag("a", ValueType.FLOAT32, verify=Verify(tolerance=0.5)), 20.0, 20.5, False),
        (state_tag("a", ValueType.FLOAT32, verify=Verify(tolerance=0.5)), 20.0, 20.6, True),
        (state_tag("a", verify=Verify(tolerance=2)), 5, 7, False),
        (state_tag("a", verify=Verify(tolerance=2)), 5, 8, True),
        (state_tag("a", ValueType.BOOL), True, True, False),
        (state_tag("a", ValueType.BOOL), True, False, True),
        (state_tag("a", ValueType.BOOL), True, 1, True),
        (state_tag("a", ValueType.STRING), "auto", "auto", False),
        (state_tag("a", ValueType.STRING), "auto", "Auto", True),
        (state_tag("a", ValueType.STRING), "1", 1, True),
        (state_tag("a", ValueType.BYTES), "3q2+7w==", "3q2+7w==", False),
        (state_tag("a", ValueType.BYTES), "3q2+7w==", "3q2+7g==", True),
        (state_tag("a", ValueType.UINT64), "9007199254740993", "9007199254740993", False),
        (state_tag("a", ValueType.UINT64), "9007199254740993", "9007199254740994", True),
        (state_tag("a", ValueType.INT32, labels=((1, "on"), (2, "off"))), "on", 1, False),
    ],
)
def test_a_leaf_differs_by_type_or_by_more_than_the_tolerance_h9(spec, wanted, got, expected):
    assert differs(spec, wanted, got) is expected


def test_what_is_only_reported_or_deleted_is_in_no_delta_h8_h10():
    shadow = merged([Message(1, {"a": 1, "b": 2}), Message(2, {"b": None})])
    assert delta(shadow, reported(a=1, b=3, c=4), device(state_tag("a"), state_tag("b"), state_tag("c"))) == {}


def test_what_was_never_reported_or_has_no_tag_differs():
    shadow = merged([Message(1, {"a": 1, "gone": 2})])
    assert delta(shadow, {}, device(state_tag("a"))) == {"a": 1, "gone": 2}
    assert delta(shadow, reported(a=1), None) == {"a": 1, "gone": 2}


def test_a_feedback_tag_decides():
    run = state_tag("run", ValueType.BOOL, verify=Verify(tag="run_fb"))
    one = device(run, TagSpec("run_fb", ValueType.BOOL, None, shadow=True))
    shadow = merged([Message(1, {"run": True})])
    assert delta(shadow, reported(run=True, run_fb=False), one) == {"run": True}
    assert delta(shadow, reported(run=False, run_fb=True), one) == {}


def test_a_feedback_tag_of_another_type_tells_by_being_zero_or_not():
    run = state_tag("run", ValueType.BOOL, verify=Verify(tag="run_fb"))
    one = device(run, TagSpec("run_fb", ValueType.UINT16, None, shadow=True))
    shadow = merged([Message(1, {"run": True})])
    assert delta(shadow, reported(run_fb=1), one) == {}
    assert delta(shadow, reported(run_fb=0), one) == {"run": True}
