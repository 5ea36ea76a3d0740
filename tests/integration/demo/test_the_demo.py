"""`fieldpost demo` as a newcomer meets it: a process, a terminal or a pipe, and its end."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.support.eventually import SLOW, wait_until
from tests.support.parts import require

COMMAND = [sys.executable, "-m", "gateway.cli", "demo"]


def _children(pid):
    """Pids of all processes below `pid`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            child = int(stat.parent.name)
            found += [child, *_children(child)]
    return found


def _alive(pids):
    alive = []
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                alive.append(pid)
        except OSError:
            continue
    return alive


def _end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def demo(tmp_path):
    """Starts a demo whose temporary folder is the test's."""
    require("mosquitto")
    started = []

    def start(*words, **options):
        env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen([*COMMAND, *words], env=env, text=True, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        _end(process)
        if process.stdout:
            process.stdout.close()


def _lines_until(process, pattern, within=60):
    """Lines up to the first that matches."""
    end = time.monotonic() + within * SLOW
    seen = []
    while time.monotonic() < end:
        line = process.stdout.readline()
        if not line:
            break
        seen.append(line)
        if re.search(pattern, line):
            return seen
    raise AssertionError(f"no line like {pattern!r} in:\n{''.join(seen)}")


def test_fl_69_one_command_without_an_account_shows_live_values_of_all_devices(demo, tmp_path):
    """FL-69: ten steps to the first value elsewhere; here one command, no cloud account, no password."""
    process = demo("--for", "5s", stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    text = "".join(_lines_until(process, r"consumer at the broker has [1-9]\d* readings, 0 missing"))
    assert "live after" in text
    for device, words in {
        "meter": "power .* W",
        "inverter": "state",
        "pump": "speed .* rpm",
        "tank": "level .* %",
    }.items():
        assert re.search(rf"{device}: .*{words}", text), device
    if "local online" not in text:  # the first lines may have been looked up while it connected
        text += "".join(_lines_until(process, "local online"))
    assert "local online" in text
    assert process.wait(60) == 0
    assert list(tmp_path.glob("fieldpost-demo-*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it(demo, tmp_path, number):
    process = demo(stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    _lines_until(process, "live after")
    children = _children(process.pid)
    assert len(children) >= 3
    process.send_signal(number)
    assert process.wait(60) == 0
    assert _alive(children) == []
    assert list(tmp_path.glob("fieldpost-demo-*")) == []


def test_a_signal_while_it_starts_ends_all_of_it(demo, tmp_path):
    process = demo(stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    wait_until(lambda: _children(process.pid), within=30)
    children = _children(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    wait_until(lambda: not _alive(children), within=20)
    assert list(tmp_path.glob("fieldpost-demo-*")) == []


def test_a_killed_demo_leaves_no_process_behind(demo):
    process = demo(stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    _lines_until(process, "live after")
    children = _children(process.pid)
    assert len(children) >= 3
    process.kill()
    process.wait(10)
    wait_until(lambda: not _alive(children), within=40, why=lambda: f"still there: {_alive(children)}")


def test_a_part_that_dies_ends_the_demo_with_its_last_words(demo):
    process = demo(stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    _lines_until(process, "live after")
    plant = next(
        pid for pid in _children(process.pid) if b"gateway.demo.plant" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(plant, signal.SIGKILL)
    assert process.wait(60) == 1
    error = process.stderr.read()
    process.stderr.close()
    assert "the plant ended" in error
    assert error.count("\n") == 1


def test_a_reader_that_leaves_ends_the_demo_without_a_word(demo):
    process = demo(stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    _lines_until(process, "live after")
    children = _children(process.pid)
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr.read() == ""
    process.stderr.close()
    assert _alive(children) == []


def test_json_is_an_object_a_line(demo):
    process = demo("--json", "--for", "3s", stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    first = json.loads(process.stdout.readline())
    assert first["status"]["ready"] is True
    assert {row["device"] for row in first["tags"]} == {"meter", "inverter", "pump", "tank"}
    assert all(row["quality"] == "good" for row in first["tags"])


def test_on_a_terminal_keys_stop_the_broker_write_to_the_pump_and_quit(demo):
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (34, 104))
    painted = []

    def shows(text):
        def look():
            os.set_blocking(here, False)
            with contextlib.suppress(BlockingIOError):
                painted.append(os.read(here, 1 << 16).decode(errors="replace"))
            return text in "".join(painted[-50:])

        wait_until(look, within=40, why=lambda: f"{text!r} in {''.join(painted)[-3000:]!r}")
        painted.clear()

    process = demo(stdin=there, stdout=there, stderr=there)
    os.close(there)
    try:
        shows("4 of 4 devices online")
        os.write(here, b"b")
        shows("STOPPED")
        os.write(here, b"p")
        shows("wrote pump.run: ok, read back false")
        os.write(here, b"b")
        shows("local online")
        shows(" 0 missing")
        os.write(here, b"q")
        shows("\x1b[?1049l")
        assert process.wait(60) == 0
    finally:
        os.close(here)
