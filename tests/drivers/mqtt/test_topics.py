"""Topic filters, with an oracle: paho's own matcher."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from drivers.mqtt.topics import covers, device_of, fewest, filter_fault, matches, topic_fault

LEVEL = st.sampled_from(["a", "b", "", "$x"])
TOPIC = st.lists(LEVEL, min_size=1, max_size=4).map("/".join)
FILTER = st.tuples(
    st.lists(st.sampled_from(["a", "b", "", "+"]), min_size=1, max_size=4), st.sampled_from(["", "/#"])
).map(lambda parts: "/".join(parts[0]) + parts[1]) | st.just("#")


@given(FILTER, TOPIC)
def test_a_filter_matches_what_another_authors_matcher_says(pattern, topic):
    assert matches(pattern, topic) == topic_matches_sub(pattern, topic)


@given(FILTER, FILTER, TOPIC)
def test_what_a_covered_filter_matches_the_wider_one_matches_too(wide, narrow, topic):
    if covers(wide, narrow) and topic_matches_sub(narrow, topic):
        assert topic_matches_sub(wide, topic)


@given(st.lists(FILTER, max_size=5), TOPIC)
def test_the_fewest_filters_bring_the_same_topics(filters, topic):
    few = fewest(filters)
    assert any(topic_matches_sub(f, topic) for f in few) == any(topic_matches_sub(f, topic) for f in filters)
    assert not [pair for pair in ((a, b) for a in few for b in few) if pair[0] != pair[1] and covers(*pair)]


@pytest.mark.parametrize("text", ["", "a/#/b", "a#", "a+/b", "x\0"])
def test_a_wrong_filter_is_told(text):
    assert filter_fault(text)


def test_a_command_goes_to_one_topic():
    assert topic_fault("a/+/b")
    assert not topic_fault("a/b")


def test_a_pattern_names_the_device():
    assert device_of("plant/{device}/state", "plant/pump/state") == "pump"
    assert device_of("plant/{device}/#", "plant/pump") == "pump"
    assert device_of("plant/{device}/state", "plant/pump/other") is None
