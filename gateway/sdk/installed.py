"""The drivers that are installed here: from which distribution, in which state, and what they bring along."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from typing import Any

import msgspec
import yaml
from msgspec import Struct, field

from gateway.errors import GatewayError
from gateway.registry import EntryPoint, Registry, installed, missing_libraries, origin


class PapersWrong(GatewayError):
    """A driver's quality.yaml cannot be used."""


class Conformance(Struct, frozen=True, forbid_unknown_fields=True):
    """How the driver finds a peer for its conformance checks.

    `peer`: module:function, an async context manager that gives the port of a peer on 127.0.0.1; it may take the
    channel that it is to answer. Empty: the driver needs none. `channel`: a channel file of the driver's package.
    `writes`: what may be written to that peer. `quiet`: why the driver gives no values by itself. `proxied` False: no
    proxy with faults can stand before the peer.
    """

    peer: str = ""
    channel: str = "sample.yaml"
    udp: bool = False
    writes: dict[str, Any] = field(default_factory=dict)
    quiet: str = ""
    proxied: bool = True


class Papers(Struct, frozen=True):
    """What a driver's package says of itself. `quality`: quality.yaml as it is; empty where there is none."""

    name: str
    module: str
    quality: Mapping[str, Any]
    conformance: Conformance | None

    def text(self, file: str) -> str | None:
        """A file of the driver's package."""
        place = _folder(self.module)
        found = place / file if place is not None else None
        return found.read_text(encoding="utf-8") if found is not None and found.is_file() else None

    def peer(self) -> Callable[..., AbstractAsyncContextManager[Any]] | None:
        """The function that serves the peer. Raises PapersWrong."""
        if self.conformance is None or not self.conformance.peer:
            return None
        module, _, function = self.conformance.peer.partition(":")
        try:
            found = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise PapersWrong(f"quality.yaml of {self.name}: peer {self.conformance.peer!r}: {error}") from error
        if not callable(found):
            raise PapersWrong(f"quality.yaml of {self.name}: peer {self.conformance.peer!r} cannot be called")
        serve: Callable[..., AbstractAsyncContextManager[Any]] = found
        return serve


class Row(Struct, frozen=True):
    """One driver for `fieldpost driver ls`. `trouble`: why it cannot be used."""

    name: str
    distribution: str
    contract: int | None
    level: str
    trouble: str


def row(point: EntryPoint, registry: Registry, find: Callable[[], Iterable[EntryPoint]] = installed) -> Row:
    """One driver, usable or not; its module is imported for that."""
    contract, level, trouble = None, "", ""
    try:
        spec = registry.load(point.name)
        contract, trouble = spec.contract, "; ".join(missing_libraries(spec))
        level = str(papers(point.name, find).quality.get("level", ""))
    except GatewayError as error:
        trouble = getattr(error, "reason", str(error))
    return Row(point.name, origin(point), contract, level, trouble)


def papers(name: str, find: Callable[[], Iterable[EntryPoint]] = installed) -> Papers:
    """What the driver's package says of itself. Raises PapersWrong for a file that cannot be understood."""
    module = next((str(getattr(point, "module", "")) for point in find() if point.name == name), "")
    empty = Papers(name, module, {}, None)
    text = empty.text("quality.yaml")
    if text is None:
        return empty
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PapersWrong(f"quality.yaml of {name}: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise PapersWrong(f"quality.yaml of {name} is no mapping")
    return Papers(name, module, data, _conformance(name, data.get("conformance")))


def _conformance(name: str, written: Any) -> Conformance | None:
    if written is None:
        return None
    try:
        return msgspec.convert(written, Conformance)
    except msgspec.ValidationError as error:
        raise PapersWrong(f"quality.yaml of {name}: conformance: {error}") from error


def _folder(module: str) -> Traversable | None:
    """The folder of a driver's package; None for one that is a single file, or cannot be imported."""
    if not module:
        return None
    try:
        folder = resources.files(module)
    except Exception:  # a module may do anything while it is imported
        return None
    return folder if folder.is_dir() else None


def description(distribution: str) -> str:
    """The long description of a distribution, its README as a rule; empty where there is none."""
    try:
        found = metadata.metadata(distribution)
    except metadata.PackageNotFoundError:
        return ""
    body = found.json.get("description", "")
    return body if isinstance(body, str) else " ".join(body)
