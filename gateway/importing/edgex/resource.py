"""One device resource as a tag: its type, place, transforms, limits and texts."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.importing.draft import Draft
from gateway.importing.edgex.kept import keep_rest, put, put_all
from gateway.importing.edgex.kinds import NAMES, Kind, Misfit, kind_of, value_of
from gateway.importing.edgex.modbus import KNOWN as MODBUS
from gateway.importing.edgex.modbus import modbus_keys
from gateway.importing.names import literal
from gateway.importing.report import Place
from gateway.importing.views import View

_KNOWN = ("name", "description", "isHidden", "tags", "properties", "attributes")
_PROPERTIES = (
    *("valueType", "readWrite", "minimum", "maximum", "scale", "offset", "base", "mask", "shift", "units"),
    *("defaultValue", "assertion", "mediaType", "optional"),
)
_OPCUA = ("nodeId", "methodId", "objectId")
_ACCESS = {"R": "r", "W": "w", "RW": "rw", "WR": "rw"}
_UNSET = {"scale": 1, "offset": 0, "base": 0, "mask": 0, "shift": 0}


class Resource(Struct):
    """`name` as EdgeX has it, `path` of the tag. `default`: as written, for sets. `method`: keys of an OPC UA method,
    which is no tag.
    """

    name: str
    path: str
    kind: Kind
    access: str
    place: Place
    keys: dict[str, Any]
    protocol: str = ""
    default: View | None = None
    method: dict[str, str] | None = None

    @property
    def takes_labels(self) -> bool:
        """Whether its value here is a whole number or a bool."""
        factors = (self.keys.get(key, 1) for key in ("scale", "offset"))
        whole = all(float(factor).is_integer() for factor in factors) and "base" not in self.keys
        return whole and not self.keys["type"].startswith("float") and self.keys["type"] not in _TEXTS


_TEXTS = {"string", "bytes", "object"}


def protocol_of(view: View) -> str:
    """Whose attributes a resource has: modbus, opcua, or empty where that does not matter."""
    attributes = next((each for key, each in view.entries() if key == "attributes"), None)
    names = {name.lower() for name in attributes.keys()} if attributes is not None else set()  # noqa: SIM118
    if "primarytable" in names:
        return "modbus"
    return "opcua" if names & {"nodeid", "methodid"} else ""


def read_resource(view: View, name: str, path: str, draft: Draft) -> Resource | None:
    """The resource; None when it cannot be a tag (all reported)."""
    properties = view.get("properties")
    if properties is None or properties.as_map() is None:
        if properties is None:
            draft.report.error(view.place, f"the resource `{name}` has no `properties`", "properties: {valueType: ...}")
        return None
    kind, access = _kind(properties), _access(properties)
    if kind is None or access is None:
        return None
    made = Resource(name, path, kind, access, view.place, {}, protocol_of(view), properties.get("defaultValue"))
    meta: dict[str, str] = {}
    if not _place(view, made, meta, draft):
        return None
    if access != "r":
        made.keys["access"] = access
    if (unit := properties.get("units")) is not None and unit.text.strip():
        made.keys["unit"] = literal(unit.text.strip())
    _transforms(properties, made, draft)
    _limits(properties, made)
    _assertion(properties, made)
    _words(view, properties, made, meta)
    return made


def _kind(properties: View) -> Kind | None:
    found = properties.get("valueType")
    if found is None:
        old = "value" in properties.keys()  # noqa: SIM118 - a View is no mapping
        hint = "a profile of EdgeX v1 has another schema: convert it to v2 or v3 first" if old else "valueType: Int16"
        properties.report.error(properties.place, "`valueType` is missing", hint)
        return None
    kind = kind_of(found.text)
    if kind is None:
        properties.report.error(found.place, f"`{found.text[:40]}` is no value type", f"known: {', '.join(NAMES)}")
    return kind


def _access(properties: View) -> str | None:
    found = properties.get("readWrite")
    if found is None:
        properties.report.guessed(properties.place, "`readWrite` is missing: read only")
        return "r"
    access = _ACCESS.get(found.text.strip().upper())
    if access is None:
        properties.report.error(found.place, f"`{found.text[:40]}` is none of R, W and RW", "readWrite: R")
    return access


def _place(view: View, made: Resource, meta: dict[str, str], draft: Draft) -> bool:
    """Address and type. False when there is no address."""
    attributes = view.get("attributes")
    made.keys["type"] = made.kind.type
    if attributes is None:
        return True
    if attributes.as_map() is None:
        return False
    known: tuple[str, ...] = ()
    if made.protocol == "modbus":
        found = modbus_keys(attributes, made.kind, strict=draft.options.strict_edgex)
        if found is None:
            return False
        made.keys = {"address": found[0].pop("address"), "type": found[1].type, **found[0]}
        if found[1] is not made.kind:
            meta["valueType"] = made.kind.name
        known = MODBUS
    elif made.protocol == "opcua":
        if not _node(attributes, made):
            return False
        known = _OPCUA
    folded = {name.lower() for name in known}
    same = [name for name in attributes.keys() if name.lower() in folded]  # noqa: SIM118 - a View is no mapping
    keep_rest(attributes, same, meta, "imported.attributes.")
    return True


def _node(attributes: View, made: Resource) -> bool:
    method = attributes.get_folded("methodId")
    if method is not None:
        made.method = {"address": literal(method.text.strip())}
        if (owner := attributes.get_folded("objectId")) is not None:
            made.method["object"] = literal(owner.text.strip())
        return True
    node = attributes.get_folded("nodeId")
    text = node.as_text() if node is not None else None
    if text is None:
        return False
    identifier = text.rpartition(";")[2]
    # behind a `#` our addresses have a part of the value: one at the end says that there is none
    end = "#" if identifier.startswith("s=") and "#" in identifier else ""
    made.keys = {"address": literal(text) + end, **made.keys}
    return True


def _transforms(properties: View, made: Resource, draft: Draft) -> None:
    report = draft.report
    for key, unset in _UNSET.items():
        found = properties.get(key)
        if found is None or not found.text.strip():
            continue
        whole = key in {"mask", "shift"}
        number = found.as_whole(-63 if key == "shift" else 0) if whole else found.as_number()
        if number is None or number == unset:
            continue
        if key == "scale" and number == 0:
            report.error(found.place, "a scale of 0 makes every value 0", "remove `scale` or write 1")
            continue
        if not made.kind.is_number or (whole and made.kind.is_float):
            report.ignored(found.place, f"EdgeX has no {key} for a {made.kind.name}")
            continue
        made.keys[key] = number
    _check_way_back(properties, made, strict=draft.options.strict_edgex)
    if draft.options.strict_edgex:
        if made.kind.type != made.keys["type"]:
            made.keys["strict_edgex"] = made.kind.type
    elif made.kind.is_whole and made.keys["type"] == made.kind.type and not made.takes_labels:
        found = next((properties.get(key) for key in ("scale", "offset", "base") if key in made.keys), None)
        if found is not None:
            text = f"the value of `{made.name}` is a fraction here: EdgeX casts the factor to {made.kind.name} first"
            report.changed(found.place, text)


def _check_way_back(properties: View, made: Resource, *, strict: bool) -> None:
    """What cannot be undone cannot be written: Modbus alone writes some bits of a value and leaves the others."""
    lossy = [key for key in ("mask", "shift", *(("base",) if strict else ())) if key in made.keys]
    if made.access != "r" and lossy and (strict or made.protocol != "modbus"):
        why = "EdgeX has no way back" if strict else "the other bits of the value would be lost"
        text = f"`{made.name}` is read only here: with {lossy[0]} {why}"
        properties.report.changed(properties.place, text)
        made.access = "r"
        del made.keys["access"]


def _limits(properties: View, made: Resource) -> None:
    limits: dict[str, Any] = {}
    for key, mine in (("minimum", "min"), ("maximum", "max")):
        found = properties.get(key)
        if found is None or not found.text.strip() or made.kind.type == "bool":
            continue
        if made.access == "r" or not made.kind.is_number:
            why = "it is never written" if made.access == "r" else f"a {made.kind.name} has no order"
            properties.report.ignored(found.place, f"`{key}` limits what is written, and {why}")
            continue
        number = found.as_number()
        if number is not None:
            limits[mine] = number
    if len(limits) == 2 and limits["min"] > limits["max"]:
        properties.report.error(properties.place, f"minimum {limits['min']} is above maximum {limits['max']}")
        return
    if limits:
        made.keys["write"] = limits


def _assertion(properties: View, made: Resource) -> None:
    found = properties.get("assertion")
    if found is None or not found.text.strip():
        return
    if made.access == "w":
        properties.report.ignored(found.place, "an assertion needs a value that can be read")
        return
    try:
        value = value_of(made.kind, found.text)
    except Misfit as error:
        properties.report.error(found.place, f"the assertion can never hold: {error}")
        return
    made.keys["expect"] = escaped(value)
    properties.report.changed(found.place, f"another value of `{made.name}` makes it bad and its device degraded")


def _words(view: View, properties: View, made: Resource, meta: dict[str, str]) -> None:
    hidden = view.get("isHidden")
    if hidden is not None and hidden.as_flag():
        made.keys["hidden"] = True
    description = view.get("description")
    if description is not None and description.text.strip():
        made.keys["description"] = literal(description.text.strip())
    if made.kind.name not in {"Binary", "Object"} and made.kind.type in {"bytes", "object"}:
        meta["valueType"] = made.kind.name
    if made.path != made.name:
        meta["name"] = literal(made.name)
    put_all(meta, properties, ("mediaType", "optional"))
    put(meta, "defaultValue", made.default)
    put(meta, "tags", view.get("tags"))
    keep_rest(properties, _PROPERTIES, meta)
    keep_rest(view, _KNOWN, meta)
    if meta:
        made.keys["meta"] = meta


def escaped(value: Any) -> Any:
    """A value with the braces of its texts doubled."""
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, list):
        return [escaped(each) for each in value]
    if isinstance(value, dict):
        return {key: escaped(each) for key, each in value.items()}
    return value


__all__ = ["Resource", "escaped", "protocol_of", "read_resource"]
