"""Devices of KubeEdge as devices of channels: one channel for each connection, tags from model and visitor."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.importing.draft import Draft
from gateway.importing.kubeedge import bluetooth, modbus, mqtt, opcua, other
from gateway.importing.kubeedge.bindings import Binding, Bound, Connection, Context, Secrets
from gateway.importing.kubeedge.channels import Channels
from gateway.importing.kubeedge.kept import keep_rest
from gateway.importing.kubeedge.methods import commands_of
from gateway.importing.kubeedge.model import Model, Property, metadata
from gateway.importing.kubeedge.objects import Name, Resource
from gateway.importing.kubeedge.pushes import tell_state_report
from gateway.importing.kubeedge.tags import Made, draw_tag, without_schedule
from gateway.importing.kubeedge.visits import PROTOCOLS, Visit, protocol_of, visitors_config, visits_of
from gateway.importing.kubeedge.wishes import twins_of
from gateway.importing.names import Names
from gateway.importing.views import View
from gateway.settings.ids import did_you_mean

_BINDINGS: dict[str, Binding] = {
    "modbus": modbus.BINDING,
    "opcua": opcua.BINDING,
    "bluetooth": bluetooth.BINDING,
    "mqtt": mqtt.BINDING,
}
_SPEC = {
    "deviceModelRef", "protocol", "nodeName", "nodeSelector", "properties", "propertyVisitors", "methods",
    "stateReport",
}  # fmt: skip


class DrawnDevice(Struct):
    """A device that has its place in a channel; `tags` and `data` are put there when all are known."""

    channel: str
    id: str
    resource: Resource
    profile: str
    model: Model | None
    data: dict[str, Any]
    tags: dict[str, Made]


class Devices:
    """Draws devices one after the other, with the models of the whole set."""

    def __init__(self, draft: Draft, models: dict[Name, Model]) -> None:
        self._draft = draft
        self._models = models
        self._channels = Channels(draft)
        self._secrets = Secrets(draft)
        self._taken = {each for channel in draft.channels.values() for each in channel.get("devices", {})}
        """Ids of devices, those of other importers too."""

    def draw(self, device: Resource) -> DrawnDevice | None:
        """One device in its channel; None when it cannot be (told) or is not wanted."""
        found = self._draw(device)
        if found is None:
            _ = device.view.data  # what is wrong is told; its other keys are not worth a note each
        return found

    def _draw(self, device: Resource) -> DrawnDevice | None:
        if not self._is_wanted(device):
            return None
        referred = self._model(device)
        visits, meta = visits_of(device), metadata(device)
        protocol = self._protocol(device, visits, referred[1] if referred else None)
        context = self._context(device, protocol, meta)
        binding = _BINDINGS.get(protocol, other.BINDING)
        connection = binding.connect(context)
        keep_rest(device.spec, _SPEC, meta)
        tell_state_report(device.spec.get("stateReport"))
        if connection is None or referred is None:
            return None
        channel = self._channels.channel_for(connection, device)
        if channel is None:
            return None
        profile, model = referred
        made = self._tags(device, visits, model, binding, context)
        if not connection.scheduled:
            without_schedule(made)
        data = self._data(connection, profile, meta)
        if commands := commands_of(device, made, {visit.name for visit in visits}, self._draft):
            data["commands"] = commands
        return DrawnDevice(channel, self._id(device), device, profile, model, data, made)

    def _is_wanted(self, device: Resource) -> bool:
        """`--node`: only devices of that node. Where a device runs is the cluster's business otherwise."""
        nodes = _nodes(device.spec)
        wanted = self._draft.options.node
        if wanted and wanted not in {name for name, _ in nodes}:
            shown = ", ".join(name for name, _ in nodes) or "none"
            text = f"device `{device.shown}` is left out: its node is {shown}, not {wanted}"
            self._draft.report.ignored(device.view.place, text)
            return False
        if not wanted:
            for name, view in nodes:
                text = f"node `{name}`: the device belongs to this gateway now (`--node` takes devices of one node)"
                self._draft.report.ignored(view.place, text)
        return True

    def _model(self, device: Resource) -> tuple[str, Model | None] | None:
        """Profile and model that a device refers to, or a profile that is there already."""
        view = device.spec.get("deviceModelRef")
        named = view.get("name") if view is not None and view.as_map() is not None else None
        name = named.as_text() if named is not None else None
        if named is None or not name:
            place = device.spec.place if view is None else view.place
            self._draft.report.error(place, f"device `{device.shown}` names no model", "deviceModelRef: {name: MODEL}")
            return None
        model = self._models.get((device.namespace, name))
        if model is not None:
            return model.id, model
        if name in self._draft.known.profiles:
            return name, None
        spaces = [space for space, known in self._models if known == name]
        hint = f"it is in namespace `{spaces[0]}`, the device in `{device.namespace}`" if spaces else ""
        hint = hint or did_you_mean(name, [known for _, known in self._models] or ["no model is in the files"])
        self._draft.report.error(named.place, f"there is no DeviceModel `{name}`", hint)
        return None

    def _protocol(self, device: Resource, visits: list[Visit], model: Model | None) -> str:
        """Of the device, else of its properties, else of the model."""
        protocol = device.spec.get("protocol")
        if protocol is not None and protocol.is_map:
            own = protocol.get("customizedProtocol")
            named = protocol.get("protocolName") or (own.get("protocolName") if own is not None else None)
            if named is not None:
                return protocol_of(named.text)
            for key in protocol.keys():  # noqa: SIM118 - a View is no mapping
                if key in PROTOCOLS:
                    return key
        said = next((visit.protocol for visit in visits if visit.protocol), "")
        return said or protocol_of(model.protocol if model is not None else "")

    def _context(self, device: Resource, protocol: str, meta: dict[str, str]) -> Context:
        view = device.spec.get("protocol")
        config: View | None = None
        common: View | None = None
        if view is not None and view.as_map() is not None:
            own = view.get("customizedProtocol")
            config = view.get("configData") or view.get(protocol) or (visitors_config(own)[1] if own else None)
            common = view.get("common")
            config = config if config is None or config.as_map() is not None else None
            common = common if common is None or common.as_map() is not None else None
            known = {"protocolName", "configData", "common", "customizedProtocol", protocol}
            keep_rest(view, known, meta)
        place = device.spec if view is None else view
        return Context(self._draft, device.name, place, config, common, meta, self._secrets, protocol)

    def _tags(
        self, device: Resource, visits: list[Visit], model: Model | None, binding: Binding, context: Context
    ) -> dict[str, Made]:
        twins, made = twins_of(device), {}
        names = Names(self._draft.report, "property")
        for visit in visits:
            prop = self._property(visit, model, names, device)
            bound = None if prop is None else self._bound(prop, visit, binding, context)
            if prop is None or bound is None:
                _ = visit.view.data
                continue
            made[visit.name] = draw_tag(device, prop, visit, bound, twins.get(visit.name), self._draft)
        if model is not None:
            self._tell_left_out(device, visits, model)
        for name, view in twins.items():
            if name not in made:
                self._draft.report.ignored(view.place, f"the twin `{name}` belongs to no property that is read here")
                _ = view.data
        return made

    def _property(self, visit: Visit, model: Model | None, names: Names, device: Resource) -> Property | None:
        if model is None:
            return Property(visit.name, names.path_of(visit.name, visit.view.place), visit.view.place)
        found = model.properties.get(visit.name)
        if visit.name in model.skipped:
            self._draft.report.follows(visit.view.place, f"`{visit.name}` is left out, as it is of its model")
        elif found is None:
            text = f"model `{model.resource.shown}` has no property `{visit.name}`, which device `{device.shown}` has"
            self._draft.report.error(visit.view.place, text, did_you_mean(visit.name, model.properties))
        return found

    def _bound(self, prop: Property, visit: Visit, binding: Binding, context: Context) -> Bound | None:
        """Where the value is: the device's visitor wins over the model's."""
        config = visit.config
        if config is None and prop.visitors is not None:
            config = visitors_config(prop.visitors)[1]
        elif config is not None and prop.visitors is not None:
            self._draft.report.ignored(prop.visitors.place, f"the device's visitor of `{prop.name}` wins over this one")
            _ = prop.visitors.data
        if visit.protocol and context.protocol and visit.protocol != context.protocol:
            text = f"the visitor is of {visit.protocol}, the device of {context.protocol}: the device's counts"
            self._draft.report.changed(visit.view.place, text)
        return binding.bind(prop, config, visit.view, context)

    def _tell_left_out(self, device: Resource, visits: list[Visit], model: Model) -> None:
        here = {visit.name for visit in visits}
        for name in model.properties:
            if name not in here:
                text = f"device `{device.shown}` has no visitor for `{name}` of its model: left out"
                self._draft.report.ignored(device.spec.place, text)

    def _id(self, device: Resource) -> str:
        """The device's id; the second of two namespaces gets the namespace before it."""
        names, place = self._draft.device_names, device.view.place
        name = device.name
        if (chosen := names.id_of(name, place)) in self._taken:
            chosen = names.id_of(f"{device.namespace}_{name}", place)
        while chosen in self._taken:
            name += "_"
            chosen = names.id_of(f"kubeedge_{name}", place)
        self._taken.add(chosen)
        return chosen

    def _data(self, connection: Connection, profile: str, meta: dict[str, str]) -> dict[str, Any]:
        data: dict[str, Any] = {"profile": profile, **connection.device}
        if data.get("address") == "":  # a device that is still to be found: no other one has this address
            count = len(self._taken) + 1
            data["address"] = "00:00:" + ":".join(f"{count:08X}"[at : at + 2] for at in (0, 2, 4, 6))
        if not connection.ready:
            data["enabled"] = False
        data["meta"] = meta
        return data


def _nodes(spec: View) -> list[tuple[str, View]]:
    """Nodes that a device is meant for: `nodeName`, or the words of a selector."""
    found: list[tuple[str, View]] = []
    named, selector = spec.get("nodeName"), spec.get("nodeSelector")
    if named is not None and (text := named.as_text()):
        found.append((text, named))
    if selector is None:
        return found
    _ = selector.data
    terms = selector.get("nodeSelectorTerms") if selector.is_map else None
    for term in terms.items() if terms is not None else ():
        matches = term.get("matchExpressions") if term.is_map else None
        for match in matches.items() if matches is not None else ():
            values = match.get("values") if match.is_map else None
            found += [(value.text.strip(), value) for value in (values.items() if values is not None else ())]
    return found
