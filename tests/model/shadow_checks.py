"""The invariants of protocol.md 3.5, seen from outside: what the device got, what was published, what is on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from gateway.model import Tag, Value
from gateway.shadows import paths, rows
from gateway.shadows.delta import delta
from gateway.shadows.merge import merge_document
from gateway.shadows.messages import parse_document
from gateway.shadows.values import Phase, Rejection, Shadow
from tests.model.shadow_terms import DEV, REAPPLY

if TYPE_CHECKING:
    from tests.model.shadow_world import World


class Observer:
    """Watches every change that is on disk, every write that is asked for, and every document that goes out."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ends: dict[tuple[str, int], Phase] = {}
        self._edit_ends: dict[int, Phase] = {}
        self._good: dict[str, int] = {}
        """Path -> UTC ms at which a write of it ended well."""
        self._heard: set[int] = set()
        self.taken_back: set[int] = set()
        self._contents: dict[int, dict[str, Any]] = {}
        self.published_ver = 0
        self._leaf_vers: dict[str, int] = {}
        self.desired_ver = 0
        self._epoch_full = 0

    def attach(self) -> None:
        """To a gateway that was just opened."""
        self._world.gateway.keeper.listen(self._changed)
        self._world.gateway.wires.on_write = self._written

    # --- changes on disk

    def _changed(self, _device: str, before: Shadow, after: Shadow) -> None:
        assert after.meta.desired_ver >= self.desired_ver, "H3: desired_ver went down"
        self.desired_ver = after.meta.desired_ver
        assert after.meta.full_ver >= before.meta.full_ver, "H3: the version of the last document went down"
        assert after.meta.reported_ver >= before.meta.reported_ver, "H3: reported_ver went down"
        for path in before.desired.keys() & after.desired.keys():
            assert after.desired[path].ver >= before.desired[path].ver, f"H4: {path} went down"
        self._judge_ends(after)
        self._judge_edits(before, after)

    def _judge_ends(self, after: Shadow) -> None:
        for path, one in after.progress.items():
            known = self._ends.get((path, one.ver))
            assert known is None or known is one.phase, f"H15: {path} {one.ver} ended {known}, then {one.phase}"
            if one.phase.is_end and known is None:
                self._ended(one.phase)
                self._ends[path, one.ver] = one.phase
                if one.phase is Phase.OK:
                    self._good[path] = self._world.gateway.clock.wall_ms()
        for path, edit in after.edits.items():
            phase, known = edit.progress.phase, self._edit_ends.get(edit.n)
            assert known is None or known is phase, f"H15: edit {edit.n} ended {known}, then {phase}"
            if phase.is_end and known is None:
                self._edit_ends[edit.n] = phase
                self._good[path] = self._world.gateway.clock.wall_ms()

    def _ended(self, phase: Phase) -> None:
        assert phase is not Phase.FAILED or self._world.device.is_here, "H15: failed while the device is offline"

    def _judge_edits(self, before: Shadow, after: Shadow) -> None:
        for path, edit in before.edits.items():
            now = after.edits.get(path)
            if now is not None and now.n == edit.n:
                assert now.base_ver >= edit.base_ver, "H4: base_ver went down"
                continue
            leaf = after.desired.get(path)
            adopted = leaf is not None and leaf.ver > edit.base_ver and leaf.value == edit.value
            replaced = now is not None and now.n > edit.n
            assert edit.n in after.lost or adopted or replaced or edit.n in self.taken_back, (
                f"H31: edit {edit.n} of {path} is gone without a word"
            )
        for n in before.lost.keys() - after.lost.keys():
            assert n in self._heard, f"H31: the loss of edit {n} was never told"

    # --- what goes out

    def told(self, rejection: Rejection) -> None:
        assert rejection.ver <= self._world.shadow.meta.desired_ver, "H11: a rejection of a version that nobody gave"
        leaf = self._world.shadow.desired.get(rejection.path)
        assert rejection.n or leaf is None or rejection.ver <= leaf.ver, "H11: above the leaf's version"
        self._heard.add(rejection.n)

    def published(self, body: dict[str, Any]) -> None:
        assert body["ver"] >= self.published_ver, "H3: a published version went down"
        self.published_ver = body["ver"]
        assert body["ver"] <= self._world.shadow.meta.reported_ver, "H3: published before its version was on disk"
        content = {key: value for key, value in body.items() if key != "polled"}
        known = self._contents.setdefault(body["ver"], content)
        assert repr(known) == repr(content), f"H3: version {body['ver']} has two contents"
        for path, (ver, _) in body["meta"].items():
            assert ver >= self._leaf_vers.get(path, 0), f"H4: reported {path} went down"
            self._leaf_vers[path] = ver
        shadow = self._world.shadow
        assert set(body.get("local", {})) == set(shadow.edits), "H31: an edit is not offered"
        assert set(body.get("apply", {})) <= {path for path, leaf in shadow.live().items()}, "H10"

    # --- what reaches the device

    def _written(self, tag: Tag, value: Value, origin: str) -> None:
        path, shadow = tag.path.replace("/", "."), self._world.shadow
        assert self._world.device.in_flight == 0, "H13: two writes at one time"
        if origin == "reapply":
            age = self._world.gateway.clock.wall_ms() - self._good.get(path, -(10**15))
            assert path in REAPPLY, f"H14: {path} is not to be written again"
            assert age <= REAPPLY[path] * 1000, f"H14: {path} is written again after {age} ms"
            return
        edit = shadow.edits.get(path)
        if edit is not None:
            assert edit.n not in self._edit_ends, f"H14: edit {edit.n} of {path} has ended and is written"
            assert edit.progress.phase is Phase.WRITING, f"H14: {path} is written as {edit.progress.phase}"
            return
        known = shadow.progress[path]
        assert (path, known.ver) not in self._ends, f"H14: {path} {known.ver} has ended and is written"
        assert known.phase is Phase.WRITING, f"H14: {path} is written as {known.phase}"
        assert path in shadow.live(), "H14: a leaf that nobody desires is written"


def check_all(world: World) -> None:
    shadow = world.shadow
    _check_versions(world, shadow)
    _check_documents(world, shadow)
    _check_rows(world, shadow)
    _check_delta(world, shadow)
    _check_exchange(world, shadow)


def _check_versions(world: World, shadow: Shadow) -> None:
    assert shadow.meta.desired_ver <= world.highest, "H1: above what any cloud gave"
    if not world.cloud.counter_lost:
        assert shadow.meta.desired_ver <= world.cloud.ver, "H1: above the cloud's"
    assert shadow.meta.desired_ver >= world.observer.desired_ver, "H3: desired_ver went down over a restart"
    assert world.cloud.reported_ver <= shadow.meta.reported_ver, "H2: the cloud knows what was never reported"
    assert world.device.most_in_flight <= 1, "H13: two writes at one time"


def _check_documents(world: World, shadow: Shadow) -> None:
    live = {path: leaf.value for path, leaf in shadow.live().items()}
    assert _typed(live) == _typed(world.reference.values()), "H6: not what the messages say, in whatever order"
    for path, leaf in shadow.live().items():
        assert leaf.ver > world.reference.gone.get(path, 0), f"H21: {path} returned with an older version"
        assert not any(paths.collides(path, other) for other in live), "H28"
    assert shadow.meta.bytes == paths.total(live.items()), "H25"
    reported = world.gateway.reporter.leaves(DEV)
    for tag in world.gateway.tags.device(DEV).tags:
        if tag.path in world.device.shown:
            leaf = reported.get(paths.shadow_path(tag.path))
            assert leaf is not None, f"H12: {tag.path} was read and is not reported"
            assert _typed(leaf.value) == _typed(world.device.shown[tag.path]), f"H12: {tag.path} reads otherwise"


def _check_rows(world: World, shadow: Shadow) -> None:
    encoded = rows.encode(shadow)
    back = rows.decode(encoded).get(DEV)
    assert _typed(back) == _typed(shadow), "H20"
    if shadow != Shadow(DEV):
        on_disk = world.gateway.store.table(rows.TABLE).items()
        assert _typed(rows.decode(on_disk)[DEV]) == _typed(_sorted(shadow)), "H16, H20: the disk holds something else"


def _check_delta(world: World, shadow: Shadow) -> None:
    device = world.gateway.tags.device(DEV)
    reported = dict(world.gateway.reporter.leaves(DEV))
    found = delta(shadow, reported, device)
    assert found.keys() <= shadow.live().keys(), "H8, H10"
    for path, leaf in shadow.live().items():
        shown = reported.get("run_fb" if path == "run" else path)
        is_so = shown is not None and _is_so(path, leaf.value, shown.value)
        assert (path in found) is not is_so, f"H9: {path} wants {leaf.value!r} and has {shown}"
    for path, value in found.items():
        where = "run_fb" if path == "run" else path
        if where in reported:
            reported[where] = structs.replace(reported[where], value=value)
    assert all(path not in reported for path in delta(shadow, reported, device)), "H29"


def _is_so(path: str, wanted: Any, got: Any) -> bool:
    if isinstance(wanted, bool) is not isinstance(got, bool):
        return False
    return abs(wanted - got) <= 0.1 if path == "set.temp" else bool(wanted == got)


def _check_exchange(world: World, shadow: Shadow) -> None:
    """Copies of both replicas exchange once, with and without `meta`."""
    if world.cloud.counter_lost or not world.cloud.ver:
        return
    rules = world.gateway.desk._judge.rules(DEV, "shadow")
    for meta in (True, False):
        whole = parse_document(world.cloud.document(meta=meta).payload, 0)
        merged = merge_document(shadow, whole.ver, whole.leaves, rules, own_versions=whole.own_versions)
        live = {path: leaf.value for path, leaf in merged.live().items()}
        wanted = {path: value for path, (value, _) in world.cloud.desired.items()}
        assert _typed(live) == _typed(wanted), f"H7, H30: not equal after an exchange (meta: {meta})"
        assert merged.meta.desired_ver == world.cloud.ver, "H7"
        again = merge_document(merged, whole.ver, whole.leaves, rules, own_versions=whole.own_versions)
        assert _typed(again) == _typed(merged), "H5: twice is not once"


def _typed(value: Any) -> str:
    """To Python 1, 1.0 and True are equal, in a document they are not."""
    if isinstance(value, dict):
        return repr(sorted((key, repr(one)) for key, one in value.items()))
    return repr(value)


def _sorted(shadow: Shadow) -> Shadow:
    """As rows come from disk: by their keys."""

    def by_key(rows: Any) -> dict[Any, Any]:
        return {key: rows[key] for key in sorted(rows, key=lambda key: str(key).encode())}

    return Shadow(
        shadow.device,
        shadow.meta,
        by_key(shadow.desired),
        by_key(shadow.edits),
        by_key(shadow.progress),
        by_key(shadow.lost),
    )
