"""What is sent for a write: a method, a path and a body, out of a tag's `set` and a value."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote, quote_plus

from msgspec import Struct

from drivers.http.settings import Setting, TagSettings
from gateway.errors import WriteRejected
from gateway.model import Tag, Value, ValueType
from gateway.transform import to_raw

MARK: Final = "$value"
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


class Sending(Struct, frozen=True):
    """A request that writes."""

    method: str
    path: str
    body: bytes
    content_type: str


def sending(tag: Tag, value: Value) -> Sending:
    """Raises WriteRejected for a value that cannot be written, before anything is sent. `path` is below the base."""
    settings: TagSettings = tag.spec.source
    setting = settings.set
    if setting is None:
        raise WriteRejected(f"{tag.path} has no `set`", code=422)
    raw = _raw(tag, setting, value)
    path = (setting.path or settings.path).replace(MARK, quote(_plain(raw), safe=""))
    if setting.body is None:
        return Sending(setting.method, path, b"", "")
    if not isinstance(setting.body, str):
        body = json.dumps(_filled(setting.body, raw), ensure_ascii=False)
        return Sending(setting.method, path, body.encode(), setting.content_type or JSON)
    kind = setting.content_type or "text/plain; charset=utf-8"
    if JSON in kind:
        text = json.dumps(raw, ensure_ascii=False)
    else:
        text = quote_plus(_plain(raw)) if FORM in kind else _plain(raw)
    return Sending(setting.method, path, setting.body.replace(MARK, text).encode(), kind)


def _raw(tag: Tag, setting: Setting, value: Value) -> Any:
    kind = tag.spec.type
    if kind is ValueType.STRING:
        if not isinstance(value, str):
            raise WriteRejected(f"{tag.path} takes a text", code=422)
        return value
    if kind is ValueType.OBJECT:
        try:
            return json.loads(value) if isinstance(value, str) else None
        except (ValueError, RecursionError) as error:
            raise WriteRejected(f"{tag.path} takes JSON: {error}", code=422) from error
    raw = to_raw(tag.spec, value)
    if kind is not ValueType.BOOL:
        return raw
    named = setting.on if raw else setting.off
    return bool(raw) if named is None else named


def _plain(raw: Any) -> str:
    return raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)


def _filled(body: Any, raw: Any) -> Any:
    """A mark that is a whole value becomes the value with its kind; inside a text it becomes text."""
    if isinstance(body, dict):
        return {key: _filled(inner, raw) for key, inner in body.items()}
    if isinstance(body, list):
        return [_filled(inner, raw) for inner in body]
    if isinstance(body, str):
        return raw if body == MARK else body.replace(MARK, _plain(raw))
    return body
