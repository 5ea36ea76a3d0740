"""The part of the standard address space that clients of a gateway look at.

The whole of it (OPC 10000-5 and what came after it) is 8,000 nodes and 70 MB in the library's form. Kept are the core
of the first edition, which has the types that our nodes are of, all types of references, and the object `Server` with
what is below it. No method of it is offered, since none is implemented.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterable
from typing import Any

from asyncua import ua
from asyncua.server.address_space import NodeManagementService

_PACKAGE = "asyncua.server.standard_address_space"
_MODULE = f"{_PACKAGE}.standard_address_space_services_"
_FUNCTION = "create_standard_address_space_Services_"
_PAUSE_S = 0.005
"""Between its parts: the thread that asks the devices has a turn."""
_CORE = 3100
"""Numbers below this were given by the first edition, the last types of it among them."""
_TAKEN = ("Server_", "OperationLimitsType", "BaseAnalogType")
"""Beginnings of names of later nodes that are needed."""
_LATER = (
    "Server_Namespaces",
    "Server_PublishSubscribe",
    "Server_Dictionaries",
    "Server_ServerCapabilities_RoleSet",
    "Server_ResendData",
    "Server_EstimatedReturnTime",
)


def fill(service: NodeManagementService) -> None:
    """Add the nodes; takes half a second of CPU, so it has a thread of its own."""
    kept = _Kept(service)
    number = 1
    while True:
        name = f"{_MODULE}{number}"
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            break
        getattr(module, f"{_FUNCTION}{number}")(kept)
        time.sleep(_PAUSE_S)
        _forget(name)
        number += 1
    kept.finish()


def _forget(name: str) -> None:
    """Half a megabyte of code each that never runs again."""
    sys.modules.pop(name, None)
    package = sys.modules.get(_PACKAGE)
    if package is not None:
        vars(package).pop(name.rpartition(".")[2], None)


class _Kept:
    """What the library's generated code talks to: hands on what is wanted, in an order that works."""

    def __init__(self, service: NodeManagementService) -> None:
        self._service = service
        self._nodes: list[Any] = []
        self._references: list[Any] = []
        self._ids: set[ua.NodeId] = set()
        self._names: dict[int, str] = ua.ObjectIdNames

    def add_nodes(self, items: Iterable[Any]) -> None:
        for item in items:
            if self._is_wanted(item):
                self._ids.add(item.RequestedNewNodeId)
                self._nodes.extend(self._service.try_add_nodes([item], check=False))

    def add_references(self, references: Iterable[Any]) -> None:
        self._references += [each for each in references if each.SourceNodeId in self._ids]

    def finish(self) -> None:
        """References whose ends have all come by now; those to nodes that were left out go."""
        left = self._nodes
        while left:  # a parent may come after its children
            before, left = len(left), list(self._service.try_add_nodes(left, check=False))
            if len(left) == before:  # of a type, or below a node, that was left out
                self._ids -= {item.RequestedNewNodeId for item in left}
                break
        wanted = [each for each in self._references if each.TargetNodeId in self._ids]
        for _ in self._service.try_add_references(wanted):
            pass

    def _is_wanted(self, item: Any) -> bool:
        if item.NodeClass == ua.NodeClass.Method:
            return False
        if item.NodeClass == ua.NodeClass.ReferenceType:
            return True
        number = item.RequestedNewNodeId.Identifier
        if not isinstance(number, int):
            return False
        name = self._names.get(number, "")
        if name.startswith(_LATER):
            return False
        is_part = item.ParentNodeId in self._ids or item.ParentNodeId.is_null() or number < _CORE
        return (number < _CORE or name.startswith(_TAKEN)) and is_part
