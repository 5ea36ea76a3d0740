"""What an import makes: profiles and channels as plain data in our words, and where each part of it came from."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.importing.names import Names
from gateway.importing.report import Place, Report
from gateway.settings.nodes import nothing
from gateway.settings.positions import Document, Key

MOST_TAGS = 20_000
"""Of one channel."""


class Options(Struct, frozen=True):
    """What the person who imports said.

    `strict_edgex`: transforms and errors exactly as EdgeX computes them. `interval`: of devices that have no schedule,
    as it is written in a file (`10s`). `node`: KubeEdge devices of this node only. `seed_shadow`: KubeEdge twins become
    wanted values. `channel`, `device`, `url`: names and address for lists that have none; `unit`: their Modbus unit id.
    `one_based`: addresses of a Kepware or Neuron list count from 1 (their default). `word_order`: ABCD, BADC, CDAB or
    DCBA of a list that does not say it. `repeat`: how many times the groups of a SunSpec model are there that a point
    of the device counts.
    """

    strict_edgex: bool = False
    interval: str = ""
    node: str = ""
    seed_shadow: bool = False
    channel: str = ""
    device: str = ""
    url: str = ""
    unit: int = 1
    one_based: bool = True
    word_order: str = ""
    repeat: int = 1


class Known(Struct, frozen=True):
    """What the configuration has already: channel ids that are taken, and profiles that may be referred to."""

    channels: frozenset[str] = frozenset()
    profiles: frozenset[str] = frozenset()


class Draft:
    """Profiles and channels in the making. Data are what a YAML file would hold; texts of people go through `literal`.

    `credentials`: name -> what it is for, of the secrets that a person has to put in place.
    """

    def __init__(self, report: Report, options: Options, known: Known) -> None:
        self.report = report
        self.options = options
        self.known = known
        self.profiles: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, dict[str, Any]] = {}
        self.credentials: dict[str, str] = {}
        self.profile_names = Names(report, "profile")
        self.channel_names = Names(report, "channel")
        self.device_names = Names(report, "device")
        for taken in sorted(known.channels):
            self.channel_names.reserve(taken)
        self._places: dict[tuple[Key, ...], Place] = {}

    def at(self, place: Place, *path: Key) -> None:
        """Say where a part came from: `at(place, "profiles", name, "tags", tag)`, `("channels", id, "devices", id)`."""
        self._places[path] = place

    def place_of(self, path: tuple[Key, ...]) -> Place:
        """Where the part at `path` came from, or the nearest part above it."""
        for length in range(len(path), 0, -1):
            found = self._places.get(path[:length])
            if found is not None:
                return found
        return Place("import")

    def credential(self, name: str, purpose: str, place: Place) -> str:
        """A reference to a secret that the file has or needs; the person is told to put it in place."""
        self.credentials[name] = purpose
        self.report.warning(place, f"put the {purpose} into credentials/{name}: passwords are not copied")
        return f"${{credential:{name}}}"


class Drawn(Document, frozen=True, eq=False, kw_only=True):
    """A document of a draft: problems point at the foreign file. `root` is the draft's path of its top."""

    draft: Draft
    root: tuple[Key, ...] = ()

    def place(self, path: tuple[Key, ...], *, at_key: bool = False) -> tuple[str, int, int]:  # noqa: ARG002 - a drawn key stands where its value does
        found = self.draft.place_of((*self.root, *path))
        return found.file, found.line, found.column

    def locate(self, path: tuple[Key, ...], *, at_key: bool = False) -> tuple[int, int]:
        return self.place(path, at_key=at_key)[1:]

    def locate_text(self, path: tuple[Key, ...], text: str, offset: int) -> tuple[int, int]:  # noqa: ARG002 - the foreign text is another one
        return self.locate(path)


def drawn(draft: Draft, data: Any, *root: Key) -> Drawn:
    """A part of a draft as a document of the loader."""
    return Drawn(draft.place_of(root).file, data, nothing(), draft=draft, root=root)


__all__ = ["MOST_TAGS", "Draft", "Drawn", "Known", "Options", "drawn"]
