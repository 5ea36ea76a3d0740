"""Configurations sent from afar to a gateway of a scene: its own folder as a tree, changed in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.support.eventually import wait_until
from tests.support.job_cloud import JobCloud
from tests.support.scene import Scene

QUICK = "apply: {uplinks: 3s, channels: 3s, rules: 2s, hold: 1s}\n"
"""Times for tests: what has to be up again is so within seconds."""


class Sender:
    """Whoever sends trees to a scene's gateway."""

    def __init__(self, scene: Scene, cloud: JobCloud) -> None:
        self.scene = scene
        self.cloud = cloud
        self.base = tree(scene)

    def changed(self, file: str, old: str, new: str) -> dict[str, str]:
        """The tree of the folder with one text changed."""
        assert old in self.base[file], self.base[file]
        return {**self.base, file: self.base[file].replace(old, new)}

    def send(self, id_: str, rev: int, files: dict[str, str]) -> None:
        self.cloud.put(id_, "config", {"rev": rev, "tree": files})

    def end(self, id_: str, rev: int, files: dict[str, str], within: float = 60) -> dict[str, Any]:
        """Send, and wait for how it ended."""
        self.send(id_, rev, files)
        return self.cloud.end(id_, within)

    def config(self) -> dict[str, Any]:
        """What `fieldpost status` says of the configuration."""
        return dict(self.scene.gateway.status()["config"])

    def wait_online(self) -> None:
        status = self.scene.gateway.status
        wait_until(lambda: status()["uplinks"]["cloud"]["state"] == "online", 30, every=0.1, why="the uplink is up")


def tree(scene: Scene) -> dict[str, str]:
    """The configuration folder as a job carries it."""
    root = scene.gateway.config
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*.yaml"))}


@contextmanager
def sender(scene: Scene, times: str = QUICK, env: Mapping[str, str] | None = None) -> Iterator[Sender]:
    """Give the scene's gateway short times, start it, and stand ready to send."""
    main = scene.gateway.config / "gateway.yaml"
    main.write_text(main.read_text() + times)
    scene.gateway.start(env=env)
    cloud = JobCloud(scene.broker.port)
    try:
        made = Sender(scene, cloud)
        made.wait_online()
        yield made
    finally:
        cloud.close()
