"""FL-2: kill -9 at random points loses nothing that was acknowledged, and no number ever has two values."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.store.kit import everything, opened

KILLS = int(os.environ.get("FIELDPOST_KILLS", "3"))
"""Per seed; `make soak` asks for more."""


def _write_and_kill(path: Path, seed: int, lines: int) -> list[str]:
    """Let the writer run until it has printed `lines` lines, kill it, return all that it printed."""
    command = [sys.executable, "-m", "tests.unit.store.killed_writer", str(path), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        printed = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        printed.extend(writer.stdout.readlines())
    assert all(printed), "the writer ended by itself"
    return [line.strip() for line in printed if line.endswith("\n")]


@pytest.mark.parametrize("seed", range(3))
async def test_fl_2_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    sent: dict[tuple[int, int], int] = {}
    epochs = set()
    durable = 0
    for kill in range(KILLS):
        for line in _write_and_kill(tmp_path, 100 * seed + kill, rng.randrange(1, 60)):
            word, _, rest = line.partition(" ")
            if word == "durable":
                durable = max(durable, int(rest))
                continue
            epoch, first, values = rest.split(" ", 2)
            for i, value in enumerate(json.loads(values)):
                known = sent.setdefault((int(epoch), int(first) + i), value)
                assert known == value, f"seed {seed}: number {int(first) + i} has two values"
        store = opened(tmp_path)
        epochs.add(store.state.epoch)
        consumer = store.consumer("cloud")
        for segment in everything(consumer, limit=10_000):
            for i, value in enumerate(segment.values):
                known = sent.setdefault((segment.epoch, segment.first + i), value)
                assert known == value, f"seed {seed}: number {segment.first + i} has two values"
        assert sorted(n for _, n in sent) == list(range(1, store.state.next["telemetry"]))
        assert set(range(durable)) <= set(sent.values()), f"seed {seed}: an acknowledged reading is gone"
        assert [value for _, value in sorted(sent.items())] == list(range(len(sent)))
        assert list(consumer.gaps()) == []
        store.abandon()
    assert len(epochs) == 1
