"""The state's file: framed, with a copy; damage is seen, whatever byte it is in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slots.disk import RESERVE
from slots.places import Places
from slots.state import FORMAT, Probation, State, Trial, load, read, write, write_floors

TRIAL = Trial("1.2-b", "j", 3, 2, 600, 4711, "boot-1", soak_s=120, rollback_index=4)
FULL = State(
    good="1.1-a", prev="1.0-a", trial=TRIAL, probation=Probation(5, "boot-0", 1, 2, 3), bad=["0.9-z"],
    result={"job": "i", "outcome": "FAILED"}, last_jobs=[{"job": "i", "outcome": "FAILED"}], floors={"root": 1},
)  # fmt: skip


@pytest.fixture
def places(tmp_path):
    return Places(str(tmp_path))


def test_what_is_written_is_read(places):
    written = write(places, FULL, "test")
    assert read(places.state) == written
    assert written.seq == FULL.seq + 1
    frame = json.loads(places.state.read_text())
    assert set(frame) == {"sha256", "body"}
    assert frame["body"]["phase"] == "TRIAL"


def test_the_copy_is_the_state_before(places):
    first = write(places, State(good="1.0-a"), "test")
    second = write(places, State(good="1.1-a", seq=first.seq), "test")
    assert read(places.state) == second
    assert read(places.state.with_name("state.json.bak")) == first
    assert sorted(path.name for path in places.state.parent.iterdir()) == ["reserve", "state.json", "state.json.bak"]


def test_a_damaged_state_does_not_become_the_copy(places):
    first = write(places, State(good="1.0-a"), "test")
    write(places, State(good="1.1-a"), "test")
    places.state.write_bytes(b"{")
    write(places, State(good="1.2-a"), "test")
    assert read(places.state.with_name("state.json.bak")) == first


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A state with the one before it as its copy."""
    made = Places(str(tmp_path_factory.mktemp("damage")))
    write(made, State(good="1.0-a"), "test")
    write(made, FULL, "test")
    return made, made.state.read_bytes()


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_can_flip_unseen(written, at, bit):
    places, raw = written[0], bytearray(written[1])
    raw[at % len(raw)] ^= 1 << bit
    places.state.write_bytes(raw)
    loaded = load(places)
    assert (loaded.source, loaded.state.good) in {("backup", "1.0-a"), ("state", "1.1-a")}
    if loaded.source == "state":  # a space became another character that JSON does not look at
        assert loaded.state.trial == TRIAL


@given(st.integers(0, 10_000))
def test_no_cut_is_taken_for_a_state(written, length):
    places, raw = written[0], written[1].rstrip()
    places.state.write_bytes(raw[: length % len(raw)])
    assert load(places).state.good == "1.0-a"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"sha256": 1, "body": []}', b"\xff\xfe", b"9" * 2_000_000])
def test_what_is_no_state_is_refused_in_words(places, raw):
    places.state.parent.mkdir(parents=True)
    places.state.write_bytes(raw)
    with pytest.raises(ValueError, match=r"."):
        read(places.state)
    assert load(places).source == "nothing"


def test_a_link_in_its_place_is_not_followed(places, tmp_path):
    write(places, FULL, "test")
    places.state.rename(tmp_path / "elsewhere")
    places.state.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        read(places.state)


def test_what_a_later_release_added_is_passed_over(places, tmp_path):
    import hashlib

    write(places, FULL, "test")
    body = json.loads(places.state.read_text())["body"]
    body["trial"]["colour"] = "green"
    body["news"] = 1
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    places.state.write_text(json.dumps({"sha256": digest, "body": body}))
    assert read(places.state).trial == TRIAL
    body["format"] = FORMAT + 1
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    places.state.write_text(json.dumps({"sha256": digest, "body": body}))
    with pytest.raises(ValueError, match="of format 2"):
        read(places.state)


def test_the_floors_come_from_whichever_copy_is_higher(places):
    write_floors(places, State(floors={"root": 9, "targets": 1}))
    write(places, State(good="1.0-a", floors={"root": 2, "targets": 5}), "test")
    floors = load(places).state.floors
    assert (floors["root"], floors["targets"]) == (9, 5)


@pytest.mark.parametrize("raw", ["", "[1]", '{"root": "x"}'])
def test_damaged_floors_are_no_floors(places, raw):
    places.floors.parent.mkdir(parents=True)
    places.floors.write_text(raw)
    write(places, State(good="1.0-a", floors={"root": 2}), "test")
    assert load(places).state.floors["root"] == 2


def test_bytes_are_kept_for_a_full_disk(places):
    write(places, State(), "test")
    assert places.reserve.stat().st_size == RESERVE
