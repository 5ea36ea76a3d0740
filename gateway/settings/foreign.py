"""Files of other gateways that lie in `profiles/` and `channels/`: told apart here, understood by gateway/importing.

That package is imported when there is such a file, and only then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from gateway.settings.credentials import CredentialError, CredentialSource
from gateway.settings.positions import Document, Problems
from gateway.settings.tree import FOREIGN
from gateway.settings.yaml_reader import read_documents

if TYPE_CHECKING:
    from gateway.importing.draft import Draft, Options
    from gateway.importing.report import Note, Report

Heard = Callable[["Sequence[Note]"], None]
"""Told what was ignored, guessed or means another thing in foreign files."""

_KUBEEDGE = "devices.kubeedge.io/"
_MARKS = (b"deviceResources", b"deviceList", b"discoveredDevice", b"protocols", b"apiVersion", _KUBEEDGE.encode())


def is_foreign(data: Any) -> bool:
    """Whether a document is one of EdgeX or KubeEdge, by its keys, in files or of core-metadata."""
    if isinstance(data, list) and data and isinstance(data[0], dict):
        return {"name", "protocols"} <= data[0].keys() or is_foreign(data[0])
    if not isinstance(data, dict):
        return False
    if "kind" in data and str(data.get("apiVersion")).startswith(_KUBEEDGE):
        return True
    items = data.get("items")
    if "kind" in data and isinstance(items, list) and items and isinstance(items[0], dict):
        return is_foreign(items[0])
    if "apiVersion" in data:
        from gateway.importing.importers import EDGEX_WRAPPERS

        if not EDGEX_WRAPPERS.keys().isdisjoint(data):
            return True
    return "deviceResources" in data or "deviceList" in data or {"identifiers", "discoveredDevice"} <= data.keys()


def is_foreign_file(file: str, raw: str | bytes) -> bool:
    """Whether a file of a tree holds nothing but foreign documents; such a file may end in `.yml` or `.json`."""
    if PurePosixPath(file).parts[0] not in FOREIGN:
        return False
    start = raw.encode() if isinstance(raw, str) else raw
    if not any(mark in start for mark in _MARKS):
        return False
    found = [each.data for each in read_documents(file, raw, Problems()) if each.data is not None]
    return bool(found) and all(map(is_foreign, found))


class Foreign:
    """The foreign documents of a tree."""

    def __init__(self) -> None:
        self._documents: list[Document] = []

    def __bool__(self) -> bool:
        return bool(self._documents)

    def without(self, documents: Iterable[Document]) -> list[Document]:
        """Those that are ours; the others are kept here."""
        ours: list[Document] = []
        for document in documents:
            (self._documents if is_foreign(document.data) else ours).append(document)
        return ours

    def draw(
        self, options: Options, taken: Iterable[str], profiles: Iterable[str], problems: Problems
    ) -> tuple[Draft, Report]:
        """What they mean. `taken`: ids of channels that are written; `profiles`: names that may be referred to."""
        from gateway.importing.draft import Draft, Known
        from gateway.importing.importers import kind_of_view
        from gateway.importing.report import Report, TooMuch
        from gateway.importing.takeover import draw
        from gateway.importing.views import View

        report = Report(problems)
        draft = Draft(report, options, Known(frozenset(taken), frozenset(profiles)))
        views: dict[str, list[View]] = {}
        for document in self._documents:
            view = View(document.file, document.node, report)
            views.setdefault(kind_of_view(view), []).append(view)
        with contextlib.suppress(TooMuch):
            draw({}, views, draft)
        return draft, report


def without_secrets(draft: Draft, credentials: CredentialSource) -> None:
    """A channel whose secret is not there yet is checked and not started: the rest of the file runs as it is."""
    from gateway.importing.report import Place

    for name, channel in draft.channels.items():
        for holder in (channel, *(value for value in channel.values() if isinstance(value, dict))):
            for key, secret in [(key, value) for key, value in holder.items() if _missing(value, credentials)]:
                del holder[key]
                channel["enabled"] = False
                place: Place = draft.place_of(("channels", name))
                file = secret.removeprefix("${credential:").removesuffix("}")
                draft.report.warning(place, f"channel `{name}` is not started: it needs credentials/{file}")


def _missing(value: Any, credentials: CredentialSource) -> bool:
    if not (isinstance(value, str) and value.startswith("${credential:") and value.endswith("}")):
        return False
    try:
        credentials.path(value.removeprefix("${credential:").removesuffix("}"))
    except CredentialError:
        return True
    return False


def names_in(documents: Mapping[str, Sequence[Document]], folder: str) -> list[str]:
    """Profile names, or channel ids, that the documents of a folder hold."""
    found: list[str] = []
    for file, many in documents.items():
        if PurePosixPath(file).parts[0] != folder:
            continue
        for document in many:
            if folder == "profiles":
                found += document.data if isinstance(document.data, dict) else ()
            else:
                given = document.data.get("channel") if isinstance(document.data, dict) else None
                found.append(given if isinstance(given, str) else PurePosixPath(file).stem)
    return found
