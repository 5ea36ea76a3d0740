"""What a person tells `fieldpost simulate`: wrong words are refused in one line, and leftovers are not in the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.eventually import wait_until
from tests.support.gateway import FIELDPOST
from tests.support.simulated import Simulated

PROFILE = "meter: {tags: {x: {address: holding/0, type: uint16}}}\n"


@pytest.fixture
def profile(tmp_path: Path) -> str:
    (tmp_path / "meter.yaml").write_text(PROFILE)
    return str(tmp_path / "meter.yaml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{}", "--port", "99999"), "0 to 65535"),
        (("{}", "--unit", "0-500"), "up to 255"),
        (("{}", "--unit", "5-1"), "no unit"),
        (("{}", "--name", "pump"), "the file has no profile pump, but meter"),
        (("{}", "--pty", "--rtu", "--port", "5"), "--port, --rtu and --pty"),
        (("{}", "--fault", "slow 450ms every 0"), "is no fault"),
        (("nosuch",), "eastron_sdm120"),
        (("eastron_sdm120", "--name", "pump"), "--name is of a .yaml file"),
    ],
    ids=str,
)
def test_words_that_cannot_be_are_wrong_usage(tmp_path, profile, words, said):
    argv = [str(FIELDPOST), "simulate", *(word.replace("{}", profile) for word in words)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 2, done
    assert said in done.stderr.splitlines()[-1]
    assert "this is a bug" not in done.stderr


def test_the_link_of_a_killed_simulator_is_taken_over_and_nothing_else_is(processes, tmp_path, profile):
    link = tmp_path / "line"
    first = Simulated(processes, tmp_path, profile, "--pty", str(link), name="first")
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    assert link.is_symlink()
    second = Simulated(processes, tmp_path, profile, "--pty", str(link), name="second")
    argv = [str(FIELDPOST), "simulate", profile, "--pty", str(link)]
    third = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (third.returncode, third.stderr) == (1, f"fieldpost: {link}: there is a file of that name\n")
    assert link.exists(), "the link of the second one"
    os.kill(second.process.pid, signal.SIGTERM)
    second.process.wait()
    assert not link.is_symlink()


def test_words_come_from_a_file_too_and_programs_get_objects(tmp_path, profile):
    (tmp_path / "words").write_text("fault silence\nshow\n")
    argv = [str(FIELDPOST), "simulate", profile, "--json"]
    with (tmp_path / "words").open() as words, (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(argv, stdin=words, stdout=said)
    try:
        wait_until(lambda: (tmp_path / "said").read_text().count("\n") == 4, 30, why="four lines")
    finally:
        process.terminate()
        process.wait(30)
    lines = [json.loads(line)["text"] for line in (tmp_path / "said").read_text().splitlines()]
    assert lines[1].startswith("in a channel: url: ")
    assert lines[2] == "faults: silence"


def test_a_channel_file_is_told_for_what_it_is(tmp_path):
    file = tmp_path / "line.yaml"
    file.write_text(
        "driver: modbus\nurl: tcp://192.0.2.1\ndevices: {d: {unit_id: 1, tags: {x: {address: holding/0}}}}\n"
    )
    words = [FIELDPOST, "simulate", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "line.yaml is a channel: simulate serves a profile" in done.stderr
