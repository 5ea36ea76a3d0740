"""Writing a retained document that others may write, too: notices what was written over, and writes it again.

A broker gives all messages of one topic to everybody in the same order, our own included. So a writer that listens
while it publishes sees which documents came between the one it started from and its own: those it has overwritten
without having read them. It joins them and writes again with a higher version; the first in the order has nothing to
do. Of n writers at once at least one is done per round. A document after ours that lacks our change comes from a
writer that did not look: it gets a moment to mend that itself.

A document does not tell what its writer had read. Two and three writers at the same moment lose nothing; of four and
more that each see the others late, one in thousands of rounds takes another's new leaf for one that was taken out.

Pure: fed with the documents of the topic in their order, gives the next document to publish.
"""

from __future__ import annotations

import enum

from gateway.canonical import canonical
from gateway.fleet.document import Document, Edits, Leaf, edited, rank, render, touches, without_collisions
from gateway.fleet.faults import Conflict

MOST_TRIES = 10
_MOST_SEEN = 200


class Standing(enum.StrEnum):
    """How our document stands at the broker."""

    UNSEEN = "unseen"
    """It did not come back yet."""
    HELD = "held"
    """What is retained holds our change and everybody's else."""
    OVERWROTE = "overwrote"
    """It replaced a document that we had not read: publish `again`."""
    OVERWRITTEN = "overwritten"
    """A document of no higher version replaced it: publish `again` unless that changes in a moment."""
    OVERRULED = "overruled"
    """A later version has another value, or took the leaf out. That is the later writer's right."""


class Race:
    """One change of a desired document.

    `floor`: no version up to it may be used (what the gateway knows). `if_ver`: only if the document is at this one.
    `by` is a name that nobody else uses: two may write the same, and each must know its own.
    """

    def __init__(self, edits: Edits, *, floor: int = 0, if_ver: int | None = None, by: str = "") -> None:
        self._edits = dict(edits)
        self._floor = floor
        self._if_ver = if_ver
        self._by = by
        self._base = Document()
        self._mine: Document | None = None
        self._echoed = self._sure = False
        self._others: list[Document] = []
        self._latest: Document | None = None
        self._published: list[Document] = []
        self.tries = 0

    @property
    def base(self) -> Document:
        """The document that ours started from; before `first` the one that is retained."""
        return self._base

    def see(self, document: Document) -> None:
        """The next document of the topic, our own included. Raises Conflict when they never end."""
        if self._mine is None:
            self._base = document
        elif render(document) == render(self._mine):
            self._echoed, self._latest = True, None
        else:
            self._latest = document if self._echoed else None
            self._others.append(document)
            if len(self._others) > _MOST_SEEN:
                raise self._too_many()

    def first(self, ts: int) -> Document:
        """The document to publish. Raises Conflict when `if_ver` does not hold."""
        if self._if_ver is not None and self._base.ver != self._if_ver:
            raise Conflict(f"the desired document is at version {self._base.ver}, not at {self._if_ver}")
        return self._publish(edited(self._base, self._edits, max(self._base.ver, self._floor) + 1, ts))

    def again(self, ts: int, *, without_ours: bool = False) -> Document:
        """The document that mends it. Raises Conflict after too many tries.

        `without_ours` gives up our change: with `if_ver`, somebody was there between our look and our writing.
        """
        if self.tries >= MOST_TRIES:
            raise self._too_many()
        seen = [*self._others, *self._published]
        ver = max(self._floor, self._base.ver, *(document.ver for document in seen)) + 1
        target = self._target(ours=not without_ours)
        leaves = {path: _above(path, leaf, self._base, seen, ver, ts) for path, leaf in target.items()}
        return self._publish(Document(ver, leaves))

    def settled(self) -> None:
        """Nobody is overwritten any more: from now on a later document is its writer's own business."""
        assert self._mine is not None
        self._sure = True
        latest = self._latest if self._latest is not None and self._latest.ver > self._mine.ver else None
        self._base, self._published = self._mine, [self._mine]
        self._others = [] if latest is None else [latest]

    def standing(self) -> Standing:
        if self._mine is None or not self._echoed:
            return Standing.UNSEEN
        retained = self._latest if self._latest is not None else self._mine
        if _same(self._target(), retained.leaves) and not self._doubtful(retained):
            return Standing.OVERRULED if self.overruled() else Standing.HELD
        ours = retained is self._mine or retained.ver > self._mine.ver
        return Standing.OVERWROTE if ours else Standing.OVERWRITTEN

    def wanted(self) -> dict[str, int]:
        """The version at which each of our changes stands: what the gateway answers for."""
        assert self._mine is not None
        newer = self._latest is not None and self._latest.ver > self._mine.ver
        document = self._latest if newer and self._latest is not None else self._mine
        found = {}
        for path in self._edits:
            leaf = document.leaves.get(path)
            found[path] = self._mine.ver if leaf is None or not self._holds(document, path) else leaf.ver
        return found

    def overruled(self) -> dict[str, int]:
        """Our paths that a later document gives another value, or none, with that document's version.

        Before it was sure that ours was retained, a leaf that is missing there was rather not read than taken out.
        """
        if self._latest is None or self._mine is None or self._latest.ver <= self._mine.ver:
            return {}
        lost = [path for path in self._edits if not self._holds(self._latest, path)]
        written = {path for path, leaf in self._latest.leaves.items() if leaf.ver > self._mine.ver}
        return {path: self._latest.ver for path in lost if self._sure or path in written}

    def _publish(self, document: Document) -> Document:
        self._mine = document = Document(document.ver, document.leaves, self._by)
        self._echoed, self._latest = False, None
        self._published.append(document)
        self.tries += 1
        return document

    def _target(self, *, ours: bool = True) -> dict[str, Leaf]:
        """What should be retained: what we started from, with what others changed in it, with our change on top."""
        leaves = dict(self._base.leaves)
        for document in self._others:
            _carry(self._base, document, leaves)
        if not ours or self._mine is None:
            return without_collisions(leaves)
        overruled = self.overruled()
        edits = {path: value for path, value in self._edits.items() if path not in overruled}
        target = edited(Document(0, without_collisions(leaves)), edits, 1, 0).leaves
        return {path: self._own(path, leaf) if path in edits else leaf for path, leaf in target.items()}

    def _own(self, path: str, leaf: Leaf) -> Leaf:
        """Our leaf as we have published it already."""
        assert self._mine is not None
        mine = self._mine.leaves.get(path)
        return mine if mine is not None and canonical(mine.value) == canonical(leaf.value) else leaf

    def _doubtful(self, retained: Document) -> bool:
        """Whether a gateway that got all documents may have another value than is retained."""
        later = [document for document in self._others if document is not retained]
        return any(
            _above(path, leaf, self._base, later, 0, 0) is not leaf for path, leaf in retained.leaves.items()
        ) or any(
            leaf.ver >= retained.ver and path not in retained.leaves
            for document in later
            for path, leaf in document.leaves.items()
        )

    def _holds(self, document: Document, path: str) -> bool:
        value = self._edits[path]
        if value is None:
            return not any(touches(path, other) for other in document.leaves)
        leaf = document.leaves.get(path)
        return leaf is not None and canonical(leaf.value) == canonical(value)

    def _too_many(self) -> Conflict:
        return Conflict(f"others write this document all the time: given up after {self.tries} tries")


def _carry(base: Document, document: Document, leaves: dict[str, Leaf]) -> None:
    """Put into `leaves` what `document` has changed since `base`, and take out what it no longer has.

    What it lacks or has older than `base` only because its writer had not read that is no change.
    """
    for path, leaf in document.leaves.items():
        known = base.leaves.get(path)
        changed = leaf.ver >= base.ver if known is None else rank(leaf) > rank(known)
        if changed and (path not in leaves or rank(leaves[path]) <= rank(leaf)):
            leaves[path] = leaf
    for path, leaf in base.leaves.items():
        if path not in document.leaves and leaf.ver < document.ver and leaves.get(path) == leaf:
            del leaves[path]


def _above(path: str, leaf: Leaf, base: Document, seen: list[Document], ver: int, ts: int) -> Leaf:
    """`leaf`, with version `ver` where the gateway may have taken something later from one of `seen`."""
    known = [each.leaves[path].ver for each in (base, *seen) if path in each.leaves]
    for document in seen:
        other = document.leaves.get(path)
        if other is not None:
            later = (other.ver, canonical(other.value)) > (leaf.ver, canonical(leaf.value))
        else:  # it took the leaf out, if there was one; a removal of the same version may count more than a value
            later = document.ver > leaf.ver or (document.ver == leaf.ver and any(each < leaf.ver for each in known))
        if later:
            return Leaf(leaf.value, ver, ts)
    return leaf


def _same(one: dict[str, Leaf], other: dict[str, Leaf]) -> bool:
    """Equal values, whatever their versions."""
    return one.keys() == other.keys() and all(
        canonical(leaf.value) == canonical(other[path].value) for path, leaf in one.items()
    )
