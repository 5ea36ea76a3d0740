"""The unit file under a real systemd: ready, watchdog, kills, restarts, sandbox, secrets, no network, a bad configuration."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import counting, parts
from tests.support.eventually import wait_until
from tests.support.job_cloud import JobCloud
from tests.support.mosquitto import Broker
from tests.support.plant import Plant
from tests.support.processes import ROOT, Processes
from tests.system import installed
from tests.system.container import Container

UNIT = ROOT / "systemd" / "fieldpost.service"
FIELDPOST = "/opt/fieldpost/current/venv/bin/fieldpost"
STUCK_DRIVER = """
import time
from pathlib import Path
from gateway.driver import Columns, DriverSpec, NoKeys, PollingDriver, Request
from gateway.model import Block

class Stuck(PollingDriver):
    async def connect(self, ctx): pass
    async def close(self): pass
    def plan(self, device, tags): return [Request(Block(device.id, [tag]), None, "") for tag in tags]
    async def read(self, request):
        hang = Path("/var/lib/fieldpost/hang")
        if hang.exists():
            hang.unlink()
            time.sleep(3600)
        return Columns([True])

SPEC = DriverSpec("stuck", NoKeys, NoKeys, NoKeys, create=Stuck)
"""
LOCAL_CHANNEL = """
driver: sim
devices:
  boiler:
    interval: 200ms
    tags:
      level: {type: float32, signal: sine, low: 3, high: 5}
      lamp: {type: bool, signal: constant, low: 0, access: rw}
"""
LOCAL_RULE = """
lamp:
  when: boiler.level > 1
  start: [{write: {boiler.lamp: true}}]
"""


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    processes = Processes(tmp_path_factory.mktemp("container"))
    made = installed.boot(processes)
    yield made
    made.close()
    processes.end_all()


@pytest.fixture
def service(container: Container, make_plant: Callable[..., Plant]) -> Iterator[tuple[Container, Plant]]:
    """The service with a configuration for a plant of two devices, enabled and started; an empty state."""
    plant = make_plant(2)
    container.run("/bin/sh", "-c", "rm -rf /var/lib/fieldpost/* /etc/fieldpost/*", check=False)
    main = {"gateway": {"id": "gw"}, "store": {"path": "/var/lib/fieldpost"}, "uplinks": {}}
    container.write("/etc/fieldpost/gateway.yaml", yaml.safe_dump(main))
    container.write("/etc/fieldpost/profiles/counter.yaml", yaml.safe_dump(counting.profile()))
    for line in range(2):
        content = yaml.safe_dump(counting.channel(plant, line, interval="500ms"))
        container.write(f"/etc/fieldpost/channels/line{line:02d}.yaml", content)
    container.run("chown", "-R", "fieldpost:fieldpost", "/etc/fieldpost")
    container.run("systemctl", "reset-failed", "fieldpost", check=False)
    container.run("systemctl", "enable", "--now", "fieldpost")
    yield container, plant
    container.run("systemctl", "stop", "fieldpost", check=False)


@contextlib.contextmanager
def _drop_in(container: Container, text: str) -> Iterator[None]:
    """Change the unit for a while, as `systemctl edit` does."""
    container.write("/etc/systemd/system/fieldpost.service.d/test.conf", text)
    container.run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        container.run("rm", "/etc/systemd/system/fieldpost.service.d/test.conf")
        container.run("systemctl", "daemon-reload")


def _asked(container: Container, *words: str) -> Any:
    return json.loads(container.run(FIELDPOST, *words, "--json"))


def _kill(container: Container) -> str:
    """SIGKILL; returns whom."""
    process = container.show("fieldpost", "MainPID")
    container.run("/bin/sh", "-c", f"kill -KILL {process}")
    return process


def _journal(container: Container) -> Any:
    return _asked(container, "journal")


def _polls(plant: Plant, more: int) -> None:
    start = plant.counts()
    wait_until(lambda: all(count >= start[unit] + more for unit, count in plant.counts().items()), 60, every=0.1)


def test_it_is_active_when_the_core_is_up_and_reads_devices(service: tuple[Container, Plant]) -> None:
    container, plant = service
    assert container.show("fieldpost", "ActiveState") == "active"
    assert container.show("fieldpost", "Type") == "notify"
    _polls(plant, 3)
    status = container.run(FIELDPOST, "status", "--config", "/etc/fieldpost", "--json")
    assert '"ready":true' in status.replace(" ", "")
    process = container.show("fieldpost", "MainPID")
    assert container.run("stat", "-c", "%U", f"/proc/{process}").strip() == "fieldpost"
    assert container.show("fieldpost", "NRestarts") == "0"


def test_a_frozen_process_is_replaced_and_the_store_goes_on(service: tuple[Container, Plant]) -> None:
    container, plant = service
    container.write("/etc/systemd/system/fieldpost.service.d/test.conf", "[Service]\nWatchdogSec=3\n")
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "restart", "fieldpost")
    _polls(plant, 3)
    first = container.show("fieldpost", "MainPID")
    container.run("/bin/sh", "-c", f"kill -STOP {first}")
    wait_until(lambda: container.show("fieldpost", "NRestarts") != "0", 60, every=0.3)
    wait_until(lambda: container.show("fieldpost", "ActiveState") == "active", 60, every=0.3)
    assert container.show("fieldpost", "MainPID") != first
    assert "Watchdog timeout" in container.run("journalctl", "-u", "fieldpost", "--no-pager")
    _polls(plant, 3)
    answer = container.run(FIELDPOST, "journal", "--config", "/etc/fieldpost", "--json")
    assert '"last":' in answer
    container.run("rm", "/etc/systemd/system/fieldpost.service.d/test.conf")
    container.run("systemctl", "daemon-reload")


def test_a_stop_is_clean(service: tuple[Container, Plant]) -> None:
    container, plant = service
    _polls(plant, 2)
    container.run("systemctl", "stop", "fieldpost")
    assert container.show("fieldpost", "Result") == "success"
    assert container.show("fieldpost", "ExecMainStatus") == "0"
    assert "Traceback" not in container.journal("fieldpost")


def test_a_job_restarts_the_service_once_and_tells_its_end(service: tuple[Container, Plant], broker: Broker) -> None:
    container, plant = service
    cloud = JobCloud(broker.port)
    uplink = {"urls": [broker.url], "jobs": ["restart"]}
    main = {"gateway": {"id": "gw"}, "store": {"path": "/var/lib/fieldpost"}, "uplinks": {"cloud": uplink}}
    container.write("/etc/fieldpost/gateway.yaml", yaml.safe_dump(main))
    container.run(FIELDPOST, "apply", "--config", "/etc/fieldpost")
    before = container.show("fieldpost", "MainPID")
    cloud.put("r1", "restart")
    assert cloud.end("r1", within=60)["detail"]["text"] == "started again"
    assert container.show("fieldpost", "NRestarts") == "1"
    assert container.show("fieldpost", "MainPID") != before
    _polls(plant, 3)
    container.run("systemctl", "restart", "fieldpost")  # it still stands there
    told = len(cloud.statuses["r1"])
    wait_until(lambda: len(cloud.statuses["r1"]) > told, 60, every=0.2)
    assert cloud.states("r1")[-1] == "succeeded"
    assert container.show("fieldpost", "NRestarts") == "0"  # counted since the start by hand
    assert "Traceback" not in container.journal("fieldpost")
    cloud.close()


def test_a_bad_configuration_without_an_older_one_is_not_tried_again(service: tuple[Container, Plant]) -> None:
    container, _ = service
    container.run("systemctl", "stop", "fieldpost")
    container.run("/bin/sh", "-c", "rm -rf /var/lib/fieldpost/*")
    container.write("/etc/fieldpost/channels/line00.yaml", "driver: modbus\nurl: [\n")
    container.run("systemctl", "start", "fieldpost", check=False)
    wait_until(lambda: container.show("fieldpost", "ExecMainStatus") == "78", 30, every=0.2)
    wait_until(lambda: container.show("fieldpost", "ActiveState") == "failed", 30, every=0.2)
    assert "channels/line00.yaml:" in container.journal("fieldpost")


def test_a_killed_process_is_replaced_and_its_streams_go_on(service: tuple[Container, Plant]) -> None:
    container, plant = service
    _polls(plant, 3)
    before = _journal(container)
    _kill(container)
    wait_until(lambda: container.show("fieldpost", "NRestarts") == "1", 30, every=0.3)
    wait_until(lambda: container.show("fieldpost", "ActiveState") == "active", 30, every=0.3)
    _polls(plant, 3)
    after = _journal(container)
    assert after["epoch"] == before["epoch"]
    assert after["streams"]["telemetry"]["last"] > before["streams"]["telemetry"]["last"] > 0


def test_a_loop_that_hangs_is_ended_by_the_watchdog_and_the_next_start_names_who_did_it(
    service: tuple[Container, Plant],
) -> None:
    container, plant = service
    container.write(f"{installed.LIBRARY}/stuck.py", STUCK_DRIVER)
    container.write(
        f"{installed.LIBRARY}/stuck-1.0.dist-info/entry_points.txt", "[fieldpost.drivers]\nstuck = stuck:SPEC\n"
    )
    container.write(
        f"{installed.LIBRARY}/stuck-1.0.dist-info/METADATA", "Metadata-Version: 2.4\nName: stuck\nVersion: 1.0\n"
    )
    container.write(
        "/etc/fieldpost/channels/stuck.yaml", "driver: stuck\ndevices: {one: {tags: {value: {type: bool}}}}\n"
    )
    container.run("chown", "-R", "fieldpost:fieldpost", "/etc/fieldpost")
    with _drop_in(container, "[Service]\nWatchdogSec=4\n"):
        container.run("/bin/sh", "-c", "rm -rf /var/lib/fieldpost/*")
        container.run("systemctl", "restart", "fieldpost")
        _polls(plant, 2)
        container.run("touch", "/var/lib/fieldpost/hang")
        wait_until(lambda: container.show("fieldpost", "NRestarts") == "1", 60, every=0.3)
        wait_until(lambda: container.show("fieldpost", "ActiveState") == "active", 60, every=0.3)
        assert "Watchdog timeout" in container.journal("fieldpost")
        _polls(plant, 3)
        issues = {(row["id"], row["entity"]) for row in _asked(container, "status")["issues"]}
        assert ("loop_blocked", "driver:stuck[stuck]") in issues
    container.run("/bin/sh", "-c", f"rm -rf {installed.LIBRARY}/stuck*")


def test_a_gateway_that_was_taken_over_can_change_nothing_and_run_nothing(service: tuple[Container, Plant]) -> None:
    """ExecStartPost= runs in the gateway's own sandbox, with its filters live."""
    container, _ = service
    container.put(ROOT / "tests/system/probe.py", "/usr/lib/probe.py")
    probe = "ExecStartPost=/bin/sh -c '/usr/bin/python3 -I /usr/lib/probe.py > /var/lib/fieldpost/probe.json'"
    with _drop_in(container, f"[Service]\n{probe}\n"):
        container.run("systemctl", "restart", "fieldpost")
        found = json.loads(container.run("cat", "/var/lib/fieldpost/probe.json"))
    assert set(found["writes"].values()) <= {"EROFS", "EACCES"}, found
    calls = ("mount", "namespace", "swap", "reboot", "clock", "packets", "writable_code", "own_program", "home")
    assert {name: found[name] for name in calls} == {
        "mount": "EPERM",
        "namespace": "EPERM",
        "swap": "EPERM",
        "reboot": "EPERM",
        "clock": "EPERM",
        "packets": "EAFNOSUPPORT",
        "writable_code": "EPERM",
        "own_program": "EACCES",
        "home": "EACCES",
    }
    assert (found["seccomp"], found["new_privileges"], int(found["bounding"], 16)) == ("2", "1", 0)
    main = container.run("cat", f"/proc/{container.show('fieldpost', 'MainPID')}/status")
    assert "Seccomp:\t2" in main
    assert "NoNewPrivs:\t1" in main


def test_without_any_network_it_polls_and_rules_run(service: tuple[Container, Plant]) -> None:
    """FL-53, under the service manager: not even an interface beside the loopback; the broker's name cannot be asked."""
    container, _ = service
    container.run("/bin/sh", "-c", "rm -rf /etc/fieldpost/channels/* /var/lib/fieldpost/*")
    main = {
        "gateway": {"id": "gw"},
        "store": {"path": "/var/lib/fieldpost"},
        "uplinks": {"cloud": {"urls": ["mqtt://broker.example:1883"]}},
    }
    container.write("/etc/fieldpost/gateway.yaml", yaml.safe_dump(main))
    container.write("/etc/fieldpost/channels/local.yaml", LOCAL_CHANNEL)
    container.write("/etc/fieldpost/rules/local.yaml", LOCAL_RULE)
    container.run("chown", "-R", "fieldpost:fieldpost", "/etc/fieldpost")
    with _drop_in(container, "[Service]\nPrivateNetwork=yes\n"):
        container.run("systemctl", "restart", "fieldpost")
        process = container.show("fieldpost", "MainPID")
        links = container.run("nsenter", "-t", process, "-n", "cat", "/proc/net/dev").splitlines()[2:]
        assert [line.split(":")[0].strip() for line in links] == ["lo"]

        def seen() -> bool:
            values = {row["tag"]: row["value"] for row in _asked(container, "tags")["tags"]}
            return values.get("level", 0) > 2 and values.get("lamp") is True

        wait_until(seen, 30, every=0.3, why=lambda: container.run(FIELDPOST, "tags", "--json", check=False))
    wants = container.show("fieldpost", "After") + container.show("fieldpost", "Wants")
    assert not {"network-online.target", "time-sync.target"} & set(wants.split()), "reached by no box without network"


def test_a_secret_that_systemd_loads_is_the_password_of_the_uplink(
    service: tuple[Container, Plant], make_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    container, _ = service
    passwords = tmp_path / "passwords"
    subprocess.run(
        [parts.command("mosquitto_passwd"), "-c", "-b", str(passwords), "gw", "hush"], check=True, timeout=20
    )
    passwords.chmod(0o644)
    broker = make_broker(extra=f"allow_anonymous false\npassword_file {passwords}")
    uplink = {"urls": [broker.url], "username": "gw", "password": "${credential:broker}"}
    main = {"gateway": {"id": "gw"}, "store": {"path": "/var/lib/fieldpost"}, "uplinks": {"cloud": uplink}}
    container.run("systemctl", "stop", "fieldpost")
    container.run("/bin/sh", "-c", "rm -rf /var/lib/fieldpost/*")
    container.write("/etc/fieldpost/gateway.yaml", yaml.safe_dump(main))
    container.run("chown", "-R", "fieldpost:fieldpost", "/etc/fieldpost")
    with _drop_in(container, "[Service]\nLoadCredential=broker:/etc/secret-of-the-broker\n"):
        container.run("systemctl", "restart", "fieldpost", check=False)
        assert "243/CREDENTIALS" in container.journal("fieldpost"), "no file, no start: it belongs into a drop-in"
        container.write("/etc/secret-of-the-broker", "hush\n")
        container.run("chmod", "0600", "/etc/secret-of-the-broker")  # of root: the gateway's user cannot read it there
        container.run("systemctl", "restart", "fieldpost")
        up = lambda: _asked(container, "status")["uplinks"]["cloud"]["state"] == "online"  # noqa: E731
        wait_until(up, 30, every=0.3, why=lambda: container.run(FIELDPOST, "status", "--json", check=False))
        environment = container.run("cat", f"/proc/{container.show('fieldpost', 'MainPID')}/environ")
        assert "hush" not in environment


def test_restarts_that_an_operator_wants_are_no_failure_however_many(service: tuple[Container, Plant]) -> None:
    container, plant = service
    before = container.show("fieldpost-fallback", "InactiveExitTimestampMonotonic")
    for _ in range(8):  # the start limit is six in ten minutes
        container.run("systemctl", "restart", "fieldpost")
    assert container.show("fieldpost", "ActiveState") == "active"
    assert container.show("fieldpost-fallback", "InactiveExitTimestampMonotonic") == before
    _polls(plant, 2)


def test_ends_that_nobody_wanted_are_counted_and_the_fallback_takes_over(service: tuple[Container, Plant]) -> None:
    container, _ = service
    with _drop_in(container, "[Service]\nRestartSec=100ms\n"):
        killed = 0
        while container.show("fieldpost", "ActiveState") != "failed":
            process = _kill(container)
            killed += 1
            assert killed <= 8, "the start limit is six"

            def over(process: str = process) -> bool:
                main = container.show("fieldpost", "MainPID")
                return main not in {process, "0"} or container.show("fieldpost", "ActiveState") == "failed"

            wait_until(over, 30, every=0.1)
        wait_until(lambda: container.show("fieldpost-fallback", "ActiveState") == "activating", 30, every=0.1)
        container.run("systemctl", "stop", "fieldpost-fallback")


def test_the_unit_has_no_unknown_key_and_little_exposure(tmp_path: Path) -> None:
    """`systemd-analyze verify` only warns about a misspelt key, and its status is 0: the output is what counts."""
    analyze = parts.command("systemd-analyze")
    good = tmp_path / "fieldpost.service"
    good.write_text("".join(_runnable(line) for line in UNIT.read_text().splitlines(keepends=True)))
    bad = tmp_path / "misspelt.service"
    bad.write_text(good.read_text().replace("ProtectHome=", "ProtectHum="))

    def verify(unit: Path) -> str:
        done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
        return "\n".join(line for line in (done.stdout + done.stderr).splitlines() if unit.name in line)

    newer = ("RestartSteps", "RestartMaxDelaySec")  # of systemd 254, ignored with this warning by older ones
    assert [line for line in verify(good).splitlines() if not any(key in line for key in newer)] == []
    assert "ProtectHum" in verify(bad)
    scored = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=25", str(good)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert scored.returncode == 0, scored.stdout[-500:] + scored.stderr


def _runnable(line: str) -> str:
    return re.sub(r"^(Exec\w+=)\+?/usr/lib/fieldpost/.*", r"\1/bin/true", line)
