"""Payloads to Python values. Every error is a BadPayload with a text for people; nothing here takes more memory than a
small multiple of the payload.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

Decoder = Callable[[bytes], Any]

KEYED = frozenset({"json", "msgpack", "cbor"})
"""Formats whose payloads have places inside."""
MAX_DEPTH = 64
"""Of lists and maps inside each other. Real devices have four or five."""
_LOOSE = (b"NaN", b"Infinity")


class BadPayload(Exception):
    """Bytes that are not what the format says."""


def decoder(name: str) -> Decoder:
    """The decoder of a format. Raises RuntimeError with what to install when its library is missing."""
    if name == "cbor":
        return _cbor_decoder()
    return _DECODERS[name]


_decode_json = msgspec.json.Decoder().decode


def _json(payload: bytes) -> Any:
    try:
        return _decode_json(payload)
    except RecursionError:
        raise BadPayload("JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if any(word in payload for word in _LOOSE):
            return _loose_json(payload)
        raise BadPayload(f"no JSON: {error}") from None


def _loose_json(payload: bytes) -> Any:
    """NaN and Infinity are no JSON, and some devices send them."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"no JSON: {error}") from None


def _msgpack(payload: bytes) -> Any:
    import msgpack

    try:
        return msgpack.unpackb(payload, strict_map_key=False, timestamp=1)
    except RecursionError:
        raise BadPayload("msgpack is nested too deeply") from None
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise BadPayload(f"no msgpack: {error or type(error).__name__}") from None


def _cbor_decoder() -> Decoder:
    try:
        import cbor2
    except ImportError:
        raise RuntimeError("format cbor needs the cbor2 library: pip install 'fieldpost[cbor]'") from None

    def decode(payload: bytes) -> Any:
        try:
            return cbor2.loads(payload)
        except RecursionError:
            raise BadPayload("CBOR is nested too deeply") from None
        except Exception as error:  # decoders of CBOR tags raise what they please
            raise BadPayload(f"no CBOR: {error}") from None

    return decode


def _plain(payload: bytes) -> str:
    try:
        return payload.decode().strip()
    except UnicodeDecodeError:
        raise BadPayload("no text: the bytes are not UTF-8") from None


_DECODERS: dict[str, Decoder] = {"json": _json, "msgpack": _msgpack, "plain": _plain, "raw": bytes}


def guess(payload: bytes) -> str:
    """The format that a payload seems to have."""
    if not payload:
        return "plain"
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return _guess_binary(payload)
    if text.lstrip()[:1] in {"{", "["}:
        try:
            _json(payload)
        except BadPayload:
            return "plain"
        return "json"
    return "plain" if text.isprintable() or text.strip().isprintable() else "raw"


def _guess_binary(payload: bytes) -> str:
    for name in ("msgpack", "cbor"):
        try:
            if isinstance(decoder(name)(payload), dict | list):
                return name
        except (BadPayload, RuntimeError):
            continue
    return "raw"


def plain_json(value: Any, depth: int = 0) -> Any:
    """A list or map as JSON knows it: bytes as hexadecimal text, keys as texts. Raises BadPayload beyond MAX_DEPTH."""
    if depth > MAX_DEPTH:
        raise BadPayload(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        return {str(key): plain_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)
