"""The address space as a tree, depth first, in bounded memory however large it is."""

from __future__ import annotations

import fnmatch
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from asyncua import ua

from drivers.opcua import limits
from drivers.opcua.address import parse
from drivers.opcua.nodes import OBJECTS, Resolver, Unresolved, browse_next, browse_request, builtin_of, local
from drivers.opcua.refusal import ServerRefused
from drivers.opcua.session import Session
from drivers.opcua.status import is_bad
from drivers.opcua.values import TYPES, Mismatch, jsonable
from gateway.model import ValueType

_PAGE = 100
_KEPT = 50
"""References of a child that are looked at beforehand, to know whether it is a leaf."""
_DEEPEST = 40
_MOST_FOLDERS = 1_000_000
_SKIPPED = 2253  # the Server object: thousands of nodes about itself
_OBJECT, _VARIABLE, _METHOD = 1, 2, 4
_DATA_TYPE, _RANK, _ACCESS, _VALUE = 14, 15, 17, 13
_NO_POINTS = 0x804B0000  # BadNoContinuationPoints
_OPTIONS = {"at", "depth", "filter", "values"}


async def browse(session: Session, resolver: Resolver, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
    """Items below `at` (an address; the objects folder unless said), `depth` levels deep, of which `filter` shows those
    whose path matches (`*Temp*`); `values: false` does not read what they show now. Raises ValueError, LinkLost.
    """
    strange = next((name for name in options if name not in _OPTIONS), None)
    if strange is not None:
        raise ValueError(f"browsing OPC UA has no option {strange}: {', '.join(sorted(_OPTIONS))}")
    depth = int(options.get("depth") or _DEEPEST)
    at = str(options.get("at") or "")
    address = parse(at) if at else parse(f"i={OBJECTS}")
    node = (await resolver.resolve([address]))[address]
    if isinstance(node, Unresolved):
        raise ValueError(str(node))  # noqa: TRY004 - an option that leads nowhere
    walk = _Walk(session, resolver, pattern=str(options.get("filter") or ""), values=bool(options.get("values", True)))
    async for item in walk.below(node, "", min(depth, _DEEPEST)):
        yield item
    yield {"done": walk.seen}


class _Walk:
    def __init__(self, session: Session, resolver: Resolver, *, pattern: str, values: bool) -> None:
        self._session = session
        self._resolver = resolver
        self._pattern = pattern if not pattern or any(c in pattern for c in "*?[") else f"*{pattern}*"
        self._values = values
        self._folders: set[int] = set()
        self._builtins: dict[Any, int] = {}
        self.seen = 0

    async def below(self, node: Any, path: str, depth: int, first: Any = None) -> AsyncIterator[Mapping[str, Any]]:
        """Children of a node. `first`: the first page, where it is there already."""
        mark = hash((node.NamespaceIndex, node.Identifier))
        if depth <= 0 or mark in self._folders or len(self._folders) >= _MOST_FOLDERS:
            return  # a circle, or the same folder by another way
        self._folders.add(mark)
        page = first if first is not None else (await self._first([node], _PAGE))[0]
        while page is not None:
            point = page.ContinuationPoint
            for part in _pieces(page.References or (), _PAGE):
                async for item in self._part(part, path, depth):
                    yield item
            page = await browse_next(self._session, point) if point else None

    async def _part(self, part: Sequence[Any], path: str, depth: int) -> AsyncIterator[Mapping[str, Any]]:
        """Items of one page, each followed by what is below it."""
        children = [r for r in part if not getattr(r.NodeId, "ServerIndex", 0) and not _is_server(r)]
        nodes = [local(r.NodeId) for r in children]
        deeper = [
            i for i, r in enumerate(children) if r.NodeClass.value in {_OBJECT, _VARIABLE} and not _is_property(r)
        ]
        pages: dict[int, Any] = {}
        if depth > 1 and deeper:
            found = await self._first([nodes[i] for i in deeper], _KEPT)
            pages = dict(zip(deeper, found, strict=True))
        paths = [f"{path}/{name}" if path else name for name in map(_name, children)]
        wanted = [not self._pattern or fnmatch.fnmatchcase(full.lower(), self._pattern.lower()) for full in paths]
        shown = [i for i, r in enumerate(children) if wanted[i] and r.NodeClass.value == _VARIABLE]
        facts = await self._facts([nodes[i] for i in shown])
        for place, (reference, node) in enumerate(zip(children, nodes, strict=True)):
            self.seen += 1
            full = paths[place]
            item = self._item(reference, node, _name(reference), full, facts) if wanted[place] else None
            if item is not None:
                yield item
            elif self.seen % 1000 == 0:
                yield {"done": self.seen}
            page = pages.get(place)
            if page is not None and (page.References or is_bad(page.StatusCode.value)):
                again = None if is_bad(page.StatusCode.value) else page
                async for below in self.below(node, full, depth - 1, again):
                    yield below

    async def _first(self, nodes: Sequence[Any], most: int) -> list[Any]:
        """The first page of each node."""
        found: list[Any] = []

        async def piece(part: Sequence[Any]) -> None:
            answer = await self._session.call(browse_request(part, most), ua.BrowseResponse)
            found.extend(answer.Results)

        await self._session.bounds.cut(limits.BROWSE, nodes, piece)
        if len(nodes) == 1 and is_bad(found[0].StatusCode.value):
            if found[0].StatusCode.value == _NO_POINTS:
                # all of the server's continuation points are in use further up: take what it sends at once
                answer = await self._session.call(browse_request(nodes, 0), ua.BrowseResponse)
                found = list(answer.Results)
            if is_bad(found[0].StatusCode.value):
                return [None]
        return found

    async def _facts(self, nodes: Sequence[Any]) -> dict[Any, tuple[Any, Any, Any, Any]]:
        """Data type, rank, access and (when wanted) value of variables."""
        columns = []
        for attribute in (_DATA_TYPE, _RANK, _ACCESS, *((_VALUE,) if self._values else ())):
            try:
                columns.append([value for _, value, _ in await self._session.values(nodes, attribute)])
            except ServerRefused:
                columns.append([None] * len(nodes))
        if not self._values:
            columns.append([None] * len(nodes))
        for data_type in {kind for kind in columns[0] if kind is not None} - self._builtins.keys():
            self._builtins[data_type] = await builtin_of(self._session, data_type)
        return {node: row for node, *row in zip(nodes, *columns, strict=True)}  # type: ignore[misc]

    def _item(self, reference: Any, node: Any, name: str, path: str, facts: Mapping[Any, Any]) -> dict[str, Any] | None:
        kind = reference.NodeClass.value
        address = self._resolver.address_of(node)
        if kind == _OBJECT:
            return _row(address, name, path, "folder")
        if kind == _METHOD:
            return _row(address, name, path, "method")
        if kind != _VARIABLE:
            return None
        data_type, rank, access, value = facts[node]
        shown = type_of(self._builtins.get(data_type, 0), rank)
        may = access if isinstance(access, int) else 1
        text = ("r" if may & 1 else "") + ("w" if may & 2 else "")
        row = _row(address, name, path, "variable", shown, text)
        if shown and text:
            row["keys"] = {"address": address, "type": shown, **({"access": text} if text != "r" else {})}
        if self._values:
            try:
                row["value"] = value.hex() if isinstance(value, bytes) else jsonable(value)  # as `tags` shows it
            except Mismatch:
                row["value"] = None
        return row


def type_of(builtin: int, rank: Any) -> str:
    """The type of a tag that shows such a variable; object for arrays and structures."""
    if isinstance(rank, int) and rank >= 0:
        return ValueType.OBJECT.value
    return TYPES[builtin].value if builtin in TYPES else ""


def _name(reference: Any) -> str:
    return str(reference.DisplayName.Text or reference.BrowseName.Name or "")


def _row(address: str, name: str, path: str, kind: str, shown: str = "", access: str = "") -> dict[str, Any]:
    return {"address": address, "name": name, "path": path, "kind": kind, "type": shown, "access": access, "keys": {}}


def _is_server(reference: Any) -> bool:
    node = reference.NodeId
    return bool(node.NamespaceIndex == 0 and node.Identifier == _SKIPPED)


def _is_property(reference: Any) -> bool:
    kind = reference.TypeDefinition
    return bool(kind is not None and kind.NamespaceIndex == 0 and kind.Identifier == 68)


def _pieces(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


__all__ = ["browse", "type_of"]
