"""A machine with an inbox and the updater, whose releases are small and signed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from gateway.ota.bundle import unpack
from gateway.ota.places import Places
from gateway.ota.slots import look
from tests.support.slots import SlotBox
from tests.unit.ota.publisher import Publisher

OLD = "1.1.0-aaaaaaaaaaaa"


class Site(SlotBox):
    """A machine on which OLD runs, with an inbox."""

    def __init__(self, root: Path, publisher: Publisher | None = None) -> None:
        super().__init__(root)
        self.at = Places(root)
        if publisher is None:
            return  # a copy
        self.install_slotctl()
        self.make(OLD, confirmed=True)
        assert self.run("adopt", OLD) == 0, self.output
        self.at.factory_root.parent.mkdir(parents=True)
        self.at.factory_root.write_bytes(publisher.factory_root)
        self.at.request.parent.mkdir(parents=True)

    def send(self, bundle: Path, job: str = "j1", **more: Any) -> None:
        shutil.rmtree(self.at.inbox, ignore_errors=True)
        unpack(bundle, self.at.inbox)
        self.ask({"job": job, **more})

    def ask(self, request: object) -> None:
        self.at.request.write_text(request if isinstance(request, str) else json.dumps(request))

    def copy(self, root: Path) -> Site:
        """Another machine like this one."""
        shutil.copytree(self.root, root, symlinks=True)
        return Site(root)

    def allow(self, *patterns: str) -> None:
        """What the operator wrote."""
        self.at.config.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"gateway": {"id": "gw"}, "ota": {"drivers": {"allow": patterns}}})
        (self.at.config / "gateway.yaml").write_text(text)

    def install(self, bundle: Path, job: str, **more: Any) -> str:
        """Have it staged, tried and kept; returns its slot."""
        self.send(bundle, job, **more)
        assert self.update() == 0, self.output
        assert self.run("boot") == 0, self.output
        assert self.run("keep") == 0, self.output
        return look(self.at).good

    def outcome(self, job: str = "j1") -> Any:
        found = look(self.at).job(job)
        return found and (found["outcome"], found["reason"])

    def untouched(self) -> bool:
        """The old version runs, and nothing lies about."""
        names = {path.name for path in self.at.releases.iterdir()}
        return names == {OLD} and look(self.at).phase == "IDLE" and not list(self.at.base.glob(".inbox-*"))
