"""A fresh Debian under a real systemd on which nothing of ours is installed, and what a person does at it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.arm.guest import Guest
from tests.support import counting
from tests.support.eventually import wait_until
from tests.support.plant import Plant
from tests.support.processes import ROOT, Processes
from tests.system import installed
from tests.system.container import Container


class Machine:
    """`container` is booted; the installer lies in its /media/systemd, other files that a test brings beside it."""

    def __init__(self, container: Container | Guest) -> None:
        self.container = container

    def run(self, *argv: str, check: bool = True) -> str:
        return self.container.run(*argv, check=check)

    def offline(self, *argv: str, check: bool = True) -> str:
        """A command that sees no network at all."""
        return self.run("unshare", "--net", "--", *argv, check=check)

    def install(self, *words: str, check: bool = True) -> str:
        return self.offline("/media/systemd/install.sh", *words, check=check)

    def asked(self, *words: str) -> Any:
        return json.loads(self.run("fieldpost", *words, "--json"))

    def configure(self, plant: Plant, **main: Any) -> None:
        """The configuration of a counting plant, as an operator leaves it."""
        self.run("/bin/sh", "-c", "rm -rf /etc/fieldpost/*")
        whole = {"gateway": {"id": "gw"}, "store": {"path": "/var/lib/fieldpost"}, "uplinks": {}, **main}
        self.container.write("/etc/fieldpost/gateway.yaml", yaml.safe_dump(whole))
        self.container.write("/etc/fieldpost/profiles/counter.yaml", yaml.safe_dump(counting.profile(5)))
        for line in range(len(plant.lines)):
            content = yaml.safe_dump(counting.channel(plant, line, interval="250ms"))
            self.container.write(f"/etc/fieldpost/channels/line{line:02d}.yaml", content)
        self.run("/bin/sh", "-c", "chown -R root:fieldpost /etc/fieldpost && chmod -R g=rX,o= /etc/fieldpost")

    def polls(self, plant: Plant, more: int = 3) -> None:
        start = plant.counts()
        wait_until(
            lambda: all(count >= start[unit] + more for unit, count in plant.counts().items()), 60, every=0.1,
            why=lambda: self.run("journalctl", "-u", "fieldpost", "-n", "40", "--no-pager", check=False),
        )  # fmt: skip

    def state(self, unit: str = "fieldpost") -> str:
        return self.container.show(unit, "ActiveState")

    def found(self) -> list[str]:
        """Whatever of ours lies on the machine."""
        said = self.run("/bin/sh", "-c", "find / -xdev -name '*fieldpost*' -not -path '/media/*' | sort")
        return said.splitlines()

    def fingerprint(self) -> list[str]:
        """Of all files beside what the running gateway writes."""
        places = "/etc /usr /opt /var/lib/fieldpost-floor /var/lib/dpkg"
        listed = f"find {places} -not -type d -printf '%p %T@ %s %m %u %l\\n' 2>/dev/null | sort"
        return self.run("/bin/sh", "-c", listed).splitlines()


@contextmanager
def booted(processes: Processes, files: Sequence[Path] = ()) -> Iterator[Machine]:
    """`files` of the machine that runs the tests lie below /media/NAME."""
    binds = [f"{ROOT / 'systemd'}:/media/systemd", *(f"{path}:/media/{path.name}" for path in files)]
    machine = Machine(Container(processes, installed.rootfs(), binds))
    try:
        yield machine
    finally:
        machine.container.close()
