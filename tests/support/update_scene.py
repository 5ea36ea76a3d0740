"""A gateway that runs from slots, a repository, a broker and somebody far away who sends jobs: all of an update."""

from __future__ import annotations

import datetime as dt
import sysconfig
import threading
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import yaml

from gateway.runtime.updating import LOOK_S
from tests.support import counting
from tests.support.eventually import wait_until
from tests.support.job_cloud import JobCloud
from tests.support.managed import Managed
from tests.support.mosquitto import Broker
from tests.support.plant import Plant
from tests.support.processes import ROOT, Processes
from tests.support.runnable import wheel
from tests.support.treeserver import TreeServer
from tests.unit.ota.publisher import Publisher

OLD = "1.1.0-aaaaaaaaaaaa"
_DRIVERS = "fieldpost.drivers"
_LIBRARIES = sysconfig.get_path("purelib")


def real_wheel(version: str, fault: str = "") -> bytes:
    """A wheel that leads to the code under test. `fault`: Python that runs before everything else in its slot, except
    for its self-test.
    """
    path = f"{ROOT}\nimport site; site.addsitedir({_LIBRARIES!r})\n"
    points = "\n".join(f"{one.name} = {one.value}" for one in entry_points(group=_DRIVERS))
    files = {"code.pth": path, f"fieldpost-{version}.dist-info/entry_points.txt": f"[{_DRIVERS}]\n{points}\n"}
    if fault:
        files["sitecustomize.py"] = f"import sys\nif 'gateway.ota.selftest' not in sys.orig_argv:\n    {fault}\n"
    return wheel("fieldpost", version, files)


class UpdateScene:
    """Reads two lines; `pump` is what systemd would do meanwhile."""

    def __init__(self, folder: Path, processes: Processes, plant: Plant, broker: Broker, server: TreeServer) -> None:
        self.publisher = Publisher(folder / "publisher")
        self.publisher.now = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        self.publisher.repository.refresh(self.publisher.signers)
        server.folder = self.publisher.folder / "repo"
        self.server, self.broker, self.plant = server, broker, plant
        self.machine = Managed(folder / "machine", processes)
        self.places = self.machine.places
        root = folder / "machine/usr/share/fieldpost/tuf/root.json"
        root.parent.mkdir(parents=True)
        root.write_bytes(self.publisher.factory_root)
        self.places.confirm.parent.mkdir(parents=True)
        self.home = folder / "machine/var/lib/fieldpost"
        self.request = self.home / "ota/request.json"
        self.machine.make_real(OLD)
        assert self.machine.run("adopt", OLD) == 0, self.machine.output
        self.cloud = JobCloud(broker.port)
        self.extra = "".join(f"{number:06d}" for number in range(50_000))
        self.updates = True
        self._seen: tuple[int, int] | None = None
        self._updater: threading.Thread | None = None

    def begin(self, **ota: Any) -> None:
        gateway = self.machine.gateway
        main = {
            "gateway": {"id": "gw"},
            "store": {"path": str(gateway.state)},
            "uplinks": {"cloud": {"urls": [self.broker.url]}},
            "ota": {"jitter": "0s", **ota},
        }
        gateway.write("gateway.yaml", yaml.safe_dump(main))
        gateway.write("profiles/counter.yaml", counting.profile(5))
        for line in range(2):
            gateway.write(f"channels/line{line:02d}.yaml", counting.channel(self.plant, line, interval="200ms"))
        self.machine.start()
        gateway.wait_ready()
        wait_until(lambda: gateway.status()["uplinks"]["cloud"]["state"] == "online", 30, every=0.2)

    def release(self, version: str, fault: str = "", **keys: Any) -> str:
        health = {"confirm_s": 60, "soak_s": 1, "tries": 3, **keys.pop("health", {})}
        wheels = {"fieldpost": real_wheel(version, fault), "extra": wheel("extra", "1.0", {"extra.txt": self.extra})}
        more = {"installed_size": 100_000, **keys}
        return self.publisher.release(version, wheels=wheels, health=health, **more).target

    def pump(self) -> None:
        """One look of the service manager."""
        self.machine.pump()
        updater = self._updater
        if updater is not None and not updater.is_alive():
            updater.join()
            self._updater = None
        try:
            stat = self.request.stat()
            now = (stat.st_ino, stat.st_mtime_ns)
        except FileNotFoundError:
            return
        if now != self._seen and self._updater is None and self.updates:
            self._seen = now
            self._updater = threading.Thread(target=self.machine.update, args=())
            self._updater.start()

    def until(self, condition: Any, within: float = 60) -> Any:
        def look() -> Any:
            self.pump()
            return condition()

        return wait_until(look, within, every=0.05, why=self.said)

    def end(self, job: str, within: float = 90) -> dict[str, Any]:
        final = {"succeeded", "failed", "rejected", "cancelled", "timed_out"}
        told = lambda: self.cloud.statuses.get(job, [{}])[-1]  # noqa: E731
        self.until(lambda: told().get("state") in final, within)
        return told()

    def steps(self, job: str) -> list[str]:
        """Repeats left out."""
        told = [status["step"] for status in self.cloud.statuses.get(job, [])]
        return [step for at, step in enumerate(told) if at == 0 or told[at - 1] != step]

    def told_ends(self) -> list[tuple[str, str]]:
        """(job, state) of ends in the journal, when the gateway has had the time to tell one twice."""
        time.sleep(2.5 * LOOK_S)
        entries = self.machine.gateway.ask("journal", "--stream", "event", "--limit", "1000")["entries"]
        ends = [(one["job"], one["state"]) for one in entries if one["kind"] == "job" and one["state"] != "in_progress"]
        return sorted(ends)

    def said(self) -> str:
        return f"{self.cloud.statuses}\n{self.machine.output[-2000:]}\n{self.machine.gateway.log()[-3000:]}"

    def close(self) -> None:
        if self._updater is not None:
            self._updater.join(60)
        self.cloud.close()
        self.machine.gateway.process.end()
        self.machine.gateway.close()
