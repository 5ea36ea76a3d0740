"""Addresses as node ids of the server as it is now: namespaces by URI, paths by browsing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from asyncua import ua

from drivers.opcua.address import LOCAL, Address, Namespace, NodeAddress, PathAddress, show
from drivers.opcua.refusal import ServerRefused
from drivers.opcua.session import Session
from drivers.opcua.status import is_bad
from gateway.driver import Memory

ROOT, OBJECTS = 84, 85
HIERARCHICAL = 33
_MEMORY = "namespaces"
_PAGE = 1000
_MOST_PAGES = 1000
_DEEPEST_TYPE = 16
_LAST_BUILTIN, _STRUCTURE = 25, 22
_ABSTRACT = {26: 11, 27: 8, 28: 9, 29: 6}  # Number, Integer, UInteger, Enumeration
_NOTHING_SUCH = 0x806F0000  # BadNoMatch


class Unresolved(Exception):
    """There is no such node on this server now. `code`: the status that says the same."""

    def __init__(self, text: str, code: int = _NOTHING_SUCH) -> None:
        super().__init__(text)
        self.code = code


class Namespaces:
    """What an index in an address means. An index is bound to its URI when it is first used: servers number their
    namespaces anew when they are started, and an address must not point to another machine then.
    """

    def __init__(self, memory: Memory, written: Sequence[str]) -> None:
        self._memory = memory
        self._written = list(written)
        known = memory.get(_MEMORY)
        self._bound: dict[int, str] = {int(k): str(v) for k, v in known.items()} if isinstance(known, Mapping) else {}
        self._now: list[str] = []

    def now(self, uris: Sequence[str]) -> None:
        """The server's list of this connection."""
        self._now = list(uris)

    def uri_of(self, index: int) -> str:
        """The URI of an index of this connection."""
        return self._now[index] if 0 <= index < len(self._now) else ""

    def index_of(self, space: Namespace) -> int:
        """The index now. Raises Unresolved."""
        if space.uri:
            return self._find(space.uri, f"namespace {space.uri}")
        if space.index <= LOCAL:
            return space.index
        uri = self._meaning(space.index)
        return self._find(uri, f"namespace {space.index}, which was {uri},")

    def _find(self, uri: str, what: str) -> int:
        try:
            return self._now.index(uri)
        except ValueError:
            raise Unresolved(f"{what} is not on the server; it has {', '.join(self._now[1:])}") from None

    def _meaning(self, index: int) -> str:
        if index < len(self._written):
            return self._written[index]
        if index not in self._bound:
            if not 0 <= index < len(self._now):
                raise Unresolved(f"the server has no namespace {index}; it has {len(self._now)}")
            self._bound[index] = self._now[index]
            self._memory.put(_MEMORY, {str(k): v for k, v in self._bound.items()})
        return self._bound[index]

    @property
    def bound(self) -> Mapping[int, str]:
        return dict(self._bound)


class Resolver:
    """Node ids of one connection."""

    def __init__(self, session: Session, namespaces: Namespaces) -> None:
        self._session = session
        self.namespaces = namespaces
        namespaces.now(session.namespaces)

    async def resolve(self, addresses: Iterable[Address]) -> dict[Address, Any]:
        """The node id of each, or the Unresolved that says why there is none. Raises LinkLost, DeviceUnavailable."""
        found: dict[Address, Any] = {}
        paths: list[PathAddress] = []
        for address in addresses:
            if isinstance(address, PathAddress):
                paths.append(address)
                continue
            try:
                found[address] = self.node(address)
            except Unresolved as error:
                found[address] = error
        if paths:
            found.update(await self._walk(paths))
        return found

    def node(self, address: NodeAddress) -> Any:
        """The node id of an address by id. Raises Unresolved."""
        return ua.NodeId(address.identifier, self.namespaces.index_of(address.namespace))

    def address_of(self, node: Any) -> str:
        """The address of a node that holds after the next start of the server too."""
        index = node.NamespaceIndex
        uri = self.namespaces.uri_of(index) if index > LOCAL else ""
        space = Namespace(uri=uri) if uri and ";" not in uri else Namespace(index=index)
        return show(NodeAddress(space, node.Identifier))

    async def _walk(self, paths: Sequence[PathAddress]) -> dict[Address, Any]:
        """All paths at once, level by level, so that a folder is looked through once."""
        found: dict[Address, Any] = {}
        here: dict[PathAddress, Any] = dict.fromkeys(paths, ua.NodeId(ROOT))
        depth = 0
        while here:
            wanted: dict[Any, set[tuple[int | None, str]]] = {}
            for path, node in here.items():
                wanted.setdefault(node, set()).add(path.segments[depth])
            steps: dict[tuple[Any, tuple[int | None, str]], Any] = {}
            for node, names in wanted.items():
                for name, child in (await self._children(node, names)).items():
                    steps[node, name] = child
            following: dict[PathAddress, Any] = {}
            for path, node in here.items():
                child = steps.get((node, path.segments[depth]))
                if child is None:
                    done = "/".join(name for _, name in path.segments[:depth])
                    found[path] = Unresolved(f"/{done} has no {path.segments[depth][1]!r}")
                elif depth + 1 == len(path.segments):
                    found[path] = child
                else:
                    following[path] = child
            here, depth = following, depth + 1
        return found

    async def _children(self, node: Any, names: set[tuple[int | None, str]]) -> dict[tuple[int | None, str], Any]:
        """Those children of a node that are wanted. Stops looking when all are there."""
        spaces: dict[int, int] = {}
        for index, _ in names:
            if index is not None and index not in spaces:
                try:
                    spaces[index] = self.namespaces.index_of(Namespace(index=index))
                except Unresolved:
                    spaces[index] = -1
        found: dict[tuple[int | None, str], Any] = {}
        try:
            async for reference in references(self._session, node):
                name = reference.BrowseName
                for wanted in ((None, name.Name), *((i, name.Name) for i in spaces)):
                    if wanted not in names or wanted in found:
                        continue
                    if wanted[0] is None or spaces[wanted[0]] == name.NamespaceIndex:
                        found[wanted] = local(reference.NodeId)
                if len(found) == len(names):
                    break
        except ServerRefused:
            pass
        return found


def local(node: Any) -> Any:
    """A node id without what an expanded one may have besides."""
    return ua.NodeId(node.Identifier, node.NamespaceIndex)


def browse_request(nodes: Sequence[Any], most: int, *, forward: bool = True, classes: int = 0) -> Any:
    """Hierarchical references of nodes; `most` per node, 0 for as many as the server likes."""
    request = ua.BrowseRequest()
    request.Parameters.RequestedMaxReferencesPerNode = most
    for node in nodes:
        item = ua.BrowseDescription()
        item.NodeId = node
        item.BrowseDirection = ua.BrowseDirection.Forward if forward else ua.BrowseDirection.Inverse
        item.ReferenceTypeId = ua.NodeId(HIERARCHICAL)
        item.IncludeSubtypes = True
        item.NodeClassMask = classes
        item.ResultMask = 63
        request.Parameters.NodesToBrowse.append(item)
    return request


async def browse_next(session: Session, point: bytes, *, release: bool = False) -> Any:
    """The next page of a browse; `release` gives the rest up."""
    request = ua.BrowseNextRequest()
    request.Parameters.ReleaseContinuationPoints = release
    request.Parameters.ContinuationPoints = [point]
    answer = await session.call(request, ua.BrowseNextResponse)
    return answer.Parameters.Results[0] if answer.Parameters.Results else None


async def references(session: Session, node: Any, *, forward: bool = True, classes: int = 0) -> AsyncIterator[Any]:
    """All references of one node, a page in memory at a time. Raises ServerRefused, LinkLost."""
    answer = await session.call(browse_request([node], _PAGE, forward=forward, classes=classes), ua.BrowseResponse)
    result = answer.Results[0]
    point = None
    try:
        for _ in range(_MOST_PAGES):
            if is_bad(result.StatusCode.value):
                raise ServerRefused(result.StatusCode.value)
            point = result.ContinuationPoint
            for reference in result.References or ():
                yield reference
            if not point:
                return
            result = await browse_next(session, point)
            if result is None:
                return
    finally:
        if point:
            await _release(session, point)


async def builtin_of(session: Session, node: Any) -> int:
    """The built-in type that a data type is made of: its ancestor among the first 25 (OPC 10000-6, 5.1.2)."""
    for _ in range(_DEEPEST_TYPE):
        if node.NamespaceIndex == 0 and isinstance(node.Identifier, int):
            if 1 <= node.Identifier <= _LAST_BUILTIN:
                return int(node.Identifier)
            if node.Identifier in _ABSTRACT:
                return _ABSTRACT[node.Identifier]
        parent = None
        async for reference in references(session, node, forward=False):
            parent = local(reference.NodeId)
            break
        if parent is None:
            break
        node = parent
    return _STRUCTURE


async def _release(session: Session, point: bytes) -> None:
    with contextlib.suppress(Exception):  # a courtesy: the session's end frees it too
        await browse_next(session, point, release=True)


__all__ = [
    "HIERARCHICAL", "OBJECTS", "ROOT", "Namespaces", "Resolver", "Unresolved", "browse_next", "browse_request",
    "builtin_of", "local", "references",
]  # fmt: skip
