"""Device models: the properties of a kind of devices, of v1beta1 (`type: INT`) and v1alpha2 (`type: {int: {...}}`)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.importing.draft import Draft
from gateway.importing.kubeedge.kept import keep_rest, put
from gateway.importing.kubeedge.objects import Resource
from gateway.importing.names import Names, literal
from gateway.importing.report import Place
from gateway.importing.views import View

TYPES = {
    "int": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
    "boolean": "bool",
    "bytes": "bytes",
}
"""Kind of a property -> our type, where nothing else says how wide it is."""
_ALIASES = {"integer": "int", "bool": "boolean"}
_ACCESS = {"readonly": "r", "readwrite": "rw", "writeonly": "w"}
_PROPERTY = {
    "name", "type", "description", "accessMode", "minimum", "maximum", "unit",
    "defaultValue", "visitors", "dataType",
}  # fmt: skip
_NESTED = {"accessMode", "minimum", "maximum", "unit", "defaultValue"}


class Property(Struct, frozen=True):
    """What a model says of a property. `path`: of the tag. `kind`: a key of TYPES, empty where no model is known.

    `low`, `high`: bounds of what may be written. `visitors`: where the value is, if the model says so.
    """

    name: str
    path: str
    place: Place
    kind: str = ""
    access: str = "r"
    low: float | None = None
    high: float | None = None
    unit: str = ""
    description: str = ""
    meta: tuple[tuple[str, str], ...] = ()
    visitors: View | None = None

    @property
    def type(self) -> str:
        return TYPES.get(self.kind, "")


class Model(Struct, frozen=True):
    """A model that was read: `id` of the profile, properties by name."""

    id: str
    resource: Resource
    properties: dict[str, Property]
    protocol: str
    meta: dict[str, str]
    skipped: frozenset[str]
    """Properties that cannot be had, and were told."""


def kind_of(view: View) -> str | None:
    """The kind of a type's name, told where there is none by it."""
    word = view.text.strip().lower()
    word = _ALIASES.get(word, word)
    if word in TYPES:
        return word
    if word == "stream":
        view.report.warning(view.place, "a STREAM has no values: the property is left out")
        return None
    view.report.error(view.place, f"`{view.text[:40]}` is no type", "INT, FLOAT, DOUBLE, STRING, BOOLEAN or BYTES")
    return None


def read_model(resource: Resource, profile: str, draft: Draft) -> Model:
    """A model with every property that can be read; the others are told."""
    names = Names(draft.report, "property")
    found: dict[str, Property] = {}
    skipped: set[str] = set()
    listed = resource.spec.get("properties")
    for view in (listed.as_list() or []) if listed is not None else []:
        name = _name(view)
        if name is None:
            continue
        if name in found or name in skipped:
            draft.report.error(view.place, f"the property `{name}` is in the model twice", "remove one of them")
            continue
        made = _property(view, name, names)
        if made is None:
            skipped.add(name)
        else:
            found[name] = made
    protocol = resource.spec.get("protocol")
    meta = metadata(resource)
    keep_rest(resource.spec, {"properties", "protocol", "propertyVisitors"}, meta)
    word = protocol.text.strip() if protocol is not None else ""
    return Model(profile, resource, found, word, meta, frozenset(skipped))


def metadata(resource: Resource) -> dict[str, str]:
    """Labels as free texts, and the name where it differs from the id it has here."""
    meta: dict[str, str] = {}
    above = resource.view.get("metadata")
    labels = above.get("labels") if above is not None else None
    if labels is not None and labels.as_map() is not None:
        for key, view in labels.entries():
            if labels.get(key) is not None:
                put(meta, key, view)
    meta["name"] = literal(resource.name)
    if resource.namespace != "default":
        meta["namespace"] = literal(resource.namespace)
    return meta


def _name(view: View) -> str | None:
    if view.as_map() is None:
        return None
    name = view.get("name")
    if name is None:
        view.report.error(view.place, "a property has no name", "- name: temperature")
        return None
    return name.as_text() or None


def _property(view: View, name: str, names: Names) -> Property | None:
    kind_view = view.get("type")
    if kind_view is None:
        view.report.error(view.place, f"the property `{name}` has no type", "type: INT")
        return None
    rest: View | None = view
    if kind_view.is_map:
        kind, rest = _nested(kind_view, name)
    else:
        kind = kind_of(kind_view)
    if kind is None or rest is None:
        _ = view.data
        return None
    meta: dict[str, str] = {}
    keep_rest(view, _PROPERTY, meta)
    if rest is not view:
        keep_rest(rest, _NESTED, meta)
    if (default := rest.get("defaultValue")) is not None:
        put(meta, "imported.defaultValue", default)
        view.report.changed(default.place, "a default is never written by itself: it is kept in `meta`")
    path = names.path_of(name, view.place)
    if path != name:
        meta["name"] = literal(name)
    return Property(
        name=name,
        path=path,
        place=view.place,
        kind=kind,
        access=_access(rest),
        low=bound(rest, "minimum"),
        high=bound(rest, "maximum"),
        unit=_text(rest, "unit"),
        description=_text(view, "description"),
        meta=tuple(meta.items()),
        visitors=view.get("visitors"),
    )


def _nested(view: View, name: str) -> tuple[str | None, View | None]:
    """Kind and details of `type: {int: {...}}`."""
    words = view.keys()
    if len(words) != 1:
        text = f"the type of `{name}` is {' and '.join(words[:5]) or 'empty'}"
        view.report.error(view.place, text, "a property has one type: keep one key")
        return None, None
    word = _ALIASES.get(words[0].lower(), words[0].lower())
    if word not in TYPES:
        view.report.error(view.key_place(words[0]), f"`{words[0][:40]}` is no type", f"known: {', '.join(TYPES)}")
        return None, None
    below = view.get(words[0])
    if below is None:
        return word, view.emptied()
    return (word, below) if below.as_map() is not None else (None, None)


def _access(view: View) -> str:
    found = view.get("accessMode")
    if found is None:
        return "r"
    access = _ACCESS.get(found.text.strip().lower())
    if access is None:
        view.report.error(found.place, f"`{found.text[:40]}` is no access mode", "ReadOnly or ReadWrite")
    return access or "r"


def bound(view: View, *keys: str) -> float | None:
    """A limit, which may be a text."""
    found = view.get(*keys)
    return found.as_number() if found is not None else None


def _text(view: View, key: str) -> str:
    found: View | None = view.get(key)
    text: Any = found.as_text() if found is not None else ""
    return " ".join((text or "").split())
