"""The chain of audit entries: whatever is done to it shows, and nothing is said about a chain that is whole (W18)."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit import ROOT, entry_hash, told
from gateway.chain import Chain, Head, Hole, Verdict
from gateway.chainfile import NotAudit, verify_lines

EPOCH = 1_794_000_000
PROTOCOL = json.loads(
    '{"seq":56,"ts":1795000001250,"kind":"audit","who":"scada-1","via":"command","what":"write","device":"line1-plc00",'
    '"tag":"setpoints/temp","old":20.0,"new":21.5,"rid":"c-7f3a","code":200,"prev":"5be01c92a7d84f3360b1d2e9c07a4f18",'
    '"hash":"f94a671da375e04bff43e23e73c65c94"}'
)
values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=4)
details = st.fixed_dictionaries({"who": st.sampled_from(["anna", "scada"]), "new": values.map(told)})


def chained(contents: list[dict[str, Any]], step: int = 1, first: int = 1) -> list[dict[str, Any]]:
    """Entries with numbers, each linked to the one before."""
    entries: list[dict[str, Any]] = []
    for place, content in enumerate(contents):
        prev = entries[-1]["hash"] if entries else ROOT
        entry = {"kind": "audit", "ts": place, **content, "seq": first + place * step, "prev": prev}
        entries.append({**entry, "hash": entry_hash(entry)})
    return entries


def verdict(
    entries: list[dict[str, Any]],
    *,
    held: list[tuple[int, int]] | None = None,
    gaps: list[Hole] | None = None,
    head: Head | None = None,
) -> Verdict:
    chain = Chain(lambda _epoch: gaps or [], None if held is None else lambda _epoch: held)
    for entry in entries:
        chain.take(EPOCH, entry)
    return chain.finish(None if head is None else {EPOCH: head})


def whole(entries: list[dict[str, Any]]) -> Head:
    return Head(EPOCH, entries[-1]["seq"], entries[-1]["hash"])


def test_the_hash_of_the_protocols_example_is_that_of_its_content() -> None:
    assert entry_hash(PROTOCOL) == PROTOCOL["hash"]


@given(st.lists(details, min_size=1, max_size=12), st.integers(1, 3))
def test_a_whole_chain_is_good_also_after_a_way_through_json(contents: list[dict[str, Any]], step: int) -> None:
    entries = json.loads(json.dumps(chained(contents, step)))
    found = verdict(entries, held=[(1, entries[-1]["seq"])], head=whole(entries))
    assert found.ok
    assert (found.entries, found.gaps, found.begins) == (len(entries), (), ())
    assert found.heads == (whole(entries),)


@settings(max_examples=300)
@given(st.lists(details, min_size=1, max_size=8), st.data())
def test_any_change_of_any_field_is_found_in_its_entry(contents: list[dict[str, Any]], data: st.DataObject) -> None:
    entries = chained(contents)
    place = data.draw(st.integers(0, len(entries) - 1))
    key = data.draw(st.sampled_from(sorted(entries[place])))
    other = data.draw(values.map(told).filter(lambda value: canonically(value) != canonically(entries[place][key])))
    changed = copy.deepcopy(entries)
    changed[place][key] = other
    for found in (verdict(changed, held=[(1, len(entries))], head=whole(entries)), verdict(changed)):
        assert found.fault is not None
        assert found.fault.kind == "changed"


def canonically(value: object) -> str:
    return entry_hash({"value": value})


@given(st.lists(details, min_size=2, max_size=8), st.data())
def test_a_change_that_makes_its_own_hash_anew_is_found_at_the_next_entry(
    contents: list[dict[str, Any]], data: st.DataObject
) -> None:
    entries = chained(contents)
    place = data.draw(st.integers(0, len(entries) - 2))
    forged = {**entries[place], "who": "nobody"}
    entries[place] = {**forged, "hash": entry_hash(forged)}
    assert not verdict(entries, held=[(1, len(entries))], head=whole(entries)).ok
    assert not verdict(entries).ok


@given(st.lists(details, min_size=1, max_size=8), st.integers(1, 3), st.data())
def test_any_removed_entry_is_found_where_it_was(
    contents: list[dict[str, Any]], step: int, data: st.DataObject
) -> None:
    """Of what a gateway holds: at its beginning and at its end too."""
    entries = chained(contents, step)
    place = data.draw(st.integers(0, len(entries) - 1))
    gone = entries[place]["seq"]
    left = entries[:place] + entries[place + 1 :]
    for held in ([(1, entries[-1]["seq"])], [(1, gone - 1), (gone + 1, entries[-1]["seq"])]):
        found = verdict(left, held=held, head=whole(entries))
        assert found.fault is not None
        assert found.fault.kind == "missing"
        before = entries[place - 1]["seq"] if place else 0
        assert found.fault.seq == before + 1
    part = verdict(left)
    assert part.ok is (place in (0, len(entries) - 1))
    assert part.begins == (((EPOCH, left[0]["seq"]),) if place == 0 and left else ())


@given(st.lists(details, min_size=2, max_size=8), st.data())
def test_any_other_order_is_found(contents: list[dict[str, Any]], data: st.DataObject) -> None:
    entries = chained(contents)
    order = data.draw(st.permutations(entries).filter(lambda found: found != entries))
    for found in (verdict(order, held=[(1, len(entries))], head=whole(entries)), verdict(order)):
        assert found.fault is not None
        assert found.fault.kind in ("order", "missing")


@given(st.lists(details, min_size=3, max_size=8), st.data())
def test_entries_that_swap_their_numbers_are_found(contents: list[dict[str, Any]], data: st.DataObject) -> None:
    entries = chained(contents)
    one, two = sorted(data.draw(st.permutations(range(len(entries))))[:2])
    numbers = entries[one]["seq"], entries[two]["seq"]
    entries[one], entries[two] = {**entries[two], "seq": numbers[0]}, {**entries[one], "seq": numbers[1]}
    assert not verdict(entries).ok


@pytest.mark.parametrize(
    ("held", "gaps", "ok"),
    [
        ([(1, 4), (7, 9)], [(5, 6)], True),
        ([(1, 4), (7, 9)], [(2, 6)], True),
        ([(1, 4), (7, 9)], [], False),
        ([(1, 4), (7, 9)], [(5, 5)], False),  # 6 is neither held nor explained
        ([(1, 9)], [(5, 6)], True),  # explained and held all the same: the store was being read while it dropped
        ([(1, 4), (7, 9)], [(8, 9)], False),
    ],
)
def test_a_gap_record_names_a_gap_in_the_chain(held: list[tuple[int, int]], gaps: list[Range], ok: bool) -> None:
    entries = chained([{"who": "anna"}] * 9)
    left = entries[:4] + entries[6:]
    holes = [Hole(EPOCH, first, last, "age") for first, last in gaps]
    found = verdict(left, held=held, gaps=holes, head=whole(entries))
    assert found.ok is ok
    assert found.gaps == ((Hole(EPOCH, 5, 6, "age"),) if ok else ())


Range = tuple[int, int]


def test_what_retention_took_at_the_beginning_or_altogether_is_named() -> None:
    entries = chained([{"who": "anna"}] * 6)
    begin = verdict(entries[4:], held=[(5, 6)], gaps=[Hole(EPOCH, 1, 4, "size")], head=whole(entries))
    assert (begin.ok, begin.gaps) == (True, (Hole(EPOCH, 1, 4, "size"),))
    nothing = verdict([], held=[], gaps=[Hole(EPOCH, 1, 6, "age")], head=whole(entries))
    assert (nothing.ok, nothing.gaps) == (True, (Hole(EPOCH, 1, 6, "age"),))


def test_an_end_that_is_not_the_stores_own_is_found() -> None:
    entries = chained([{"who": "anna"}] * 3)
    held = [(1, 3)]
    assert not verdict(entries[:2], held=held, head=whole(entries)).ok
    assert not verdict(entries, held=held, head=whole(entries[:2])).ok
    chain = Chain(lambda _epoch: [], lambda _epoch: held)
    for entry in entries:
        chain.take(EPOCH, entry)
    assert not chain.finish({}).ok


def test_each_epoch_has_a_chain_of_its_own() -> None:
    old, new = chained([{"who": "anna"}] * 2), chained([{"who": "ben"}] * 2)
    chain = Chain(lambda _epoch: [], lambda _epoch: [(1, 2)])
    for epoch, entries in ((EPOCH, old), (EPOCH + 1, new)):
        for entry in entries:
            chain.take(epoch, entry)
    found = chain.finish({EPOCH: whole(old), EPOCH + 1: Head(EPOCH + 1, 2, new[-1]["hash"])})
    assert found.ok
    chain = Chain(lambda _epoch: [])
    for epoch, entry in ((EPOCH, old[0]), (EPOCH + 1, new[1])):
        chain.take(epoch, entry)
    assert chain.finish().begins == ((EPOCH + 1, 2),)


@pytest.mark.parametrize("bad", [{"seq": "1"}, {"seq": None}, {"hash": 5}, {"new": [float("nan")]}, {"prev": None}])
def test_an_entry_of_no_form_is_a_changed_one(bad: dict[str, Any]) -> None:
    (entry,) = chained([{"who": "anna"}])
    found = verdict([{**entry, **bad}])
    assert found.fault is not None
    assert found.fault.kind == "changed"


def message(*entries: dict[str, Any], epoch: int = EPOCH) -> dict[str, Any]:
    return {"v": 1, "gateway": "gw-42", "stream": "event", "epoch": epoch, "entries": list(entries)}


GAP = {"v": 1, "gateway": "gw-42", "stream": "event", "epoch": EPOCH, "from": 2, "to": 3, "n": 2, "why": "age"}


def test_a_file_may_be_an_export_or_messages_as_they_came_twice_and_with_other_kinds() -> None:
    entries = chained([{"who": "anna"}] * 4, step=2)
    other = {"kind": "device", "seq": 2, "ts": 1, "device": "pump", "state": "online"}
    export = {"entries": [{"epoch": EPOCH, **entry} for entry in entries], "gaps": []}
    came = [message(entries[0], other), message(*entries[1:3]), message(*entries[1:3]), message(entries[3])]
    for lines in ([export], came, [{"epoch": EPOCH, **entry} for entry in entries], [export, *came]):
        found = verify_lines(json.loads(json.dumps(lines)))
        assert found.ok
        assert found.entries == 4


def test_a_file_with_a_hole_is_broken_unless_a_gap_record_names_it() -> None:
    entries = chained([{"who": "anna"}] * 4)
    left = message(entries[0], entries[3])
    assert not verify_lines([left]).ok
    found = verify_lines([left, GAP])
    assert (found.ok, found.gaps) == (True, (Hole(EPOCH, 2, 3, "age"),))
    assert not verify_lines([left, {**GAP, "stream": "telemetry"}]).ok
    assert not verify_lines([left, {**GAP, "epoch": EPOCH + 1}]).ok


def test_two_contents_of_one_number_in_a_file_are_found() -> None:
    entries = chained([{"who": "anna"}] * 3)
    forged = {**entries[1], "who": "ben"}
    assert not verify_lines([message(*entries), message(forged)]).ok
    assert not verify_lines([message(*entries), message({**forged, "hash": entry_hash(forged)})]).ok


@pytest.mark.parametrize(
    "lines", [[5], [[]], [{"entries": 5}], [{"entries": [5]}], [{"kind": "audit", "seq": 1}], [{"gaps": [5]}]]
)
def test_what_is_no_audit_list_is_told(lines: list[Any]) -> None:
    with pytest.raises(NotAudit):
        verify_lines(lines)


def test_entries_of_two_gateways_are_not_one_chain() -> None:
    with pytest.raises(NotAudit):
        verify_lines([message(*chained([{}])), {**message(), "gateway": "gw-43"}])


@given(values)
def test_what_is_told_of_a_value_has_one_hash_here_and_after_json(value: object) -> None:
    entry = {"new": told(value)}
    assert entry_hash(json.loads(json.dumps(entry))) == entry_hash(entry)
