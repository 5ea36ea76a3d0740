"""Addresses of tags: node ids and browse paths, with the part of the value that is meant.

`ns=2;s=Line.Speed` · `nsu=http://plant/line;s=Line.Speed` · `i=2258` · `/Objects/Line/Speed` · `/Objects/2:Line/Speed`
· `Line/Speed` (below the device's root), each with selectors behind: `[3]`, `[1,2]`, `.field`, `[0].field[2]`.
A text identifier that ends in brackets or has dots keeps them: selectors of `s=` addresses stand behind a `#`:
`ns=2;s=Line.Speeds#[3]`, `ns=2;s=Line.Axis#.position`. Behind every other form the `#` may be left out.
The last `#` counts, and a `#` at the end says that no selectors follow: `ns=2;s=Line#[3]#` is the node `Line#[3]`.
In names of a path `&/`, `&:` and `&&` are a slash, a colon and an ampersand of the name.
"""

from __future__ import annotations

import re
import uuid
from base64 import b64decode, b64encode
from binascii import Error as BadBase64

from msgspec import Struct

LOCAL = 1
"""Namespaces 0 (OPC UA) and 1 (the server's own) keep their index."""
Selector = int | str
_KINDS = "isgb"
_ID = re.compile(r"(?:ns=(?P<ns>\d{1,5});|nsu=(?P<uri>[^;]+);)?(?P<kind>[isgb])=(?P<text>.+)", re.DOTALL)
_SELECT = re.compile(r"\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]|\.([A-Za-z_]\w*)")
_TAIL = re.compile(r"(?:\[\s*\d+(?:\s*,\s*\d+)*\s*\]|\.[A-Za-z_]\w*)+$")
_INDEXED = re.compile(r"\A(\d{1,5}):")
_UNESCAPED = re.compile(r"&([&/:])")
_SEGMENT = re.compile(r"(?:(\d{1,5}):)?(.+)", re.DOTALL)
_MOST_LENGTH = 4096
_MOST_SEGMENTS = 64


class AddressError(ValueError):
    """An address that cannot be read. `hint` shows the form."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class Namespace(Struct, frozen=True):
    """Which namespace is meant: by URI, or by index as it was when the address was first used."""

    index: int = 0
    uri: str = ""

    def __str__(self) -> str:
        return f"nsu={self.uri};" if self.uri else f"ns={self.index};" if self.index else ""


class NodeAddress(Struct, frozen=True):
    """A node id. `identifier`: int, str, UUID or bytes."""

    namespace: Namespace
    identifier: int | str | uuid.UUID | bytes
    selectors: tuple[Selector, ...] = ()


class PathAddress(Struct, frozen=True):
    """Names from the root folder on. A segment without a namespace index matches the name in any namespace."""

    segments: tuple[tuple[int | None, str], ...]
    selectors: tuple[Selector, ...] = ()


Address = NodeAddress | PathAddress


def parse(text: str, *, root: str = "", namespace: str | int = "") -> Address:
    """An address as a person writes it. `root`: what relative paths stand behind; `namespace`: URI or index of node ids
    without one. Raises AddressError.
    """
    text = text.strip()
    if not text or len(text) > _MOST_LENGTH:
        raise AddressError("the address is empty" if not text else f"the address is longer than {_MOST_LENGTH}", HINT)
    if _looks_like_id(text):
        return _node(text, namespace)
    return _path(text, root)


HINT = "address: ns=2;s=Line.Speed, or address: /Objects/Line/Speed"


def _looks_like_id(text: str) -> bool:
    head = text.partition(";")[0]
    return head.startswith(("ns=", "nsu=")) or (text[:1] in _KINDS and text[1:2] == "=")


def _node(text: str, default: str | int) -> NodeAddress:
    found = _ID.fullmatch(text)
    if found is None:
        raise AddressError(f"{text!r} is no node id", HINT)
    kind, written = found["kind"], found["text"]
    body, behind = _parted(written) if kind == "s" else (written, "")
    if kind != "s":
        tail = _TAIL.search(body)
        if tail is not None:
            body, behind = body[: tail.start()], tail.group()
        body = body.removesuffix("#")
    if found["ns"] is not None:
        space = Namespace(index=int(found["ns"]))
    elif found["uri"] is not None:
        space = Namespace(uri=found["uri"])
    else:
        space = namespace_of(default)
    if not body:
        raise AddressError(f"{text!r} has no identifier", HINT)
    return NodeAddress(space, _identifier(kind, body), _selectors(behind))


def namespace_of(written: str | int) -> Namespace:
    """A namespace by URI or index; empty: OPC UA's own."""
    if isinstance(written, int) or written.isdigit():
        return Namespace(index=int(written))
    return Namespace(uri=written)


def _identifier(kind: str, text: str) -> int | str | uuid.UUID | bytes:
    if kind == "s":
        return text
    try:
        if kind == "i":
            number = int(text)
            _ = number.to_bytes(4, "big")  # 0 to 4294967295
            return number
        return uuid.UUID(text) if kind == "g" else b64decode(text, validate=True)
    except (ValueError, OverflowError, BadBase64) as error:
        what = {"i": "number", "g": "GUID", "b": "base64 text"}[kind]
        raise AddressError(f"{kind}={text} holds no {what}: {error}", HINT) from error


def _path(text: str, root: str) -> PathAddress:
    tail = _TAIL.search(text) if "[" in text or "#" in text else None
    body, behind = _parted(text)
    if body != text:
        text = body
    elif tail is not None:
        text, behind = text[: tail.start()], tail.group()
    if not text.startswith("/"):
        if not root.startswith("/"):
            raise AddressError(f"{text!r} is no node id, and a path begins with / unless the device has a root", HINT)
        text = f"{root.rstrip('/')}/{text}"
    segments = []
    for part in _split(text.removeprefix("/").removesuffix("/") if not text.endswith("&/") else text.removeprefix("/")):
        found = _SEGMENT.fullmatch(part)
        if found is None:
            raise AddressError(f"{text!r} has an empty name between two slashes", HINT)
        segments.append((None if found[1] is None else int(found[1]), _UNESCAPED.sub(r"\1", found[2])))
    if not segments or len(segments) > _MOST_SEGMENTS:
        raise AddressError(f"{text!r} is no path of 1 to {_MOST_SEGMENTS} names", HINT)
    return PathAddress(tuple(segments), _selectors(behind))


def _split(text: str) -> list[str]:
    """Names of a path, escaped; `&/` is a slash in a name and `&&` an ampersand (OPC 10000-4, A.2 escapes with &)."""
    names, place = [""], 0
    while place < len(text):
        if text[place] == "&" and text[place + 1 : place + 2] in {"/", "&"}:
            names[-1] += text[place : place + 2]
            place += 1
        elif text[place] == "/":
            names.append("")
        else:
            names[-1] += text[place]
        place += 1
    return names


def _escaped(name: str) -> str:
    escaped = name.replace("&", "&&").replace("/", "&/")
    return _INDEXED.sub(r"\1&:", escaped)  # a name that begins as if it had a namespace


def _parted(text: str) -> tuple[str, str]:
    """What stands before and behind the last `#`, when that divides: a name may have a # of its own."""
    body, mark, behind = text.rpartition("#")
    return (body, behind) if mark and (not behind or _is_selection(behind)) else (text, "")


def _is_selection(text: str) -> bool:
    return bool(text) and _TAIL.fullmatch(text) is not None


def _selectors(text: str) -> tuple[Selector, ...]:
    selectors: list[Selector] = []
    for numbers, name in _SELECT.findall(text):
        if name:
            selectors.append(name)
        else:
            selectors.extend(int(number) for number in numbers.split(","))
    return tuple(selectors)


def show_selectors(selectors: tuple[Selector, ...]) -> str:
    """Selectors as they are written."""
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in selectors)


def show(address: Address) -> str:
    """An address in the form that is read again as the same."""
    parts = f"#{show_selectors(address.selectors)}" if address.selectors else ""
    if isinstance(address, PathAddress):
        names = "/".join(
            (f"{index}:" if index is not None else "") + _escaped(name) for index, name in address.segments
        )
        text = f"/{names}"
    else:
        text = f"{address.namespace}{show_identifier(address.identifier)}"
    return f"{text}{parts or ('#' if _ends_open(text) else '')}"


def _ends_open(text: str) -> bool:
    """Whether its end would be read as selectors or be stripped; names of nodes may be anything."""
    if text != text.strip() or text.endswith("#") or _parted(text)[0] != text:
        return True
    return text.startswith("/") and (
        text.endswith("/") or (("[" in text or "#" in text) and _TAIL.search(text) is not None)
    )


def show_identifier(identifier: int | str | uuid.UUID | bytes) -> str:
    """An identifier with its letter."""
    if isinstance(identifier, int):
        return f"i={identifier}"
    if isinstance(identifier, uuid.UUID):
        return f"g={identifier}"
    if isinstance(identifier, bytes):
        return f"b={b64encode(identifier).decode()}"
    return f"s={identifier}"
