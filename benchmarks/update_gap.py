"""The longest time between two polls of a device while the gateway is updated, as the device sees it: an installed
gateway under a real systemd, releases of this tree that are staged, tried and kept. Needs root and systemd-nspawn.
"""

import tempfile
from pathlib import Path

from benchmarks.report import Row, at_most, main
from tests.support.eventually import wait_until
from tests.support.plant import Plant
from tests.support.processes import Processes
from tests.support.releases import Releases
from tests.system.updated import Site, boot

UPDATES = 3
LINES = 2


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        work = Path(folder)
        releases, processes = Releases(work / "releases"), Processes(work)
        container = boot(processes, work, releases)
        try:
            plant = Plant(processes, [[1]] * LINES)
            site = Site(container, releases, plant)
            site.start({})
            gaps = [_update(site, f"3.{number}.0") for number in range(UPDATES)]
        finally:
            container.close()
            processes.end_all()
    spread = f"{UPDATES} updates, devices polled each 0.25 s: {', '.join(f'{gap:.1f}' for gap in sorted(gaps))} s"
    return [at_most("update: longest time between two polls", max(gaps), 5, "s", spread)]


def _update(site: Site, version: str) -> float:
    """One update; the gap that it made."""
    site.plant.watch_gaps()
    site.send(version)
    wait_until(lambda: site.ota("status")["good"].startswith(version), 120, every=0.5, why=site.said)
    site.runs(version)
    return max(site.plant.longest_gaps().values())


if __name__ == "__main__":
    main(measure)
