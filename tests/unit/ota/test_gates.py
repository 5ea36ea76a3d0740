"""What must not be worse after an update than it was before."""

import os

import pytest
from msgspec.structs import replace

from gateway.ota import gates
from gateway.ota.gates import Picture, Vital

BEFORE = Picture(
    up=frozenset({"channel:a", "channel:b", "uplink:cloud", "server:hmi"}),
    epoch=7,
    last={"telemetry": 100, "event": 5},
    done={"cloud/telemetry": 90, "gone/telemetry": 3},
    issues=frozenset({"store_restored:store"}),
)
KNOWN = frozenset({"channel:a", "channel:b", "channel:c", "uplink:cloud", "server:hmi"})
WELL = Vital(lag_ms=3.0, memory=60 << 20, most_memory=112 << 20)


def _bad(now=BEFORE, vital=WELL, before=BEFORE, known=KNOWN):
    return {name: verdict for name, verdict in gates.judge(before, now, known, vital).items() if verdict != gates.OK}


def test_as_well_as_before_is_well():
    assert _bad() == {}
    verdicts = gates.judge(BEFORE, BEFORE, KNOWN, WELL)
    assert set(verdicts.values()) == {gates.OK}
    assert (gates.failed(verdicts), gates.told(verdicts)) == ({}, "")


def test_better_than_before_is_well():
    now = replace(
        BEFORE,
        up=BEFORE.up | {"channel:c"},
        last={"telemetry": 900, "event": 6, "alarm": 1},
        done={"cloud/telemetry": 890},
        issues=frozenset(),
    )
    assert _bad(now) == {}


@pytest.mark.parametrize(
    ("now", "gate", "words"),
    [
        (replace(BEFORE, up=BEFORE.up - {"channel:b"}), "channels", "not up again: b"),
        (replace(BEFORE, up=BEFORE.up - {"server:hmi"}), "channels", "not up again: hmi"),
        (replace(BEFORE, up=BEFORE.up - {"uplink:cloud"}), "uplinks", "not up again: cloud"),
        (replace(BEFORE, epoch=8), "journal", "began anew"),
        (replace(BEFORE, last={"telemetry": 99, "event": 5}), "journal", "lost its end: telemetry"),
        (replace(BEFORE, last={"telemetry": 100}), "journal", "lost its end: event"),
        (replace(BEFORE, done={"cloud/telemetry": 89}), "journal", "forgot what was acknowledged: cloud/telemetry"),
        (replace(BEFORE, done={}), "journal", "forgot what was acknowledged: cloud/telemetry"),
        (replace(BEFORE, issues=frozenset({"generations_damaged:config"})), "config", "generations_damaged"),
    ],
)
def test_what_is_worse_than_before_is_named(now, gate, words):
    bad = _bad(now)
    assert list(bad) == [gate]
    assert words in bad[gate]


@pytest.mark.parametrize(
    ("vital", "gate"),
    [
        (replace(WELL, lag_ms=250.0), "loop"),
        (replace(WELL, memory=112 << 20), "memory"),
        (replace(WELL, store="no commit within 10 s"), "store"),
        (replace(WELL, scripts="10-plc: no answer"), "scripts"),
    ],
)
def test_what_is_measured_has_its_own_limit(vital, gate):
    assert list(_bad(vital=vital)) == [gate]


def test_without_a_limit_of_memory_none_is_kept():
    assert _bad(vital=replace(WELL, memory=1 << 40, most_memory=None)) == {}


def test_all_that_is_not_well_is_one_line():
    now = replace(BEFORE, up=BEFORE.up - {"channel:b"})
    verdicts = gates.judge(BEFORE, now, KNOWN, replace(WELL, lag_ms=300.4))
    assert gates.told(verdicts) == "channels: not up again: b; loop: wakes up 300 ms late"


def test_what_is_not_configured_any_more_is_not_waited_for():
    assert _bad(replace(BEFORE, up=BEFORE.up - {"channel:b"}), known=KNOWN - {"channel:b"}) == {}


def test_without_a_picture_only_what_is_measured_counts():
    assert _bad(before=Picture()) == {}


def test_a_gateway_without_a_link_before_is_confirmed_offline():
    assert not gates.was_offline(BEFORE)
    assert gates.was_offline(replace(BEFORE, up=frozenset({"channel:a"})))


def test_a_picture_outlives_the_restart(tmp_path):
    gates.save(tmp_path / "ota" / "baseline.json", BEFORE)
    assert gates.restore(tmp_path / "ota" / "baseline.json") == BEFORE


@pytest.mark.parametrize("raw", ["", "{", "[]", '{"up": 3}', "\udcff"])
def test_a_damaged_picture_is_none(tmp_path, raw):
    path = tmp_path / "baseline.json"
    path.write_bytes(raw.encode(errors="surrogateescape"))
    assert gates.restore(path) == Picture()


def test_the_memory_of_this_process_is_seen():
    assert gates.own_memory() > 1 << 20


def test_the_picture_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """After a power cut in the restart an empty one would ask nothing of the new release."""
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_ino), fsync(handle))[1])
    path = tmp_path / "ota" / "baseline.json"
    gates.save(path, BEFORE)
    assert path.stat().st_ino in synced
    assert gates.restore(path) == BEFORE
