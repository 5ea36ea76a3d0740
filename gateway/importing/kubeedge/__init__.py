"""KubeEdge's DeviceModel and Device (v1beta1, v1alpha2): models become profiles, devices devices of channels.

References go by name and namespace, over all files at once. Nothing is guessed without a note.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.importing.draft import Draft
from gateway.importing.kubeedge.devices import Devices
from gateway.importing.kubeedge.model import Model, read_model
from gateway.importing.kubeedge.objects import DEVICE, MODEL, Name, Resource, objects_in
from gateway.importing.kubeedge.sharing import put_devices
from gateway.importing.sources import Source
from gateway.importing.views import View


def convert(sources: Sequence[Source], views: Sequence[View], draft: Draft) -> None:  # noqa: ARG001 - as all importers
    """Draw all models and devices."""
    found = objects_in(views, draft)
    models: dict[Name, Model] = {}
    for resource in found:
        if resource.kind == MODEL:
            models[resource.key] = read_model(resource, _profile(resource, models, draft), draft)
    devices = Devices(draft, models)
    drawn = [each for resource in found if resource.kind == DEVICE and (each := devices.draw(resource)) is not None]
    put_devices(drawn, models.values(), draft)


def _profile(resource: Resource, models: dict[Name, Model], draft: Draft) -> str:
    """The id of a model's profile; the second of two namespaces gets the namespace before it."""
    place = resource.view.place
    taken = {*draft.profiles, *(model.id for model in models.values())}
    name, chosen = resource.name, draft.profile_names.id_of(resource.name, place)
    if chosen in taken:
        chosen = draft.profile_names.id_of(f"{resource.namespace}_{name}", place)
    while chosen in taken:
        name += "_"
        chosen = draft.profile_names.id_of(f"kubeedge_{name}", place)
    return chosen


__all__ = ["convert"]
