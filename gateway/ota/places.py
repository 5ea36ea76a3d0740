"""Where a machine keeps releases, what it trusts, and what it was asked for. Another root is an image, or a test."""

from __future__ import annotations

import os
from pathlib import Path


class Places:
    """All paths below one root. What is below `/opt` belongs to root alone; `inbox` and `request` to the gateway."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self.base = root / "opt/fieldpost"
        self.releases = self.base / "releases"
        self.wheels = self.base / "wheels"
        self.cache = self.base / "tuf"
        self.state = self.base / "state/state.json"
        self.updating = self.base / "state/updating"
        self.waiver = self.base / "state/accepted.json"
        self.slotctl = root / "usr/lib/fieldpost/slotctl"
        self.factory_root = root / "usr/share/fieldpost/tuf/root.json"
        self.config = root / "etc/fieldpost"
        self.checks = self.config / "health.d"
        self.confirm = root / "run/fieldpost/confirm"
        self.home = root / "var/lib/fieldpost"
        self.inbox = self.home / "ota/inbox"
        self.config_fetched = self.home / "ota/config/fetched.json"
        self.request = self.home / "ota/request.json"
        self.baseline = self.home / "ota/baseline.json"


def kill_point(name: str) -> None:
    """Die here when OTA_KILL_AT names this point: what a power cut leaves is what the next run finds."""
    if os.environ.get("OTA_KILL_AT") == name:
        os.kill(os.getpid(), 9)
