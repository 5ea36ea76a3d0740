"""Which tags a server offers, and as what: pure, from the configuration alone."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

from msgspec import Struct

from gateway.model import Access, ChannelSpec, TagSpec
from gateway.serving.contract import BOOL, BYTES, FLOAT, INT, OBJECT, TEXT, Offer
from gateway.transform import RAW, engineering_kind

_KINDS = {"bool": BOOL, "string": TEXT, "bytes": BYTES, "object": OBJECT}
_TOTAL = 2**63 - 1
"""A total that never falls outgrows its counter; JSON, OPC UA and four registers carry this much."""


class Choice(Struct, frozen=True):
    """What a server was told to offer: device ids and names `device.tag`, in which `*` and `?` match.

    A pattern of `tags` without a dot is for the tags of all chosen devices. `write`: which of them take writes.
    """

    devices: tuple[str, ...] = ("*",)
    tags: tuple[str, ...] = ("*",)
    write: tuple[str, ...] = ()


def offers_of(choice: Choice, channels: Iterable[ChannelSpec]) -> tuple[Offer, ...]:
    """The offered tags, sorted by name. A hidden tag is offered where it is named in full only; one that can only be
    written where it may be written here.
    """
    found = []
    for channel in channels:
        for device in channel.devices:
            if not any(fnmatch.fnmatchcase(device.id, pattern) for pattern in choice.devices):
                continue
            for spec in device.tags:
                offer = _offer(choice, device.id, spec)
                if offer is not None:
                    found.append(offer)
    return tuple(sorted(found, key=lambda offer: (offer.device, offer.path)))


def _offer(choice: Choice, device: str, spec: TagSpec) -> Offer | None:
    name = f"{device}.{spec.path}"
    if spec.hidden and name not in choice.tags:
        return None
    if not any(tag_matches(pattern, device, spec.path) for pattern in choice.tags):
        return None
    writable = takes_plant(spec) and any(tag_matches(pattern, device, spec.path) for pattern in choice.write)
    readable = spec.access is not Access.WRITE
    if not (readable or writable):
        return None
    kind = kind_of(spec)
    low, high = span_of(spec) if kind == INT else (0, 0)
    return Offer(device, spec.path, spec.type, kind, low, high, spec.unit, spec.range, spec.labels, readable, writable)


def is_writable(spec: TagSpec) -> bool:
    """Whether anybody can write the tag at all."""
    return spec.access is not Access.READ


def takes_plant(spec: TagSpec) -> bool:
    """Whether HMIs and PLCs may write the tag: `write.allow` can keep them out."""
    return is_writable(spec) and "plant" in spec.write.allow


def tag_matches(pattern: str, device: str, path: str) -> bool:
    """Whether a pattern means a tag: `pump.run`, `pump.*`, `*.temp`, or `temp*` for the tags of any device."""
    name = f"{device}.{path}" if "." in pattern else path
    return fnmatch.fnmatchcase(name, pattern)


def kind_of(spec: TagSpec) -> str:
    """What the tag's values are in engineering units; depends on settings only."""
    fixed = _KINDS.get(spec.type.value)
    if fixed is not None:
        return fixed
    if spec.scale_from is not None:
        return FLOAT
    return INT if engineering_kind(RAW[spec.type], spec.transform) == "int" else FLOAT


def span_of(spec: TagSpec) -> tuple[int, int]:
    """The least and the most that an integer tag can show."""
    if spec.wrap is not None:
        return 0, _TOTAL
    raw, transform = RAW[spec.type], spec.transform
    if transform.edgex is not None:
        return RAW[transform.edgex].low, RAW[transform.edgex].high
    factor, addend = int(transform.scale or 1), int(transform.offset or 0)
    ends = sorted((raw.low * factor + addend, raw.high * factor + addend))
    return ends[0], ends[1]


def unmatched(patterns: Sequence[str], channels: Iterable[ChannelSpec]) -> list[int]:
    """Places of those patterns of tags that mean no tag at all."""
    tags = [(device.id, spec.path) for channel in channels for device in channel.devices for spec in device.tags]
    return [
        place
        for place, pattern in enumerate(patterns)
        if not any(tag_matches(pattern, device, path) for device, path in tags)
    ]


__all__ = ["Choice", "is_writable", "kind_of", "offers_of", "span_of", "tag_matches", "takes_plant", "unmatched"]
