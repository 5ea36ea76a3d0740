"""Fetches a signed configuration: a part of `-m gateway.ota.fetch`, for targets below `configs/`.

Unlike a release, which the updater judges once more, a configuration is the gateway's own business: what its user
trusts of configurations (metadata, and the highest versions seen) is kept in its own folder. It is never below what the
updater trusts.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import msgspec
from msgspec.structs import replace

from gateway.atomic import replace_file
from gateway.ota.anchors import anchors
from gateway.ota.bringing import bring
from gateway.ota.configs import MOST_CONFIG, parse_tree
from gateway.ota.fetch import Recorder
from gateway.ota.files import regular
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused
from gateway.ota.slots import look
from gateway.ota.sources import Files
from gateway.ota.trust import Client, Floors, replace_cache

_MOST_FLOORS = 4096


class FetchConfig:
    """One target. `run` leaves it in `places.config_fetched`, proven."""

    def __init__(self, target: str, places: Places, files: Files) -> None:
        self._target = target
        self._places = places
        self._files = files
        self._home = places.config_fetched.parent
        self._cache = self._home / "tuf"
        self._floors = self._home / "floors.json"

    def run(self) -> None:
        """Raises ReleaseRefused and OSError."""
        self._home.mkdir(parents=True, exist_ok=True)
        self._places.config_fetched.unlink(missing_ok=True)
        for left in self._home.glob(".fetch-*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self._home) as name:
            work = Path(name)
            self._prepare(work)
            recorder = Recorder(self._files, work / "metadata")
            try:
                raw, floors = self._take(work, recorder)
            except ReleaseRefused:
                if recorder.cut is not None:
                    raise recorder.cut from None
                raise
            replace_cache(self._cache, work / "cache")
            replace_file(self._floors, msgspec.json.encode(floors))
            replace_file(self._places.config_fetched, raw)

    def _prepare(self, work: Path) -> None:
        known = self._cache if self._cache.is_dir() else self._places.cache
        if known.is_dir():
            shutil.copytree(known, work / "cache", symlinks=True)
        for folder in ("cache", "metadata", "inbox"):
            (work / folder).mkdir(exist_ok=True)

    def _take(self, work: Path, recorder: Recorder) -> tuple[bytes, Floors]:
        trust = anchors(self._places, look(self._places))
        trust = replace(trust, floors=_higher(trust.floors, self._known()), store=None)
        client = Client(work / "inbox", trust, work / "cache", recorder)
        floors = client.refresh()
        try:
            info = client.info(self._target)
        except ReleaseRefused as error:
            raise ReleaseRefused("unknown" if error.reason == "unsigned" else error.reason, str(error)) from None
        if info.length > MOST_CONFIG:
            raise ReleaseRefused("description", f"{self._target} is too large")
        place = client.place(info)
        place.parent.mkdir(parents=True, exist_ok=True)
        name = f"targets/{place.relative_to(work / 'inbox' / 'targets')}"
        bring(self._files, name, info, place, lambda *_: None)
        raw = place.read_bytes()
        content = parse_tree(raw)
        if content.target != self._target:
            raise ReleaseRefused("description", f"{self._target} is the configuration {content.target}")
        return raw, floors

    def _known(self) -> Floors:
        """What was seen before; nothing where that cannot be read: the updater's own still hold."""
        try:
            with regular(self._floors) as file:
                return msgspec.convert(json.loads(file.read(_MOST_FLOORS)), Floors)
        except (ReleaseRefused, OSError, ValueError, msgspec.ValidationError):
            return Floors()


def _higher(one: Floors, other: Floors) -> Floors:
    return Floors(**{name: max(getattr(one, name), getattr(other, name)) for name in Floors.__struct_fields__})
