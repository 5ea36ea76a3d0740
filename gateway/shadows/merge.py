"""Merging desired leaves: per path the higher version wins, in whatever order messages arrive (protocol.md 3.1).

What is kept of a path are two maxima, the newest leaf and the newest version with a value; which leaf lives is
computed from them. A whole document is the cloud's word on all paths: what it leaves out and what is not newer is
gone, and stays gone, because a leaf that is unknown and not newer than the last whole document is not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from msgspec import Struct, structs

from gateway.canonical import canonical
from gateway.shadows import paths
from gateway.shadows.values import Edit, Leaf, Phase, Policy, Progress, Rejection, Shadow, ShadowError

TOMBSTONE_MS = 30 * 24 * 3600 * 1000
"""A deleted leaf of which no whole document ever spoke is remembered this long."""


MAX_LOST = 500
"""Lost edits of a device that wait to be told."""


class Rules(Struct, frozen=True):
    """What a merge needs to know of the device. `policy(path)`; `check(path, value)` raises ShadowError or is silent.

    `synced`: both clocks can be compared (policy last_ts). `now`: UTC ms.
    """

    policy: Callable[[str], Policy]
    check: Callable[[str, object], None]
    max_bytes: int
    synced: bool
    now: int


class _Draft:
    """A shadow in the making."""

    def __init__(self, shadow: Shadow, rules: Rules) -> None:
        self.shadow = shadow
        self.rules = rules
        self.desired = dict(shadow.desired)
        self.edits = dict(shadow.edits)
        self.progress = dict(shadow.progress)
        self.lost = dict(shadow.lost)

    def finish(self, *, desired_ver: int, full_ver: int | None = None) -> Shadow:
        meta = self.shadow.meta
        live = [(path, leaf.value) for path, leaf in self.desired.items() if leaf.value is not None]
        meta = structs.replace(
            meta,
            desired_ver=max(meta.desired_ver, desired_ver),
            full_ver=meta.full_ver if full_ver is None else full_ver,
            bytes=paths.total(live),
        )
        if meta.bytes > self.rules.max_bytes:
            raise ShadowError(
                f"the desired document would have {meta.bytes} bytes, at most {self.rules.max_bytes} are allowed",
                code=413,
            )
        return Shadow(self.shadow.device, meta, self.desired, self.edits, self.progress, self.lost)

    # --- leaves

    def newer(self, leaf: Leaf, known: Leaf | None) -> bool:
        """Whether `leaf` replaces what is known. Equal versions: rank of the origin, then greater canonical bytes."""
        if known is None:
            return True
        if leaf.ver != known.ver:
            return leaf.ver > known.ver
        mine, theirs = (leaf.origin.rank, canonical(leaf.value)), (known.origin.rank, canonical(known.value))
        return mine > theirs

    def take(self, path: str, leaf: Leaf) -> bool:
        """Take a leaf if it is the newer one; True when it was."""
        known = self.desired.get(path)
        wrote = max(leaf.ver if leaf.value is not None else 0, leaf.wrote, known.wrote if known else 0)
        if self.newer(leaf, known):
            self.desired[path] = structs.replace(leaf, wrote=wrote)
            return True
        if known is not None and wrote != known.wrote:
            self.desired[path] = structs.replace(known, wrote=wrote)
        return False

    def bury(self) -> None:
        """Of two leaves of which one is the other's folder the one written later lives, the other is a tombstone."""
        for path, leaf in list(self.desired.items()):
            if leaf.value is None:
                continue
            over = [
                (other.wrote, name)
                for name, other in self.desired.items()
                if paths.collides(path, name) and (other.wrote, name) > (leaf.ver, path)
            ]
            if over:
                self.remove(path, max(over)[0])

    def remove(self, path: str, ver: int) -> None:
        """Make a leaf a tombstone of version `ver`."""
        leaf = self.desired[path]
        self.desired[path] = structs.replace(leaf, value=None, ver=max(ver, leaf.ver), ts=self.rules.now)
        self.settle_removed(path)

    def drop(self, path: str) -> None:
        """Forget a path: the last whole document says all there is to say of it."""
        del self.desired[path]
        self.settle_removed(path)

    def settle_removed(self, path: str) -> None:
        """A leaf that is gone is written no more, and no edit stands over it."""
        self.progress.pop(path, None)

    # --- what a new version of a leaf means

    def begin(self, path: str, leaf: Leaf) -> None:
        """A desired leaf with a new version: judged against a local edit, else to be written."""
        edit = self.edits.get(path)
        if edit is not None and leaf.ver > edit.base_ver and not self._overrules(path, leaf, edit):
            return
        self.progress[path] = Progress(Phase.PENDING, leaf.ver, ts=self.rules.now)

    def _overrules(self, path: str, leaf: Leaf, edit: Edit) -> bool:
        """Settle a local edit with a newer desired leaf; True when the desired one is to be written."""
        if same(leaf.value, edit.value):  # the cloud adopts it
            del self.edits[path]
            if edit.progress.phase is Phase.OK:
                self.progress[path] = Progress(Phase.OK, leaf.ver, 200, ts=self.rules.now)
                return False
            return True
        policy = self.rules.policy(path)
        later = self.rules.synced and edit.ts > leaf.ts
        stays = policy is Policy.LOCAL_WINS or (policy is Policy.LAST_TS and later)
        if stays:
            text = f"the edit made at {edit.who} stays ({policy})"
            self.edits[path] = structs.replace(edit, base_ver=leaf.ver)
            self.progress[path] = Progress(Phase.REJECTED, leaf.ver, 409, text, ts=self.rules.now)
        else:
            self.lose_edit(path, leaf.ver, f"the edit made at {edit.who} is dropped ({policy})")
        return not stays

    def lose_edit(self, path: str, ver: int, text: str) -> None:
        """Drop a local edit; it is told of until somebody has heard (H31)."""
        edit = self.edits.pop(path)
        self.lost = with_lost(self.lost, Rejection(path, ver, Phase.REJECTED, 409, text, edit.n))


def with_lost(lost: Mapping[int, Rejection], rejection: Rejection) -> dict[int, Rejection]:
    """One more lost edit to tell of; of too many the oldest go."""
    kept = dict(lost)
    kept[rejection.n] = rejection
    for n in sorted(kept)[: max(0, len(kept) - MAX_LOST)]:
        del kept[n]
    return kept


def same(one: object, other: object) -> bool:
    """Whether two JSON values are the same, type-strict: 1 is not true."""
    return canonical(one) == canonical(other) and isinstance(one, bool) == isinstance(other, bool)


def writable(shadow: Shadow) -> None:
    """Raises ShadowError when the rows are of a newer release."""
    if shadow.read_only:
        raise ShadowError(
            f"the shadow of {shadow.device} was written by a newer release (schema {shadow.meta.schema})", code=409
        )


def merge_document(shadow: Shadow, ver: int, leaves: Mapping[str, Leaf], rules: Rules, *, own_versions: bool) -> Shadow:
    """Merge a whole desired document. `own_versions`: each leaf came with its version (`meta`); without, an
    unchanged value only follows the document's version and is not written again.

    A leaf that cannot be written ends rejected, alone: what is retained at the broker stays what is desired here. One
    that is older than the last whole document changes nothing (H27). Raises ShadowError for a document that is
    none; nothing is taken then.
    """
    writable(shadow)
    if ver < shadow.meta.full_ver:
        return shadow
    check_form(leaves)
    draft = _Draft(shadow, rules)
    for path, leaf in list(draft.desired.items()):
        if path not in leaves and leaf.ver < ver:
            draft.drop(path)
            if leaf.value is not None:
                _overrule_by_deleting(draft, path, ver)
    for path, leaf in leaves.items():
        known = shadow.desired.get(path)
        if not draft.take(path, leaf):
            continue
        unchanged = known is not None and not own_versions and same(known.value, leaf.value)
        if unchanged and path not in draft.edits:
            _follow(draft, path, leaf)
        else:
            _begin_or_refuse(draft, path, leaf)
    draft.bury()
    _drop_edits_over_deleted(draft)
    newest = max([ver, *(leaf.ver for leaf in leaves.values())])
    return draft.finish(desired_ver=newest, full_ver=ver)


def merge_patch(shadow: Shadow, ver: int, leaves: Mapping[str, Leaf], rules: Rules) -> Shadow:
    """Merge a change of some leaves; a leaf without a value deletes. Raises ShadowError; nothing is taken then."""
    writable(shadow)
    check_form({path: leaf for path, leaf in leaves.items() if leaf.value is not None})
    draft = _Draft(shadow, rules)
    taken = [path for path, leaf in leaves.items() if _is_new(draft, path, leaf) and draft.take(path, leaf)]
    for path, leaf in leaves.items() if taken else ():
        if leaf.value is not None:  # one that was overtaken too: what is refused must not depend on what came first
            rules.check(path, leaf.value)
    for path in taken:
        if leaves[path].value is None:
            draft.settle_removed(path)
        else:
            draft.begin(path, leaves[path])
    draft.bury()
    _drop_edits_over_deleted(draft)
    _collect(draft)
    return draft.finish(desired_ver=ver)


def _is_new(draft: _Draft, path: str, leaf: Leaf) -> bool:
    """Whether the last whole document may not have known of it: what that left out is gone."""
    return path in draft.desired or leaf.ver > draft.shadow.meta.full_ver


def check_form(leaves: Mapping[str, Leaf]) -> None:
    """Raises ShadowError 400 when one path is the folder of another."""
    for one, other in pairwise(sorted(leaves, key=lambda path: path.split("."))):
        if paths.is_below(other, one):
            raise ShadowError(f"{one!r} is a value and cannot be the folder of {other!r}", code=400, path=one)


def _begin_or_refuse(draft: _Draft, path: str, leaf: Leaf) -> None:
    try:
        draft.rules.check(path, leaf.value)
    except ShadowError as error:
        draft.progress[path] = Progress(Phase.REJECTED, leaf.ver, error.code, str(error), ts=draft.rules.now)
    else:
        draft.begin(path, leaf)


def _follow(draft: _Draft, path: str, leaf: Leaf) -> None:
    """The same value again in a document without versions: what was done for it stays; a refusal is tried again."""
    known = draft.progress.get(path)
    if known is not None and (known.phase is Phase.OK or not known.phase.is_end):
        draft.progress[path] = structs.replace(known, ver=leaf.ver)
    else:
        _begin_or_refuse(draft, path, leaf)


def _drop_edits_over_deleted(draft: _Draft) -> None:
    """An edit whose desired leaf was deleted by a newer version is overruled like by any other value."""
    for path, edit in list(draft.edits.items()):
        leaf = draft.desired.get(path)
        if leaf is not None and leaf.value is None and leaf.ver > edit.base_ver:
            _overrule_by_deleting(draft, path, leaf.ver)


def _overrule_by_deleting(draft: _Draft, path: str, ver: int) -> None:
    """The cloud deleted, in version `ver`, a leaf over which an edit may stand."""
    edit = draft.edits.get(path)
    if edit is None:
        return
    if draft.rules.policy(path) is Policy.LOCAL_WINS:
        draft.edits[path] = structs.replace(edit, base_ver=ver)
    else:
        draft.lose_edit(path, ver, f"the edit made at {edit.who} is dropped: the leaf was deleted")


def _collect(draft: _Draft) -> None:
    """Forget old tombstones. A whole document makes them needless; without one they are remembered for a month."""
    horizon = draft.rules.now - TOMBSTONE_MS
    for path, leaf in list(draft.desired.items()):
        if leaf.value is None and (leaf.ver <= draft.shadow.meta.full_ver or leaf.ts < horizon):
            draft.drop(path)
