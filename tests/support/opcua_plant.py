"""A plant behind asyncua's own server: values with chosen source times, methods, structures, events, restarts.

As a program it serves until its input ends and does what the lines of its input say (see `main`):
    python -m tests.support.opcua_plant PORT
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asyncua import Server, ua, uamethod
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import SimpleRoleRuleset, User, UserRole
from asyncua.crypto.truststore import TrustStore
from asyncua.server.user_managers import UserManager

LINE, OTHER = "http://plant.example/line", "http://plant.example/other"
FILLERS = ("http://filler.example/a", "http://filler.example/b", "http://filler.example/c")
USER, PASSWORD = "operator", "valve-7"


class Users(UserManager):
    """One user with a password, one certificate, and everybody unless `only` is set."""

    def __init__(self, *, only: bool, certificate: bytes = b"") -> None:
        self._only = only
        self._certificate = certificate

    def get_user(self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None) -> Any:
        if certificate is not None and self._certificate and certificate == self._certificate:
            return User(role=UserRole.Admin)
        if username is not None:
            right = username == USER and password == PASSWORD
            return User(role=UserRole.Admin) if right else None
        return None if self._only else User(role=UserRole.Admin)


class Plant:
    """One server. `seed` orders its namespaces; a new start with another seed numbers them anew."""

    def __init__(self, port: int, *, nodes: int = 10, identities: Users | None = None) -> None:
        self.port = port
        self.nodes = nodes
        self.identities = identities
        self.security: dict[str, Any] | None = None
        self.server: Any = None
        self.line = self.other = 0
        self.rounds = 0
        self.variables: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/plant"

    async def start(self, seed: int = 0) -> Plant:
        server = Server(user_manager=self.identities)
        await server.init()
        server.set_endpoint(self.url)
        server.set_server_name("Plant")
        await server.set_application_uri("urn:plant.example:server")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        if self.security is not None:
            await self._secure(server)
        uris = [LINE, OTHER, *FILLERS]
        random.Random(seed).shuffle(uris)  # noqa: S311 - an order, no secret
        for uri in uris:
            await server.register_namespace(uri)
        self.server = server
        self.line = await server.get_namespace_index(LINE)
        self.other = await server.get_namespace_index(OTHER)
        await self._build()
        await server.start()
        return self

    async def stop(self) -> None:
        if self.server is not None:
            # else a client that comes back while its old connection is being closed keeps the server from ending
            self.server.bserver._server.close()
            await self.server.stop()
            self.server = None

    async def restart(self, seed: int) -> None:
        await self.stop()
        await self.start(seed)

    async def _secure(self, server: Any) -> None:
        assert self.security is not None
        server.set_security_policy(self.security["policies"], permission_ruleset=SimpleRoleRuleset())
        await server.load_certificate(str(self.security["certificate"]))
        await server.load_private_key(str(self.security["key"]))
        if (validator := self.security.get("validator")) is not None:
            server.set_certificate_validator(validator)

    async def _build(self) -> None:
        server, index = self.server, self.line
        folder = await server.nodes.objects.add_object(ua.NodeId("Line", index), ua.QualifiedName("Line", index))
        self.variables = {}
        kinds = ua.VariantType
        for name, value, kind in (
            ("Speed", 100.5, kinds.Double),
            ("Count", 7, kinds.Int32),
            ("Small", 3, kinds.Byte),
            ("Run", True, kinds.Boolean),
            ("Name", "press", kinds.String),
            ("Raw", b"\x00\xff\x10", kinds.ByteString),
            ("we ird/na.me#[0]", 5, kinds.Int32),
            ("Setpoint", 20.0, kinds.Float),
            ("Speeds", [1.0, 2.0, 3.0], kinds.Double),
            ("Started", dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), kinds.DateTime),
        ):
            await self._variable(folder, name, value, kind)
        await self._structures(folder)
        bulk = await folder.add_object(ua.NodeId("Bulk", index), ua.QualifiedName("Bulk", index))
        for number in range(self.nodes):
            await self._variable(bulk, f"N{number:04d}", float(number), kinds.Double)
        await folder.add_method(
            ua.NodeId("Line.Add", index), ua.QualifiedName("Add", index), _add,
            [_argument("a", ua.ObjectIds.Double), _argument("b", ua.ObjectIds.Double)],
            [_argument("sum", ua.ObjectIds.Double)],
        )  # fmt: skip
        await folder.add_method(ua.NodeId("Line.Fail", index), ua.QualifiedName("Fail", index), _fail, [], [])
        wrong = await server.nodes.objects.add_object(ua.NodeId("Wrong", self.other), ua.QualifiedName("Wrong", 1))
        node = await wrong.add_variable(ua.NodeId("Line.Speed", self.other), "Speed", -1.0, kinds.Double)
        self.variables["wrong"] = node

    async def _variable(self, folder: Any, name: str, value: Any, kind: Any) -> None:
        index = self.line
        node = await folder.add_variable(
            ua.NodeId(f"Line.{name}", index), ua.QualifiedName(name, index), value, kind
        )  # fmt: skip
        await node.set_writable()
        self.variables[name] = node

    async def _structures(self, folder: Any) -> None:
        index = self.line
        await new_struct(
            self.server, index, "Axis",
            [
                new_struct_field("position", ua.VariantType.Double),
                new_struct_field("label", ua.VariantType.String),
                new_struct_field("enabled", ua.VariantType.Boolean),
            ],
        )  # fmt: skip
        await new_enum(self.server, index, "Mode", ["Manual", "Auto", "Off"])
        await self.server.load_data_type_definitions()
        axis = ua.Axis(position=1.5, label="x", enabled=True)
        node = await folder.add_variable(
            ua.NodeId("Line.Axis", index), ua.QualifiedName("Axis", index), axis,
            datatype=(await self._type_of("Axis")),
        )  # fmt: skip
        await node.set_writable()
        self.variables["Axis"] = node

    async def _type_of(self, name: str) -> Any:
        found = await self.server.nodes.base_structure_type.get_child(f"{self.line}:{name}")
        return found.nodeid

    async def crowd(self, count: int) -> None:
        """A tree of `count` variables more, a hundred in each folder, and a folder that holds itself."""
        session, index = self.server.iserver.isession, self.line
        made: list[Any] = []
        top = _new(ua.NodeId("Line", index), ua.NodeId("Crowd", index), ua.ObjectAttributes(), index)
        made.append(top)
        for number in range(count):
            if number % 100 == 0:
                folder = ua.NodeId(f"Crowd.{number // 100:05d}", index)
                made.append(_new(ua.NodeId("Crowd", index), folder, ua.ObjectAttributes(), index))
            attributes = ua.VariableAttributes()
            attributes.DataType = ua.NodeId(ua.ObjectIds.Double)
            attributes.ValueRank = -1
            attributes.Value = ua.Variant(float(number), ua.VariantType.Double)
            made.append(_new(folder, ua.NodeId(100_000 + number, index), attributes, index))
        await session.add_nodes(made)
        circle = ua.AddReferencesItem()
        circle.SourceNodeId, circle.TargetNodeId = ua.NodeId("Crowd.00000", index), ua.NodeId("Crowd", index)
        circle.ReferenceTypeId, circle.IsForward = ua.NodeId(ua.ObjectIds.Organizes), True
        circle.TargetNodeClass = ua.NodeClass.Object
        await session.add_references([circle])

    async def put(self, name: str, value: Any, at: dt.datetime | None = None, status: int = 0) -> None:
        """Write a value inside the server, with its source time."""
        node = self.variables[name]
        kind = (await node.read_data_value()).Value.VariantType
        variant = ua.Variant(value, kind)
        now = dt.datetime.now(dt.UTC)
        await node.write_value(
            ua.DataValue(variant, StatusCode=ua.StatusCode(status), SourceTimestamp=at or now, ServerTimestamp=now)
        )

    async def get(self, name: str) -> Any:
        return await self.variables[name].read_value()

    async def delete(self, name: str) -> None:
        await self.server.delete_nodes([self.variables.pop(name)])

    async def add(self, name: str, value: float) -> None:
        folder = self.server.get_node(ua.NodeId("Line", self.line))
        await self._variable(folder, name, value, ua.VariantType.Double)

    async def node(self, name: str, index: int, number: int, value: Any, kind: str) -> None:
        """A variable with a number for its id, in any namespace."""
        objects, variant = self.server.nodes.objects, getattr(ua.VariantType, kind)
        node = await objects.add_variable(ua.NodeId(number, index), ua.QualifiedName(name, index), value, variant)
        await node.set_writable()
        self.variables[name] = node

    async def event(self, message: str, severity: int = 500) -> None:
        generator = await self.server.get_event_generator()
        generator.event.Severity = severity
        await generator.trigger(message=message)

    def sessions(self) -> int:
        """Sessions of clients at the server now."""
        return len(self.server.iserver._external_sessions)


def _new(parent: Any, node: Any, attributes: Any, index: int) -> Any:
    item = ua.AddNodesItem()
    variable = isinstance(attributes, ua.VariableAttributes)
    name = str(node.Identifier)
    item.ParentNodeId, item.RequestedNewNodeId = parent, node
    item.ReferenceTypeId = ua.NodeId(ua.ObjectIds.HasComponent if variable else ua.ObjectIds.Organizes)
    item.BrowseName = ua.QualifiedName(name, index)
    item.NodeClass = ua.NodeClass.Variable if variable else ua.NodeClass.Object
    item.TypeDefinition = ua.NodeId(ua.ObjectIds.BaseDataVariableType if variable else ua.ObjectIds.FolderType)
    attributes.DisplayName = ua.LocalizedText(name)
    item.NodeAttributes = attributes
    return item


def _argument(name: str, kind: int) -> Any:
    argument = ua.Argument()
    argument.Name, argument.DataType, argument.ValueRank = name, ua.NodeId(kind), -1
    return argument


@uamethod
def _add(_parent: Any, a: float, b: float) -> float:
    return a + b


@uamethod
def _fail(_parent: Any) -> Any:
    return ua.StatusCode(ua.StatusCodes.BadInvalidState)


async def _commands(plant: Plant) -> None:
    """Lines of JSON: ["put", name, value, ms?], ["restart", seed], ["stop"], ["start", seed], ["get", name], ["event",
    text], ["delete", name], ["add", name, value], ["node", name, index, number, value, kind], ["crowd", count], ["sessions"], ["index"], ["storm", hz], ["rounds"], ["calm"]. Each is answered by one line.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    storm: asyncio.Task[None] | None = None
    while line := await reader.readline():
        what, *rest = json.loads(line)
        answer: Any = None
        if what == "put":
            at = dt.datetime.fromtimestamp(rest[2] / 1000, dt.UTC) if len(rest) > 2 else None
            await plant.put(rest[0], rest[1], at)
        elif what == "storm":
            storm = asyncio.create_task(_storm(plant, rest[0]))
        elif what == "calm":
            assert storm is not None
            storm.cancel()
        elif what == "sessions":
            answer = plant.sessions()
        elif what == "rounds":
            answer = plant.rounds
        elif what == "index":
            answer = plant.line
        else:
            answer = await getattr(plant, what)(*rest)
        print(f"= {json.dumps(None if isinstance(answer, Plant) else answer, default=str)}", flush=True)


async def _storm(plant: Plant, hertz: float) -> None:
    """All bulk nodes change together, `hertz` times a second."""
    loop = asyncio.get_running_loop()
    names = [name for name in plant.variables if name.startswith("N") and name != "Name"]
    due, count = loop.time(), 0
    writer = plant.server.iserver.aspace
    while True:
        count += 1
        plant.rounds = count
        now = dt.datetime.now(dt.UTC)
        for number, name in enumerate(names):
            value = ua.DataValue(
                ua.Variant(float(count + number), ua.VariantType.Double), SourceTimestamp=now, ServerTimestamp=now
            )
            await writer.write_attribute_value(plant.variables[name].nodeid, ua.AttributeIds.Value, value)
        due += 1 / hertz
        await asyncio.sleep(max(due - loop.time(), 0))


def _secured(plant: Plant, words: dict[str, Any]) -> None:
    """`certificate`, `key`: the server's files. `only`: nobody is anonymous. `user_certificate`: who may log in by it.
    `trusted`: a folder; clients whose certificates are elsewhere are refused.
    """
    kinds = ua.SecurityPolicyType
    policies = [kinds.Basic256Sha256_SignAndEncrypt, kinds.Basic256Sha256_Sign]
    policies += [kinds.Aes128Sha256RsaOaep_SignAndEncrypt, kinds.Aes256Sha256RsaPss_SignAndEncrypt]
    validator = None
    if "trusted" in words:
        store = TrustStore([Path(words["trusted"])], [])

        async def validator(certificate: Any, _description: Any) -> None:
            await store.load()
            if not store.is_trusted(certificate):
                raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    plant.security = {**words, "policies": policies, "validator": validator}
    user = Path(words["user_certificate"]).read_bytes() if "user_certificate" in words else b""
    plant.identities = Users(only=bool(words.get("only")), certificate=user)


async def main(arguments: Sequence[str]) -> None:
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    plant = Plant(int(arguments[0]), nodes=int(arguments[1]) if len(arguments) > 1 else 10)
    if len(arguments) > 2 and (words := json.loads(arguments[2])) is not None:
        _secured(plant, words)
    await plant.start(int(arguments[3]) if len(arguments) > 3 else 0)
    print("ready", flush=True)
    await _commands(plant)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    asyncio.run(main(sys.argv[1:]))
