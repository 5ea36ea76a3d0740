"""Both sides of a shadow as people and scripts see them."""

from __future__ import annotations

import io

from gateway.cli import fleet_tables as tables
from gateway.cli.output import Output
from gateway.fleet import Shadow
from gateway.fleet.document import Document, Leaf
from gateway.fleet.shadows import Rejection, differing, parse_reported


def _shown(found: Shadow, *only: str) -> list[str]:
    stream = io.StringIO()
    tables.shadow(Output(stream), found, set(only))
    return stream.getvalue().splitlines()


def test_a_lost_edit_is_listed_beside_the_refusal_of_the_leaf() -> None:
    refused = Rejection("a", 5, "rejected", 422, "above 80")
    lost = Rejection("a", 5, "rejected", 409, "the edit of console is dropped", edit=3)
    found = Shadow(
        gateway="gw", device="pump", desired=Document(5, {"a": Leaf(90, 5)}), rejections=(refused, lost, refused)
    )
    assert _shown(found)[1].endswith("rejected 422 above 80; rejected 409 the edit of console is dropped")
    rejections = tables.shadow_body(found, set())["rejections"]
    assert [each["edit"] for each in rejections] == [None, 3, None]


def test_qualities_and_the_gateways_own_delta_are_shown() -> None:
    reported = parse_reported(
        b'{"v":1,"ver":1,"desired_ver":5,"state":{"a":90.4,"b":2,"c":3},"quality":{"b":"bad/comm","c":"uncertain/stale"},'
        b'"delta":["b"]}'
    )
    desired = Document(5, {"a": Leaf(90, 5), "b": Leaf(2, 5)})
    found = Shadow(gateway="gw", device="pump", desired=desired, reported=reported, delta=differing(desired, reported))
    lines = _shown(found)
    assert lines[0].split() == ["tag", "desired", "version", "reported", "quality"]
    assert [line.split() for line in lines[1:4]] == [
        ["a", "90", "5", "90.4"],
        ["b", "2", "5", "2", "bad/comm", "differs"],
        ["c", "3", "uncertain/stale"],
    ]
    body = tables.shadow_body(found, set())
    assert (body["delta"], body["reported"]["delta"]) == ({"b": 2}, ["b"])
    assert body["reported"]["quality"] == {"b": "bad/comm", "c": "uncertain/stale"}
    assert tables.shadow_body(found, {"c"})["reported"]["quality"] == {"c": "uncertain/stale"}
