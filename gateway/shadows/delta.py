"""What a device would have to change: computed when asked, never stored (protocol.md 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.errors import WriteRejected
from gateway.model import Device, Tag, ValueType
from gateway.shadows.convert import to_tag
from gateway.shadows.paths import shadow_path, tag_path
from gateway.shadows.values import ReportedLeaf, Shadow, ShadowError
from gateway.writes import matches, read_back_tag


def delta(shadow: Shadow, reported: Mapping[str, ReportedLeaf], device: Device | None) -> dict[str, Any]:
    """Desired leaves, by path, that differ from what is reported, by type or by more than the tag's tolerance."""
    return {
        path: leaf.value
        for path, leaf in sorted(shadow.live().items())
        if not _is_so(path, leaf.value, reported, device)
    }


def _is_so(path: str, value: Any, reported: Mapping[str, ReportedLeaf], device: Device | None) -> bool:
    tag = device.tag(tag_path(path)) if device is not None else None
    if tag is None or device is None:
        return False
    shown = read_back_tag(tag, device.tags)
    if shown is not None and shown is not tag and (feedback := reported.get(shadow_path(shown.path))) is not None:
        return agrees(tag, value, feedback.value)
    leaf = reported.get(path)
    if leaf is None or isinstance(leaf.value, bool) is not (tag.spec.type is ValueType.BOOL):
        return False  # 1 is not true; a feedback tag may be of another type
    return agrees(tag, value, leaf.value)


def agrees(tag: Tag, wanted: Any, got: Any) -> bool:
    """Whether a document's value is what another document says of the tag."""
    try:
        return matches(tag.spec, to_tag(tag, wanted), to_tag_loosely(tag, got))
    except (WriteRejected, ShadowError):
        return False


def to_tag_loosely(tag: Tag, got: Any) -> Any:
    """A reported value as the tag's type: a device may say what nobody may write."""
    try:
        return to_tag(tag, got)
    except (WriteRejected, ShadowError):
        return got
