"""The rule of (epoch, session), and births from foreign hands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fleet.roster import Roster
from gateway.fleet.watching import Watch
from gateway.mqttclient.connection import Inbound

ROOT = "fp/1/default/gw"
OLD, NEW = 1794000000, 1794500000


def _status(roster: Roster, *, online: bool, session: int, epoch: int = OLD) -> bool:
    body = {"v": 1, "online": online, "session": session, "epoch": epoch}
    return roster.take(f"{ROOT}/status", json.dumps(body).encode())


def _online(roster: Roster) -> bool | None:
    info = roster.gateway("gw")
    return None if info is None else info.online


def test_a_late_will_of_an_earlier_connection_changes_nothing() -> None:
    roster = Roster()
    assert _status(roster, online=True, session=7)
    assert not _status(roster, online=False, session=6)
    assert _online(roster) is True
    assert _status(roster, online=False, session=7)
    assert _online(roster) is False


def test_a_late_will_of_a_replaced_store_changes_nothing() -> None:
    roster = Roster()
    _status(roster, online=True, session=900, epoch=OLD)
    _status(roster, online=True, session=1, epoch=NEW)
    assert not _status(roster, online=False, session=900, epoch=OLD)
    assert _online(roster) is True


def test_a_store_that_was_made_with_a_wrong_clock_replaces_the_one_before() -> None:
    """Its epoch is lower, but it is online now; the Will of the former is late, though its epoch is higher."""
    roster = Roster()
    _status(roster, online=True, session=900, epoch=NEW)
    assert _status(roster, online=True, session=1, epoch=OLD)
    assert not _status(roster, online=False, session=900, epoch=NEW)
    assert _online(roster) is True


def test_a_will_of_an_older_store_that_we_never_saw_online_is_late() -> None:
    roster = Roster()
    _status(roster, online=True, session=1, epoch=NEW)
    assert not _status(roster, online=False, session=5, epoch=OLD)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4), st.sampled_from([OLD, NEW])), max_size=12))
def test_no_order_of_wills_makes_a_gateway_offline_whose_last_online_status_came_later(
    messages: list[tuple[bool, int, int]],
) -> None:
    roster = Roster()
    for online, session, epoch in messages:
        _status(roster, online=online, session=session, epoch=epoch)
    _status(roster, online=True, session=9, epoch=NEW + 1)
    for online, session, epoch in messages:
        if not online:
            _status(roster, online=False, session=session, epoch=epoch)
    assert _online(roster) is True


@pytest.mark.parametrize("kind", ["status", "birth", "birth/1", "nonsense", "shadow/x/reported"])
@given(payload=st.one_of(st.binary(max_size=40), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["v", "hash", "tags", "devices", "parts", "columns", "epoch", "session", "online"]), inner),
).map(lambda value: json.dumps({"v": 1, **value} if isinstance(value, dict) else value).encode())))  # fmt: skip
def test_nothing_that_anybody_publishes_is_an_exception(kind: str, payload: bytes) -> None:
    roster, watch = Roster(), Watch()
    roster.take(f"{ROOT}/{kind}", payload)
    watch.take(Inbound(f"{ROOT}/{kind}", payload, False, 1, 1))
    roster.gateways()
    roster.devices("gw")
    roster.aliases("gw")


@pytest.mark.parametrize("topic", ["", "x", "fp/1/default", "fp/1/default/a b/status", "fp/1/default//status"])
def test_topics_without_a_gateway_are_ignored(topic: str) -> None:
    roster = Roster()
    roster.take(topic, b"{}")
    assert roster.gateways() == []
    assert roster.ignored == 1


def test_columns_are_found_by_name_and_more_may_follow() -> None:
    body: dict[str, Any] = {
        "v": 1, "gateway": "gw", "hash": "h", "dict": 1, "parts": 1, "devices": [["d", "sim", "p"]],
        "columns": ["tag", "device", "labels", "alias", "access", "type", "unit"],
        "tags": [["temp", "d", {"0": "off"}, 10, "rw", "int16", "K"], ["gone", "d", None, 11, "", "", ""]],
    }  # fmt: skip
    roster = Roster()
    roster.take(f"{ROOT}/birth", json.dumps(body).encode())
    devices = roster.devices("gw")
    assert devices is not None
    assert [(tag.tag, tag.alias, tag.access, tag.type, tag.unit) for tag in devices[0].tags] == [
        ("temp", 10, "rw", "int16", "K")
    ]


def test_a_gateway_that_was_taken_out_of_the_broker_is_gone() -> None:
    roster = Roster()
    _status(roster, online=False, session=1)
    roster.take(f"{ROOT}/status", b"")
    assert roster.gateways() == []


def test_a_watcher_that_does_not_keep_up_loses_the_oldest_and_is_told() -> None:
    watch = Watch(bound=3)
    for number in range(10):
        payload = json.dumps({"v": 1, "ver": number, "state": {}}).encode()
        watch.take(Inbound(f"{ROOT}/shadow/d/reported", payload, False, 1, 1))
    dropped = watch.next()
    assert (dropped.kind, dropped.body) == ("dropped", {"count": 7})
    assert [watch.next().body["ver"] for _ in range(3)] == [7, 8, 9]
    assert not watch.ready
