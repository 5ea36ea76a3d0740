"""Where everything lies. A root other than `/` is an image, or a test."""

from __future__ import annotations

from pathlib import Path


class Places:
    """All paths below one root."""

    def __init__(self, root: str = "/") -> None:
        base = Path(root)
        self.releases = base / "opt/fieldpost/releases"
        self.wheels = base / "opt/fieldpost/wheels"
        self.current = base / "opt/fieldpost/current"
        self.state = base / "opt/fieldpost/state/state.json"
        self.lock = base / "opt/fieldpost/state/lock"
        self.updating = base / "opt/fieldpost/state/updating"
        self.reserve = base / "opt/fieldpost/state/reserve"
        self.floors = base / "var/lib/fieldpost-floor/floors.json"
        self.selected = base / "run/fieldpost-slot/selected"
        self.boot = base / "run/fieldpost-slot/boot"
        self.watch = base / "run/fieldpost-slot/watch"
        self.confirm = base / "run/fieldpost/confirm"

    def slot(self, name: str) -> Path:
        """The folder of a slot. Raises ValueError for a name that leaves the folder of releases."""
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise ValueError(f"`{name}` is no name of a slot")
        return self.releases / name

    def python(self, name: str) -> Path:
        """The interpreter of a slot."""
        return self.slot(name) / "venv/bin/python3"
