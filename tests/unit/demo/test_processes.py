"""Children of the demo end with it, also when nothing of it could run any more."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.demo import broker as broker_module
from gateway.demo.broker import NoBroker, find_broker
from gateway.demo.processes import CONFIG, spawn
from gateway.demo.stage import _remove_left_overs
from tests.support.eventually import wait_until

SLEEPER = [sys.executable, "-c", "import signal, time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
PARENT = """
import asyncio, json, sys
from pathlib import Path
from gateway.demo.processes import spawn

async def main():
    child = await spawn("child", json.loads(sys.argv[1]), Path(sys.argv[2]), stdout=True)
    await child.first_line(20)
    print(child.process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_child_is_asked_to_end_and_its_output_kept(tmp_path):
    child = await spawn(
        "child", [sys.executable, "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)"], tmp_path
    )
    await child.process.wait()
    assert not child.running
    assert child.tail() == "why"
    await child.end(1)


async def test_a_child_that_does_not_listen_is_ended_all_the_same(tmp_path):
    child = await spawn("child", STUBBORN, tmp_path, stdout=True)
    assert await child.first_line(20) == "up\n"
    await child.end(0.05)
    assert child.process.returncode == -signal.SIGKILL


async def test_a_child_is_not_in_the_terminal_s_group(tmp_path):
    child = await spawn("child", SLEEPER, tmp_path, stdout=True)
    await child.first_line(20)
    assert os.getsid(child.process.pid) == child.process.pid
    await child.end(5)


async def test_a_configuration_reaches_a_child_that_may_not_see_our_folder(tmp_path):
    tmp_path.chmod(0o700)
    user = "nobody" if os.geteuid() == 0 else None
    child = await spawn("child", ["cat", CONFIG], tmp_path, config="listener 1\n", user=user, stdout=True)
    assert await child.first_line(20) == "listener 1\n"
    assert await child.process.wait() == 0


def test_when_the_parent_is_killed_the_kernel_ends_the_child(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, json.dumps(SLEEPER), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        assert _alive(pid)
        parent.kill()
    wait_until(lambda: not _alive(pid), within=20)


def test_mosquitto_is_told_to_listen_on_loopback_only(monkeypatch):
    monkeypatch.setattr(broker_module.shutil, "which", lambda *_args, **_kw: "/usr/sbin/mosquitto")
    broker = find_broker(1883)
    assert broker.name == "mosquitto"
    assert "listener 1883 127.0.0.1" in broker.config


def test_without_mosquitto_the_extra_is_used_and_without_both_one_is_told(monkeypatch):
    monkeypatch.setattr(broker_module.shutil, "which", lambda *_args, **_kw: None)
    monkeypatch.setattr(broker_module.importlib.util, "find_spec", lambda _name: object())
    assert find_broker(1883).name == "amqtt"
    monkeypatch.setattr(broker_module.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(NoBroker, match=r"apt install mosquitto.*fieldpost\[demo\]"):
        find_broker(1883)


def test_folders_of_killed_demos_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (f"fieldpost-demo-{gone.pid}-a", f"fieldpost-demo-{os.getpid()}-b", "fieldpost-demo-x", "other"):
        (tmp_path / name).mkdir()
    _remove_left_overs()
    assert {path.name for path in tmp_path.iterdir()} == {
        f"fieldpost-demo-{os.getpid()}-b",
        "fieldpost-demo-x",
        "other",
    }


async def test_amqtt_takes_a_connection(tmp_path):
    from tests.support.parts import require
    from tests.support.ports import free_port

    require("amqtt")
    port = free_port()
    child = await spawn("broker", [sys.executable, "-m", "gateway.demo.amqtt_broker", str(port)], tmp_path)
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    assert child.running, child.tail()
                    await asyncio.sleep(0.05)
                else:
                    break
            # MQTT 3.1.1 section 3.1: CONNECT, clean session, keep-alive 60 s, client id "t"
            writer.write(bytes.fromhex("100d00044d5154540402003c000174"))
            assert await reader.readexactly(4) == bytes.fromhex("20020000")
            writer.close()
            # the same with level 5 and no properties: told in MQTT 5's words (3.2.2.2) that this version is unknown
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(bytes.fromhex("100e00044d5154540502003c00000174"))
            assert await reader.read() == bytes.fromhex("2003008400")
            writer.close()
    finally:
        await child.end(10)
    assert child.process.returncode == 0, child.tail()
