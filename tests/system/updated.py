"""An installed gateway that polls a plant, and is updated: what the tests of updates under a real systemd share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support import counting
from tests.support.eventually import wait_until
from tests.support.plant import Plant
from tests.support.processes import Processes
from tests.support.releases import Releases
from tests.system import installed
from tests.system.container import Container

FIELDPOST = "/opt/fieldpost/current/venv/bin/fieldpost"
HEALTH = {"confirm_s": 60, "soak_s": 2, "tries": 3}
REGISTERS = 5

EXITS = "os._exit(3)"
HANGS = "__import__('time').sleep(3600)"
LOSES_A_CHANNEL = (
    "import gateway.runtime.channels as c; start = c.Channels.start;"
    " c.Channels.start = lambda self, spec, *more: spec.id == 'line01' or start(self, spec, *more)"
)
LOSES_ITS_UPLINK = "import gateway.runtime.uplinks as u; u.Uplinks.start = lambda self, settings: None"
NEVER_CONFIRMS = "import gateway.runtime.updating as u; u.Updating._follow = lambda *_: __import__('asyncio').sleep(0)"
CRASHES_ONCE_CONFIRMED = (
    "import threading, time; mark = Path(sys.prefix).parent / '.confirmed';"
    " threading.Thread(target=lambda: ([time.sleep(0.3) for _ in iter(mark.exists, True)], time.sleep(1.5),"
    " os._exit(9)), daemon=True).start()"
)

CONFINED = (
    "import os, socket; status = dict(line.split(':', 1) for line in open('/proc/self/status'));"
    " found = [os.getuid() == os.stat(state).st_uid != 0, os.getgroups(), *(int(status[name], 16) for name in"
    " ('CapEff', 'CapPrm', 'CapInh')), *(os.access(path, os.W_OK) for path in (sys.prefix, state, config, '/tmp/..')),"
    " *(os.access(path, os.R_OK) for path in (state, config)), socket.has_dualstack_ipv6()];"
    " assert found == [True, [], 0, 0, 0, False, False, False, False, True, True, False], found"
)
"""A self-test that sees what it may: the gateway's user, who reads the configuration and can do nothing else."""


def boot(processes: Processes, work: Path, releases: Releases) -> Container:
    """An installed gateway that trusts `releases`, with a trial timer and a start timeout of seconds."""
    made = installed.boot(processes)
    timer = "[Timer]\nOnActiveSec=3\nOnUnitActiveSec=3\nAccuracySec=1s\n"
    made.write("/etc/systemd/system/fieldpost-trial.timer.d/test.conf", timer)
    made.write("/etc/systemd/system/fieldpost.service.d/test.conf", "[Service]\nTimeoutStartSec=10\n")
    made.run("systemctl", "daemon-reload")
    root = work / "root.json"
    root.write_bytes(releases.publisher.factory_root)
    made.put(root, "/usr/share/fieldpost/tuf/root.json")
    return made


def job_of(version: str) -> str:
    return "to-" + version.replace(".", "-")


class Site:
    """One installed gateway and its plant."""

    def __init__(self, container: Container, releases: Releases, plant: Plant) -> None:
        self.container, self.releases, self.plant = container, releases, plant

    def start(self, main: Mapping[str, Any]) -> None:
        """Begin with an empty state, as whatever version the test before has left."""
        run, write = self.container.run, self.container.write
        run("systemctl", "stop", "fieldpost", check=False)
        run("/bin/sh", "-c", "rm -rf /var/lib/fieldpost/* /etc/fieldpost/*", check=False)
        run("systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/fieldpost.conf")
        whole = {"gateway": {"id": "gw"}, "store": {"path": "/var/lib/fieldpost"}, "uplinks": {}, **main}
        write("/etc/fieldpost/gateway.yaml", yaml.safe_dump(whole))
        write("/etc/fieldpost/profiles/counter.yaml", yaml.safe_dump(counting.profile(REGISTERS)))
        for line in range(len(self.plant.lines)):
            content = yaml.safe_dump(counting.channel(self.plant, line, interval="250ms"))
            write(f"/etc/fieldpost/channels/line{line:02d}.yaml", content)
        run("/bin/sh", "-c", "chown -R root:fieldpost /etc/fieldpost && chmod -R g=rX /etc/fieldpost")
        self.forget_starts()
        run("systemctl", "restart", "fieldpost")
        wait_until(lambda: all(one["state"] == "online" for one in self.status()["channels"].values()), 30, every=0.3)

    def forget_starts(self) -> None:
        """Several updates within ten minutes are no failure of the service."""
        self.container.run("systemctl", "reset-failed", "fieldpost", check=False)

    def send(self, version: str, fault: str = "", selftest: str = "", **health: int) -> None:
        """Have a release installed; returns at once."""
        self.install(self.releases.make(version, fault, selftest, **{**HEALTH, **health}), version)

    def install(self, bundle: Path, version: str) -> None:
        """Have a bundle installed; returns at once."""
        self.forget_starts()
        self.container.put(bundle, "/root/release.fpb")
        self.container.run(FIELDPOST, "ota", "install", "/root/release.fpb", "--job", job_of(version), "--no-wait")

    def status(self) -> Any:
        return json.loads(self.container.run(FIELDPOST, "status", "--json"))

    def ota(self, action: str) -> Any:
        return json.loads(self.container.run(FIELDPOST, "ota", action, "--json"))

    def ended(self, version: str) -> dict[str, Any]:
        """How the job of a version ended."""

        def row() -> dict[str, Any] | None:
            jobs = self.ota("history")["jobs"]
            return next((job for job in jobs if job["job"] == job_of(version)), None)

        return wait_until(row, 150, every=0.5, why=self.said)

    def event(self, version: str) -> dict[str, Any]:
        """The last entry of the journal on how the job of a version ended."""

        def entry() -> dict[str, Any] | None:
            words = ("journal", "--stream", "event", "--limit", "200", "--json")
            entries = json.loads(self.container.run(FIELDPOST, *words, check=False) or "{}").get("entries", [])
            mine = [one for one in entries if one.get("kind") == "job" and one.get("job") == job_of(version)]
            return mine[-1] if mine else None

        return wait_until(entry, 60, every=0.5, why=self.said)

    def runs(self, version: str) -> None:
        """Wait until a version runs for good, and polls."""

        def there() -> bool:
            shown = self.ota("status")
            return shown["running"].startswith(version) and shown["good"].startswith(version)

        wait_until(there, 90, every=0.5, why=self.said)
        polls = self.plant.counts()
        wait_until(lambda: all(count > polls[unit] + 2 for unit, count in self.plant.counts().items()), 30)

    def said(self) -> str:
        units = [
            word for name in ("", "-update", "-confirm", "-trial", "-fallback") for word in ("-u", f"fieldpost{name}")
        ]
        state = self.container.run("cat", "/opt/fieldpost/state/state.json", check=False)
        return state + self.container.run("journalctl", *units, "--no-pager", "-n", "60", check=False)
