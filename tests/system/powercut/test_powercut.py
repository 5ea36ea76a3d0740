"""Power cuts: every write of a journal writer is recorded; what a cut could have left is opened again.

A cut at a random event keeps everything before the last sync, every O_DSYNC write (LMDB's meta page), and a random half
of the other later writes, in 512-byte sectors. Not modelled: file sizes, renames, disks that lie about a flush.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.store.verify import verify_in_child
from tests.support.parts import command
from tests.unit.store.kit import everything, opened

HEADER = struct.Struct("<cHqI")
SECTOR = 512
CUTS = int(os.environ.get("FIELDPOST_CUTS", "40"))
SEED = int(os.environ.get("FIELDPOST_SEED", "1"))


class Event(NamedTuple):
    """W write, D durable write, T truncate, S sync, A acknowledged (offset = readings)."""

    kind: bytes
    offset: int
    data: bytes


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Event], int]:
    """The events of one writer, and its epoch."""
    work = tmp_path_factory.mktemp("powercut")
    shim = work / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([command("gcc"), "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    state, log = work / "state", work / "events.log"
    (state / "store" / "journal").mkdir(parents=True)
    log.write_bytes(b"")
    environment = dict(os.environ, LD_PRELOAD=str(shim), PC_DIR=str(state / "store" / "journal"), PC_LOG=str(log))
    writer = [sys.executable, "-m", "tests.system.powercut.writer", str(state)]
    subprocess.run(writer, env=environment, check=True, timeout=60)
    store = opened(state, max_bytes=1_100_000)
    epoch = store.state.epoch
    store.abandon()
    return _load(log), epoch


def _load(log: Path) -> list[Event]:
    raw = log.read_bytes()
    at, events = 0, []
    while at < len(raw):
        kind, name_size, offset, size = HEADER.unpack_from(raw, at)
        at += HEADER.size + name_size
        events.append(Event(kind, offset, raw[at : at + size]))
        at += size
    return events


def _image(events: list[Event], cut: int, dice: random.Random) -> bytes:
    last_sync = max((i for i in range(cut) if events[i].kind == b"S"), default=-1)
    image = bytearray()

    def write(offset: int, data: bytes) -> None:
        if len(image) < offset + len(data):
            image.extend(bytes(offset + len(data) - len(image)))
        image[offset : offset + len(data)] = data

    for i, event in enumerate(events[:cut]):
        if event.kind not in {b"W", b"D"}:
            continue
        if i < last_sync or event.kind == b"D":
            write(event.offset, event.data)
            continue
        for start in range(0, len(event.data), SECTOR):
            if dice.random() < 0.5:
                write(event.offset + start, event.data[start : start + SECTOR])
    return bytes(image)


async def test_a_power_cut_loses_nothing_that_was_acknowledged(
    recorded: tuple[list[Event], int], tmp_path: Path
) -> None:
    events, epoch = recorded
    dice = random.Random(SEED)
    first = next(i for i, event in enumerate(events) if event.kind == b"A")
    for number in range(CUTS):
        cut = dice.randrange(first + 1, len(events))
        durable = max(event.offset for event in events[:cut] if event.kind == b"A")
        state = tmp_path / str(number)
        (state / "store" / "journal").mkdir(parents=True)
        (state / "store" / "journal" / "data.mdb").write_bytes(_image(events, cut, dice))
        store = opened(state, max_bytes=1_100_000)
        where = f"seed {SEED}, cut {number} at event {cut}"
        assert not store.report.quarantined, where
        assert store.state.epoch == epoch, where
        assert store.state.next["telemetry"] - 1 >= durable, where
        consumer = store.consumer("cloud")
        for segment in everything(consumer, limit=10_000):
            assert segment.values == list(range(segment.first - 1, segment.last)), where
        held = {n for h in store.reader.headers("telemetry") for n in range(h.first, h.last + 1)}
        gaps = {
            n
            for gap in consumer.gaps()
            if gap.stream == "telemetry" and gap.first
            for n in range(gap.first, (gap.last or 0) + 1)
        }
        done = {n for low, high in consumer._done.get(("cloud", "telemetry", epoch), ()) for n in range(low, high + 1)}
        assert held | gaps | done >= set(range(1, durable + 1)), where
        store.abandon()


def test_the_replay_finds_damage_where_nothing_was_synced(recorded: tuple[list[Event], int], tmp_path: Path) -> None:
    """The same writes as if no sync had ever happened: the model must see that this is not safe."""
    events = [event for event in recorded[0] if event.kind != b"S"]
    dice = random.Random(SEED)
    verdicts = []
    for number in range(5):
        path = tmp_path / str(number)
        path.mkdir()
        (path / "data.mdb").write_bytes(_image(events, len(events) - dice.randrange(20), dice))
        verdicts.append(verify_in_child(path))
    assert any(not verdict.ok or verdict.damaged for verdict in verdicts)
