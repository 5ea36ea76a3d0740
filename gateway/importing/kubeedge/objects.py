"""Custom resources of KubeEdge: which kinds there are, and who each of them is (name and namespace)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from gateway.importing.draft import Draft
from gateway.importing.report import Report
from gateway.importing.views import View
from gateway.settings.ids import did_you_mean

MODEL, DEVICE = "DeviceModel", "Device"
GROUP = "devices.kubeedge.io/"
VERSIONS = ("v1beta1", "v1alpha2")
_LISTS = {"List", "DeviceList", "DeviceModelList"}
_OTHERS = {"DeviceStatus", "DeviceAccess", "DeviceCluster"}
"""What a cluster keeps for itself."""

Name = tuple[str, str]
"""Namespace and name."""


class Resource(Struct, frozen=True, eq=False):
    """One object: `spec` is what a person wrote."""

    view: View
    kind: str
    version: str
    name: str
    namespace: str
    spec: View

    @property
    def key(self) -> Name:
        return self.namespace, self.name

    @property
    def shown(self) -> str:
        """Its name for people; the namespace is told where it is not the usual one."""
        return self.name if self.namespace == "default" else f"{self.namespace}/{self.name}"

    def known_by(self, names: Iterable[Name]) -> str:
        """A hint for a reference that leads nowhere."""
        return did_you_mean(self.name, [name for _, name in names])


def objects_in(views: Iterable[View], draft: Draft) -> list[Resource]:
    """Models and devices of all documents, in their order; what is neither is told."""
    found: dict[tuple[str, Name], Resource] = {}
    for view in _flat(views):
        resource = _resource(view, draft.report)
        if resource is None:
            _ = view.data  # all of it is told about already
            continue
        before = found.setdefault((resource.kind, resource.key), resource)
        if before is not resource:
            where = f"{before.view.place.file}:{before.view.place.line}"
            text = f"the {resource.kind} `{resource.shown}` is in the files twice (first in {where})"
            draft.report.error(view.place, text, "remove one of them")
            _ = view.data
    return list(found.values())


def _flat(views: Iterable[View]) -> Iterator[View]:
    """Documents, and the items of lists as `kubectl get -o yaml` prints them."""
    for view in views:
        kind, items = view.get("kind"), view.get("items")
        if items is None or kind is None or kind.text not in _LISTS:
            yield view
            continue
        view.get("apiVersion")
        if (meta := view.get("metadata")) is not None:
            _ = meta.data
        for item in items.as_list() or ():
            if (each := item.as_map()) is not None:
                yield each


def _resource(view: View, report: Report) -> Resource | None:
    kind, version, meta = view.get("kind"), view.get("apiVersion"), view.get("metadata")
    if kind is None or version is None or not version.text.startswith(GROUP):
        report.error(view.place, "this is no object of KubeEdge", f"apiVersion: {GROUP}{VERSIONS[0]}, kind: {DEVICE}")
        return None
    if kind.text in _OTHERS:
        report.ignored(kind.place, f"a {kind.text} holds what the cluster knows, nothing that is configured")
        return None
    number = version.text.removeprefix(GROUP)
    if kind.text not in {MODEL, DEVICE}:
        report.error(kind.place, f"`{kind.text[:40]}` is not understood", f"known: {MODEL}, {DEVICE}")
        return None
    if number not in VERSIONS:
        report.error(version.place, f"version `{number[:40]}` is not understood", f"known: {', '.join(VERSIONS)}")
        return None
    name = None if meta is None else meta.get("name")
    text = None if name is None else name.as_text()
    if meta is None or name is None or not text:
        place = view.place if meta is None else meta.place
        report.error(place, f"the {kind.text} has no name", "metadata: {name: press-1}")
        return None
    space = meta.get("namespace")
    spec = view.get("spec")
    if spec is None or (spec := spec.as_map()) is None:
        if view.get("spec") is None:
            report.error(view.place, f"the {kind.text} `{text}` has no `spec`")
        return None
    return Resource(view, kind.text, number, text, (space.as_text() if space is not None else "") or "default", spec)
