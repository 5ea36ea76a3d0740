"""The leaves of a shadow as programs and people are shown them, by path in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.shadows.values import ReportedLeaf, Shadow


def leaf_views(shadow: Shadow, reported: Mapping[str, ReportedLeaf]) -> dict[str, Any]:
    """What is desired and reported, what was set at the gateway, and how far each desired leaf has come."""
    return {
        "desired": {
            path: {"value": leaf.value, "ver": leaf.ver, "ts": leaf.ts} for path, leaf in sorted(shadow.live().items())
        },
        "reported": {
            path: {"value": leaf.value, "ver": leaf.ver, "ts": leaf.ts, "quality": leaf.quality.text}
            for path, leaf in sorted(reported.items())
        },
        "local": {
            path: {"value": edit.value, "base_ver": edit.base_ver, "who": edit.who, "state": edit.progress.phase.value}
            for path, edit in sorted(shadow.edits.items())
        },
        "apply": {
            path: {"state": one.phase.value, "desired_ver": one.ver, "code": one.code, "text": one.text}
            for path, one in sorted(shadow.progress.items())
        },
    }
