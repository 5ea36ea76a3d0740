"""Files of other gateways that lie in `profiles/` and `channels/`: told apart here, understood by gateway/importing.

That package is imported when there is such a file, and only then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from gateway.settings.credentials import CredentialError, CredentialSource
from gateway.settings.nodes import KINDS, LIST, MAP, Tree
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


def is_foreign(tree: Tree, row: int = 0) -> bool:
    """Whether a document is one of EdgeX or KubeEdge, by its keys, in files or of core-metadata."""
    kind = tree.codes[row] & KINDS
    if kind == LIST:
        first = tree.item(row, 0)
        names = _names(tree, first)
        return bool(names) and ({"name", "protocols"} <= names or is_foreign(tree, first))
    names = _names(tree, row)
    if "kind" in names and _text(tree, tree.find(row, "apiVersion")).startswith(_KUBEEDGE):
        return True
    if {"kind", "items"} <= names and (items := tree.find(row, "items")) and tree.codes[items] & KINDS == LIST:
        first = tree.item(items, 0)
        if first >= 0 and tree.codes[first] & KINDS == MAP:
            return is_foreign(tree, first)
    if "apiVersion" in names:
        from gateway.importing.importers import EDGEX_WRAPPERS

        if not EDGEX_WRAPPERS.keys().isdisjoint(names):
            return True
    return not names.isdisjoint({"deviceResources", "deviceList"}) or {"identifiers", "discoveredDevice"} <= names


def _names(tree: Tree, row: int) -> set[str]:
    """Keys of a mapping; none of anything else."""
    if row < 0 or tree.codes[row] & KINDS != MAP:
        return set()
    return {tree.values[key] for key, _ in tree.pairs(row)}


def _text(tree: Tree, row: int) -> str:
    return tree.values[row] if row >= 0 else ""


def foreign_documents(file: str, raw: str | bytes, problems: Problems) -> list[Document]:
    """The documents of a file of a tree that holds nothing but foreign ones; such a file may end in `.yml` or `.json`.
    Of any other file none.
    """
    if PurePosixPath(file).parts[0] not in FOREIGN:
        return []
    start = raw.encode() if isinstance(raw, str) else raw
    if not any(mark in start for mark in _MARKS):
        return []
    found = read_documents(file, raw, problems, unread=is_foreign)
    written = [each for each in found if each.data is not None]
    return found if written and all(is_foreign(each.node.tree) for each in written) else []


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
            (self._documents if is_foreign(document.node.tree) else ours).append(document)
        return ours

    def draw(self, options: Options, taken: Iterable[str], profiles: Iterable[str], report: Report) -> Draft:
        """What they mean. `taken`: ids of channels that are written; `profiles`: names that may be referred to."""
        from gateway.importing.draft import Draft, Known
        from gateway.importing.importers import kind_of_view
        from gateway.importing.report import TooMuch
        from gateway.importing.takeover import draw
        from gateway.importing.views import View

        draft = Draft(report, options, Known(frozenset(taken), frozenset(profiles)))
        views: dict[str, list[View]] = {}
        for document in self._documents:
            view = View(document.file, document.node, report)
            views.setdefault(kind_of_view(view), []).append(view)
        with contextlib.suppress(TooMuch):
            draw({}, views, draft)
        return draft


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
