"""Methods: arguments by name, converted to what the server declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asyncua import ua

from drivers.opcua.address import Address, AddressError, parse
from drivers.opcua.nodes import Resolver, Unresolved, builtin_of, local, references
from drivers.opcua.refusal import ServerRefused
from drivers.opcua.session import Session
from drivers.opcua.settings import ChannelSettings, DeviceSettings, Method
from drivers.opcua.status import is_bad
from drivers.opcua.values import Mismatch, jsonable
from drivers.opcua.writing import coerced_all
from gateway.errors import WriteRejected

_NOT_FOUND, _UNPROCESSABLE = 404, 422
_NO_METHOD = frozenset({0x80750000, 0x80340000, 0x80330000})  # BadMethodInvalid, BadNodeIdUnknown, BadNodeIdInvalid
_PROPERTY_CLASS = 2
_OBJECT_CLASSES = 1 | 8


class Methods:
    """Methods of one connection; what they look like is asked for once."""

    def __init__(self, session: Session, resolver: Resolver) -> None:
        self._session = session
        self._resolver = resolver
        self._forms: dict[Any, tuple[Sequence[Any], Sequence[Any]]] = {}

    async def call(
        self, channel: ChannelSettings, device: DeviceSettings, name: str, args: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Run a method that is configured under `name`, or whose address it is. Returns its results by name.

        Raises WriteRejected (404, 422), ServerRefused, DeviceUnavailable.
        """
        method = device.methods.get(name) or Method(name)
        node = await self._find(method.address, device, channel)
        whose = await self._find(method.object, device, channel) if method.object else await self._owner(node, name)
        takes, gives = await self._form(node)
        request = ua.CallMethodRequest()
        request.ObjectId, request.MethodId = whose, node
        request.InputArguments = await self._arguments(name, takes, args)
        call = ua.CallRequest()
        call.Parameters.MethodsToCall = [request]
        try:
            (result,) = (await self._session.call(call, ua.CallResponse)).Results
        except ServerRefused as error:
            raise ServerRefused(error.code, f"method {name} failed") from error
        code = result.StatusCode.value
        if code in _NO_METHOD:
            raise WriteRejected(f"the server has no method {name}", code=_NOT_FOUND)
        if is_bad(code):
            raise ServerRefused(code, self._blame(name, takes, result))
        names = [argument.Name or f"result{place}" for place, argument in enumerate(gives, 1)]
        values = [jsonable(variant.Value) for variant in result.OutputArguments or ()]
        names += [f"result{place}" for place in range(len(names) + 1, len(values) + 1)]
        return dict(zip(names, values, strict=False))

    async def _find(self, text: str, device: DeviceSettings, channel: ChannelSettings) -> Any:
        try:
            address: Address = parse(text, root=device.root, namespace=device.namespace or channel.namespace)
        except AddressError as error:
            raise WriteRejected(f"there is no method {text}: {error}", code=_NOT_FOUND) from error
        node = (await self._resolver.resolve([address]))[address]
        if isinstance(node, Unresolved):
            raise WriteRejected(str(node), code=_NOT_FOUND)
        return node

    async def _owner(self, node: Any, name: str) -> Any:
        """The object that has the method."""
        try:
            async for reference in references(self._session, node, forward=False, classes=_OBJECT_CLASSES):
                return local(reference.NodeId)
        except ServerRefused as error:
            raise WriteRejected(f"the server has no method {name}: {error}", code=_NOT_FOUND) from error
        raise WriteRejected(f"{name} belongs to no object: name it as `object`", code=_NOT_FOUND)

    async def _form(self, node: Any) -> tuple[Sequence[Any], Sequence[Any]]:
        """Arguments that it takes and gives (OPC 10000-3, 5.7)."""
        known = self._forms.get(node)
        if known is not None:
            return known
        found: dict[str, Sequence[Any]] = {}
        async for reference in references(self._session, node, classes=_PROPERTY_CLASS):
            if reference.BrowseName.Name in {"InputArguments", "OutputArguments"}:
                ((_, value, status),) = await self._session.values([local(reference.NodeId)])
                if not is_bad(status) and isinstance(value, list):
                    found[reference.BrowseName.Name] = value
        form = (found.get("InputArguments", ()), found.get("OutputArguments", ()))
        self._forms[node] = form
        return form

    async def _arguments(self, name: str, takes: Sequence[Any], args: Mapping[str, Any]) -> list[Any]:
        names = [argument.Name or f"argument{place}" for place, argument in enumerate(takes, 1)]
        unknown = [each for each in args if each not in names]
        missing = [each for each in names if each not in args]
        if unknown or missing:
            wrong = f"unknown argument {unknown[0]}" if unknown else f"missing argument {missing[0]}"
            raise WriteRejected(f"{name}: {wrong}; it takes {', '.join(names) or 'none'}", code=_UNPROCESSABLE)
        variants = []
        for argument, each in zip(takes, names, strict=True):
            kind = await builtin_of(self._session, argument.DataType)
            try:
                value = coerced_all(kind, args[each], is_array=argument.ValueRank >= 0)
            except Mismatch as error:
                raise WriteRejected(f"{name}: {each}: {error}", code=_UNPROCESSABLE) from error
            variants.append(ua.Variant(value, ua.VariantType(kind), is_array=argument.ValueRank >= 0))
        return variants

    @staticmethod
    def _blame(name: str, takes: Sequence[Any], result: Any) -> str:
        """The method, and the argument of it that the server does not like."""
        for argument, status in zip(takes, result.InputArgumentResults or (), strict=False):
            if is_bad(status.value):
                return f"method {name}: {argument.Name}: {status.name}"
        return f"method {name} failed"


__all__ = ["Methods"]
