"""The register map: every tag has a place of its own, and no tag ever moves because another one came or went."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.address import Address, Table
from drivers.modbus.server.check import check, forms_of
from drivers.modbus.server.layout import Layout, lay_out
from drivers.modbus.server.settings import ServerSettings
from gateway.errors import PermanentError
from gateway.model import ValueType
from gateway.serving.contract import BOOL, FLOAT, INT, OBJECT, TEXT, Offer, ServerConfig

STATUS = Address(Table.INPUT, 60000)
KINDS = {
    "bool": (ValueType.BOOL, BOOL, 0, 0),
    "small": (ValueType.UINT16, INT, 0, 65535),
    "wide": (ValueType.INT32, INT, -(2**31), 2**31 - 1),
    "real": (ValueType.INT16, FLOAT, 0, 0),
    "text": (ValueType.STRING, TEXT, 0, 0),
}


def offer(path: str, kind: str = "small", *, writable: bool = False) -> Offer:
    of_type, what, low, high = KINDS[kind]
    return Offer("pump", path, of_type, what, low, high, writable=writable)


def laid(offers: list[Offer], kept: dict | None = None, **settings: object) -> Layout:
    return lay_out(forms_of(ServerSettings(**settings), offers), kept or {}, STATUS)


def places(layout: Layout) -> dict[str, str]:
    return {point.offer.path: point.address.short for point in layout.points}


def test_a_tag_is_where_its_type_and_its_access_put_it():
    layout = laid([offer("a"), offer("b", "real"), offer("c", "bool"), offer("d", "bool", writable=True), offer("e")])
    assert places(layout) == {"a": "input/0", "b": "input/1", "c": "discrete/0", "d": "coil/0", "e": "input/3"}


def test_a_new_tag_comes_behind_all_others_and_one_that_comes_back_has_its_old_place():
    first = laid([offer("b"), offer("d")])
    more = laid([offer("a"), offer("b"), offer("d")], first.kept)
    assert places(more) == {"b": "input/0", "d": "input/1", "a": "input/2"}
    fewer = laid([offer("a"), offer("d"), offer("e")], more.kept)
    assert places(fewer) == {"d": "input/1", "a": "input/2", "e": "input/3"}
    back = laid([offer("a"), offer("b"), offer("d"), offer("e")], fewer.kept)
    assert places(back)["b"] == "input/0"
    assert {point.offer.path: point.status for point in back.points} == {"b": 0, "d": 1, "a": 2, "e": 3}


def test_a_tag_that_needs_other_registers_than_before_gets_a_new_place_and_nobody_gets_its_old_one_by_accident():
    first = laid([offer("a"), offer("b")])
    wider = laid([offer("a", "wide"), offer("b")], first.kept)
    assert places(wider) == {"a": "input/2", "b": "input/1"}


def test_what_a_person_gives_stays_free_of_all_others():
    layout = laid([offer("a", "wide"), offer("b"), offer("c", "wide")], map={"pump.b": "input/1"})
    assert places(layout) == {"a": "input/2", "b": "input/1", "c": "input/4"}


def test_a_kept_place_that_a_person_gives_to_another_tag_is_told():
    first = laid([offer("a"), offer("b")])
    changed = laid([offer("a"), offer("b")], first.kept, map={"pump.b": "input/0"})
    assert changed.moved == ("pump.a",)
    assert places(changed) == {"a": "input/2", "b": "input/0"}


def test_the_place_that_a_person_gave_is_nobody_elses_when_it_is_taken_out_of_the_map():
    first = laid([offer("a"), offer("b")], map={"pump.a": "input/1"})
    gone = laid([offer("b"), offer("c"), offer("d")], first.kept)
    assert places(gone) == {"b": "input/0", "c": "input/2", "d": "input/3"}
    back = laid([offer("a"), offer("b"), offer("c"), offer("d")], gone.kept)
    assert places(back) == {"a": "input/1", "b": "input/0", "c": "input/2", "d": "input/3"}


def test_the_status_registers_are_nobodys_place():
    layout = lay_out(
        forms_of(ServerSettings(), [offer("a", "wide"), offer("b"), offer("c")]), {}, Address(Table.INPUT, 1)
    )
    assert places(layout) == {"a": "input/14", "b": "input/16", "c": "input/17"}


def test_more_than_a_table_holds_is_refused():
    with pytest.raises(PermanentError, match="no room"):
        laid([offer(f"t{n}", "text") for n in range(4000)])


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, str]]:
    """Configurations one after the other: tags with their kinds."""
    tags = st.dictionaries(st.sampled_from("abcdefghij"), st.sampled_from(sorted(KINDS)), max_size=8)
    return draw(st.lists(tags, min_size=1, max_size=6))


@given(histories())
def test_no_place_is_ever_given_to_two_tags_over_any_history(history):
    kept: dict = {}
    owners: dict[tuple[str, int], tuple[str, str]] = {}
    before: dict[str, tuple[str, str]] = {}
    for tags in history:
        layout = laid([offer(path, kind) for path, kind in sorted(tags.items())], kept)
        kept = layout.kept
        for point in layout.points:
            path = point.offer.path
            me = (path, tags[path])
            for place in range(point.first, point.end):
                owner = owners.setdefault((point.table.value, place), me)
                assert owner[0] == path
            if path in before and before[path][0] == tags[path]:
                assert before[path][1] == point.address.short
            before[path] = (tags[path], point.address.short)


def faults(offers: list[Offer], **settings: object) -> list[tuple[str, str]]:
    config = ServerConfig("plc", "127.0.0.1", 502, ServerSettings(**settings), tuple(offers))
    return [(fault.path, fault.message) for fault in check(config)]


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"map": {"pump.x": "holding/1"}}, 'map["pump.x"]', "not among the tags"),
        ({"map": {"pump.a": "holding/1", "pump.b": "holding/1"}}, 'map["pump.b"]', "where `pump.a` stands"),
        ({"map": {"pump.a": "holding/40101"}}, 'map["pump.a"]', "classic number"),
        ({"map": {"pump.a": "coil/1"}}, 'map["pump.a"]', "needs registers"),
        ({"map": {"pump.a": "holding/1.3"}}, 'map["pump.a"]', "whole registers"),
        ({"map": {"pump.a": {"address": "holding/65535", "type": "int32"}}}, 'map["pump.a"]', "beyond the table"),
        ({"map": {"pump.a": {"address": "holding/1", "typ": "int32"}}}, 'map["pump.a"]', "unknown field"),
        ({"map": {"pump.a": {"address": "holding/1", "type": "string"}}}, 'map["pump.a"]', "cannot be shown"),
        ({"map": {"pump.w": "input/1"}}, 'map["pump.w"]', "can only be read"),
        ({"map": {"pump.o": "input/1"}}, 'map["pump.o"]', "is an object"),
        ({"status": "coil/1"}, "status", "no register"),
        ({"clients": ("192.0.2.0/33",)}, "clients[0]", "no network"),
        ({"tls": {"cert": "a.pem"}}, "tls", "needs `key`"),
        ({"tls": {"cert": "a.pem", "key": "k", "cafile": "x"}}, "tls.cafile", "unknown key"),
    ],
)
def test_what_cannot_be_is_told_at_its_place(settings, path, message):
    offers = [offer("a"), offer("b"), offer("w", writable=True), Offer("pump", "o", ValueType.STRING, OBJECT)]
    found = faults(offers, **settings)
    assert [where for where, _ in found] == [path]
    assert message in found[0][1]


@pytest.mark.parametrize(
    ("settings", "path", "message", "hint"),
    [
        ({"status": "input/65530"}, "status", "12 status registers from input/65530 on", "input/65524"),
        ({"map": {"pump.a": "input/60011"}}, 'map["pump.a"]', "among the status registers, input/60000 to", "another"),
        ({"map": {"pump.b": "input/59999"}}, 'map["pump.b"]', "among the status registers", "another"),
    ],
)
def test_status_registers_fit_and_have_their_place_alone(settings, path, message, hint):
    offers = (offer("a"), offer("b", "wide"))
    (fault,) = check(ServerConfig("plc", "127.0.0.1", 1502, ServerSettings(**settings), offers))
    assert fault.path == path
    assert message in fault.message
    assert hint in fault.hint


@pytest.mark.parametrize("settings", [{"status": "input/65524"}, {"map": {"pump.a": "input/60012"}}])
def test_status_registers_end_where_they_say(settings):
    offers = (offer("a"), offer("b", "wide"))
    assert list(check(ServerConfig("plc", "127.0.0.1", 1502, ServerSettings(**settings), offers))) == []
