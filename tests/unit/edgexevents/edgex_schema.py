"""What EdgeX' core-data takes, as a JSON Schema of our own, and a small checker for the words that it uses.

Facts from the public structs of edgexfoundry/go-mod-core-contracts: `dtos/requests/event.go` (AddEventRequest),
`dtos/event.go`, `dtos/reading.go`, `dtos/common/base.go`, `common/constants.go` (value types), `common/validator.go`
(rules `uuid`, `edgex-dto-none-empty-string`, `edgex-dto-no-reserved-chars`, `edgex-dto-value-type`); of
edgexfoundry/go-mod-messaging `pkg/types/envelope.go`. What a struct's tags cannot say (ValidateValue) is `value_fault`.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import unquote

UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
NAME = {"type": "string", "pattern": r"^[^/#+$]*[^/#+$\s][^/#+$]*$"}
NUMBERS = [f"{kind}{bits}" for kind in ("Uint", "Int") for bits in (8, 16, 32, 64)] + ["Float32", "Float64"]
SIMPLE = ["Bool", "String", *NUMBERS]
ARRAYS = [f"{kind}Array" for kind in SIMPLE]
VALUE_TYPES = [*SIMPLE, *ARRAYS, "Binary", "Object"]
"""The 26 of EdgeX 3.0; 3.1 adds ObjectArray."""
ORIGIN = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
TAGS = {"type": "object"}

_BASE = {
    "id": {"type": "string", "pattern": UUID},
    "origin": ORIGIN,
    "deviceName": NAME,
    "resourceName": NAME,
    "profileName": NAME,
    "valueType": {"enum": [*VALUE_TYPES, "ObjectArray"]},
    "units": {"type": "string"},
    "tags": TAGS,
}
_NEEDED = ["id", "origin", "deviceName", "resourceName", "profileName", "valueType"]


def _reading(kinds: list[str], **members: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**_BASE, "valueType": {"enum": kinds}, **members},
        "required": [*_NEEDED, *members],
        "additionalProperties": False,
    }


READING = {
    "anyOf": [
        _reading([*SIMPLE, *ARRAYS], value={"type": "string"}),
        _reading(["Binary"], binaryValue={"type": "string"}, mediaType={"type": "string", "pattern": "."}),
        _reading(["Object", "ObjectArray"], objectValue={"type": ["object", "array"]}),
        _reading([*VALUE_TYPES, "ObjectArray"], value={"type": "null"}),
    ]
}
EVENT = {
    "type": "object",
    "properties": {
        "apiVersion": {"enum": ["v3"]},
        "id": {"type": "string", "pattern": UUID},
        "deviceName": NAME,
        "profileName": NAME,
        "sourceName": NAME,
        "origin": ORIGIN,
        "tags": TAGS,
        "readings": {"type": "array", "minItems": 1, "items": READING},
    },
    "required": ["apiVersion", "id", "deviceName", "profileName", "sourceName", "origin", "readings"],
    "additionalProperties": False,
}
ADD_EVENT = {
    "type": "object",
    "properties": {
        "apiVersion": {"enum": ["v3"]},
        "requestId": {"type": "string", "pattern": UUID},
        "event": EVENT,
    },
    "required": ["apiVersion", "event"],
    "additionalProperties": False,
}
ENVELOPE = {
    "type": "object",
    "properties": {
        "apiVersion": {"enum": ["v3"]},
        "receivedTopic": {"type": "string"},
        "correlationID": {"type": "string", "pattern": UUID},
        "requestID": {"type": "string"},
        "errorCode": {"enum": [0]},
        "payload": {"type": "string"},
        "contentType": {"enum": ["application/json"]},
    },
    "required": ["apiVersion", "correlationID", "errorCode", "payload", "contentType"],
    "additionalProperties": False,
}

_PYTHON = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}


def faults(value: Any, schema: dict[str, Any], at: str = "$") -> list[str]:
    """What of `value` the schema refuses."""
    if "anyOf" in schema:
        tried = [faults(value, each, at) for each in schema["anyOf"]]
        return [] if [] in tried else [f"{at}: none of {len(tried)} forms: {min(tried, key=len)}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is none of {schema['enum']}"]
    wanted = schema.get("type", [])
    kinds = tuple(_PYTHON[name] for name in ([wanted] if isinstance(wanted, str) else wanted))
    if kinds and (not isinstance(value, kinds) or isinstance(value, bool)):
        return [f"{at}: {value!r} is no {wanted}"]
    found = []
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{at}: {value!r} does not match {schema['pattern']}")
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{at}: {value} is out of range")
    if isinstance(value, list) and "items" in schema:
        found += [f"{at}: too short"] * (len(value) < schema.get("minItems", 0))
        found += [each for i, item in enumerate(value) for each in faults(item, schema["items"], f"{at}[{i}]")]
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        found += [f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value]
        found += [f"{at}: {name} is not known" for name in value if name not in known]
        found += [each for k, v in value.items() if k in known for each in faults(v, known[k], f"{at}.{k}")]
    return found


def value_fault(reading: dict[str, Any]) -> str:
    """What ValidateValue (Go's strconv) refuses of a value of text; empty when it takes it."""
    kind, text = reading["valueType"], reading.get("value")
    if text is None:
        return ""
    if kind.endswith("Array"):
        if not (text.startswith("[") and text.endswith("]")):
            return f"{text!r} is no array"
        if kind == "StringArray":
            return ""
        parts = [part.strip() for part in text[1:-1].split(",")] if text != "[]" else []
        return next((fault for part in parts if (fault := _simple_fault(kind[:-5], part))), "")
    return _simple_fault(kind, text)


def _simple_fault(kind: str, text: str) -> str:
    if kind == "String":
        return ""
    if kind == "Bool":
        return "" if text in {"true", "false"} else f"{text!r} is no Bool"
    if kind.startswith("Float"):
        # the form of 'e' with the fewest digits, and nothing else
        return "" if re.fullmatch(r"-?\d(\.\d*[1-9])?e[+-]\d\d\d?", text) else f"{text!r} is no float in e-form"
    if not re.fullmatch(r"-?\d+", text):
        return f"{text!r} is no integer"
    bits, signed = int(re.sub(r"\D", "", kind)), not kind.startswith("U")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return "" if low <= int(text) <= high else f"{text} is no {kind}"


def event_faults(event: dict[str, Any]) -> list[str]:
    """Everything that core-data would refuse of an event."""
    found = faults(event, EVENT)
    for reading in event.get("readings", ()):
        found += filter(None, [value_fault(reading)])
        if (reading["deviceName"], reading["profileName"]) != (event["deviceName"], event["profileName"]):
            found.append("a reading of another device")
        if "binaryValue" in reading:
            base64.b64decode(reading["binaryValue"], validate=True)
    return found


def opened(topic: str, payload: bytes) -> dict[str, Any]:
    """The event of a message on EdgeX' bus, checked as its core-data does: envelope, request, topic, event."""
    envelope = json.loads(payload)
    assert not (found := faults(envelope, ENVELOPE)), found
    request = json.loads(base64.b64decode(envelope["payload"], validate=True))
    assert not (found := faults(request, ADD_EVENT)), found
    event: dict[str, Any] = request["event"]
    assert not (found := event_faults(event)), found
    levels = topic.split("/")
    assert len(levels) >= 6
    assert [unquote(level) for level in levels[-3:]] == [
        event["profileName"],
        event["deviceName"],
        event["sourceName"],
    ]
    return event
