"""Defects put into the real code, one at a time: each is a way in which shadows have gone wrong elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec import structs

from gateway.shadows import desk, merge, paths
from gateway.shadows.convert import to_document, to_tag
from gateway.shadows.keeper import Keeper
from gateway.shadows.reporting import ReportedLeaf, Reporter
from gateway.shadows.values import Leaf, Phase, Shadow
from gateway.shadows.writing import WriteThrough
from tests.model.shadow_terms import Defect


def plant(defect: Defect, patch: pytest.MonkeyPatch) -> None:
    """Put one into the code until `patch` is undone."""
    _PLANTS[defect](patch)


def _ignores_versions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge._Draft, "newer", lambda _self, _leaf, _known: True)


def _replaces(patch: pytest.MonkeyPatch) -> None:
    real = desk.merge_document

    def merge_document(shadow: Shadow, ver: int, leaves: Mapping[str, Leaf], *rest: Any, **more: Any) -> Shadow:
        if ver >= shadow.meta.full_ver:
            shadow = structs.replace(shadow, desired={}, progress={})
        return real(shadow, ver, leaves, *rest, **more)

    patch.setattr(desk, "merge_document", merge_document)


def _reported_from_desired(patch: pytest.MonkeyPatch) -> None:
    real = Reporter._values

    def values(self: Reporter, device: Any) -> dict[str, ReportedLeaf]:
        found = real(self, device)
        shadow = self._keeper.get(device.id)
        for path, leaf in shadow.live().items():
            one = shadow.progress.get(path)
            if one is not None and one.phase is Phase.OK and path in found:
                shown = to_document(to_tag(device.tag(paths.tag_path(path)), leaf.value))
                found[path] = structs.replace(found[path], value=shown)
        return found

    patch.setattr(Reporter, "_values", values)


def _collects_at_once(patch: pytest.MonkeyPatch) -> None:
    def collect(draft: merge._Draft) -> None:
        for path, leaf in list(draft.desired.items()):
            if leaf.value is None:
                draft.drop(path)

    patch.setattr(merge, "_collect", collect)


def _writes_again(patch: pytest.MonkeyPatch) -> None:
    def to_reapply(self: WriteThrough, device: str) -> list[tuple[Any, Any, str]]:
        shadow = self._keeper.get(device)
        return [(self._tags.get(device, paths.tag_path(path)), one, path) for path, one in shadow.wanted().items()]

    patch.setattr(WriteThrough, "_to_reapply", to_reapply)


def _old_versions(patch: pytest.MonkeyPatch) -> None:
    real = Keeper.reserve

    async def reserve(self: Keeper, device: str, beyond: int) -> int:
        known = self.get(device).meta.reported_ver
        return known if known > beyond else await real(self, device, beyond)  # the block of before the restart

    patch.setattr(Keeper, "reserve", reserve)


def _loses_edits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge, "with_lost", lambda lost, _rejection: lost)


def _leaves_bad_leaves_out(patch: pytest.MonkeyPatch) -> None:
    real = desk.merge_patch

    def merge_patch(shadow: Shadow, ver: int, leaves: Mapping[str, Leaf], rules: Any) -> Shadow:
        good = {path: leaf for path, leaf in leaves.items() if leaf.value is None or _passes(rules, path, leaf.value)}
        return real(shadow, ver, good, rules)

    patch.setattr(desk, "merge_patch", merge_patch)


def _passes(rules: Any, path: str, value: Any) -> bool:
    try:
        rules.check(path, value)
    except merge.ShadowError:
        return False
    return True


_PLANTS: Mapping[Defect, Callable[[pytest.MonkeyPatch], None]] = {
    Defect.MERGE_IGNORES_VERSIONS: _ignores_versions,
    Defect.DOCUMENT_REPLACES: _replaces,
    Defect.REPORTED_FROM_DESIRED: _reported_from_desired,
    Defect.TOMBSTONE_WITHOUT_ACK: _collects_at_once,
    Defect.ENDED_LEAF_WRITTEN_AGAIN: _writes_again,
    Defect.RESTORED_WITH_OLD_VERSION: _old_versions,
    Defect.EDIT_LOST_SILENTLY: _loses_edits,
    Defect.BAD_LEAF_LEFT_OUT: _leaves_bad_leaves_out,
}
