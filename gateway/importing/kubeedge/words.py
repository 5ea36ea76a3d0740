"""`dataWrite` of Bluetooth visitors: what is written for a word, as labels of a number."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection

from msgspec import Struct

from gateway.importing.kubeedge.model import Property
from gateway.importing.names import literal
from gateway.importing.views import View

_MOST_BYTES = 8


class Words(Struct, frozen=True):
    """`labels`: number, as a text -> word. `size`: bytes of it. `beside`: keys that stood beside `dataWrite`."""

    labels: dict[str, str] = {}
    size: int = 0
    beside: tuple[str, ...] = ()


def write_words(config: View, prop: Property, known: Collection[str]) -> Words:
    """The words of a visitor. All have as many bytes, at most eight: else they are left out with a warning."""
    found, beside = _entries(config, known)
    written: dict[str, bytes] = {}
    for word, view in found.items():
        data = _bytes(view)
        if data is not None:
            written[word] = data
    if not written:
        return Words(beside=beside)
    sizes = {len(data) for data in written.values()}
    place = next(iter(found.values())).place
    if len(sizes) > 1 or not 1 <= min(sizes) <= _MOST_BYTES:
        shown = " or ".join(map(str, sorted(sizes)))
        config.report.warning(place, f"words of `{prop.name}` have {shown} bytes: they cannot be written as a number")
        return Words(beside=beside)
    labels: dict[str, str] = {}
    for word, data in written.items():
        number = str(int.from_bytes(data, "big"))
        if number in labels:
            config.report.warning(found[word].place, f"`{word}` is the same value as `{labels[number]}`: left out")
            continue
        labels[number] = literal(word)
    return Words(labels, sizes.pop(), beside)


def _entries(config: View, known: Collection[str]) -> tuple[dict[str, View], tuple[str, ...]]:
    inside = config.get("dataWrite")
    if inside is not None:
        return dict(_below(inside)) if inside.as_map() is not None else {}, ()
    beside = {key: view for key, view in _below(config, known) if view.is_list}
    if beside and "dataWrite" in config.keys():  # noqa: SIM118 - a View is no mapping
        first = next(iter(beside))
        text = f"`{first}` is taken as a key of `dataWrite`, which it stands beside"
        config.report.guessed(config.key_place(first), text)
        return beside, tuple(beside)
    return {}, ()


def _below(view: View, known: Collection[str] = ()) -> list[tuple[str, View]]:
    pairs = ((key, view.get(key)) for key in view.keys() if key not in known)  # noqa: SIM118 - a View is no mapping
    return [(key, found) for key, found in pairs if found is not None]


def _bytes(view: View) -> bytes | None:
    """`[1, 255]`, or base64 as Kubernetes writes bytes."""
    if view.is_list:
        numbers = [item.as_whole(0, 255) for item in view.items()]
        return None if None in numbers else bytes(number for number in numbers if number is not None)
    try:
        return base64.b64decode(view.text.strip(), validate=True)
    except (binascii.Error, ValueError):
        view.report.error(view.place, f"`{view.text[:40]}` are no bytes", "write a list of numbers: [1]")
        return None
