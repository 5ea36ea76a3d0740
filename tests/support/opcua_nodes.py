"""asyncua's server with a few variables at given node ids, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from asyncua import Server, ua
from asyncua.common.node import Node

from tests.support.ports import free_port


class OpcuaNodes:
    """A server in its loop; `read` and `write` may be called from the test's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.port = free_port()
        self._loop = loop
        self._nodes: dict[str, Node] = {}

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/OPCUA/SimulationServer"

    def read(self, node_id: str) -> Any:
        return self._do(self._nodes[node_id].read_value())

    def write(self, node_id: str, value: Any, kind: str) -> None:
        self._do(self._nodes[node_id].write_value(value, ua.VariantType[kind]))

    def _do(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def serve(self, nodes: dict[str, tuple[str, Any]], ready: threading.Event, end: asyncio.Event) -> None:
        """`nodes`: id -> (type, value)."""
        server = Server()
        await server.init()
        server.set_endpoint(self.url)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        for number in range(2):
            await server.register_namespace(f"http://simulation.example/{number}")
        for node_id, (kind, value) in nodes.items():
            name = node_id.rpartition("=")[2]
            node = await server.nodes.objects.add_variable(
                ua.NodeId.from_string(node_id), ua.QualifiedName(name, 3), value, ua.VariantType[kind]
            )
            await node.set_writable()
            self._nodes[node_id] = node
        async with server:
            ready.set()
            await end.wait()
            server.bserver._server.close()


async def _end_all() -> None:
    """End what asyncua leaves behind."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=5)


@contextlib.contextmanager
def opcua_nodes(nodes: dict[str, tuple[str, Any]]) -> Iterator[OpcuaNodes]:
    """A server with these variables: id -> (type, value)."""
    loop, ready, end = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    made = OpcuaNodes(loop)

    def run() -> None:
        loop.run_until_complete(made.serve(nodes, ready, end))
        loop.run_until_complete(_end_all())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        assert ready.wait(20)
        yield made
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(20)
