"""Values of a shadow: leaves, local edits, how far a desired leaf has come, and what is told about it.

All are frozen: a change makes a new Shadow, and the difference of two Shadows is what is written to disk.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from gateway.errors import GatewayError
from gateway.model import Quality

SCHEMA = 1
"""Form of the rows. Rows of another schema are shown and never rewritten (H26)."""


class ShadowError(GatewayError):
    """A change of which nothing is taken. `code` as in protocol.md 1.3; `path` where one leaf is to blame."""

    def __init__(self, text: str, *, code: int, path: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.path = path


class Phase(enum.StrEnum):
    """States of a desired leaf or a local edit (protocol.md 3.3)."""

    PENDING = "pending"
    WRITING = "writing"
    VERIFYING = "verifying"
    OK = "ok"
    REJECTED = "rejected"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"

    @property
    def is_end(self) -> bool:
        """Final for its version."""
        return self not in _GOING_ON

    @property
    def is_told(self) -> bool:
        """Whether this end is published on `rejected`."""
        return self in _TOLD


_GOING_ON = frozenset((Phase.PENDING, Phase.WRITING, Phase.VERIFYING))
_TOLD = frozenset((Phase.REJECTED, Phase.FAILED, Phase.EXPIRED))


class Origin(enum.StrEnum):
    """Who wrote a leaf. Of two values with one version the higher rank stays: cloud, local, rule."""

    CLOUD = "cloud"
    LOCAL = "local"
    RULE = "rule"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {Origin.CLOUD: 2, Origin.LOCAL: 1, Origin.RULE: 0}


class Policy(enum.StrEnum):
    """What a newer desired leaf does to a local edit (protocol.md 3.2)."""

    CLOUD_WINS = "cloud_wins"
    LOCAL_WINS = "local_wins"
    LAST_TS = "last_ts"
    LOCAL_UNTIL_ONLINE = "local_until_online"


class Leaf(Struct, frozen=True):
    """A desired leaf. `value` None is a tombstone. `ver`: document version at which it was written; `ts` UTC ms.

    `wrote`: greatest version at which this path had a value: what decides when one leaf's path is the folder of
    another's, in whatever order the two arrive.
    """

    value: Any
    ver: int
    ts: int
    origin: Origin = Origin.CLOUD
    wrote: int = 0


class Progress(Struct, frozen=True):
    """How far the writing of one version has come. `told`: whether its end was published."""

    phase: Phase
    ver: int
    code: int = 0
    text: str = ""
    tries: int = 0
    ts: int = 0
    told: bool = False


class Edit(Struct, frozen=True):
    """A value set at the gateway over a desired leaf. `base_ver`: the desired version it was made over; `n` counts the
    edits of the device; `who` made it.
    """

    value: Any
    base_ver: int
    n: int
    ts: int
    who: str
    progress: Progress


class Meta(Struct, frozen=True):
    """Counters of one shadow. `full_ver`: version of the last whole document: a leaf that is unknown and not newer
    than it was deleted. `reported_ver`: versions up to it may have been given out. `edits`: local edits so far.
    `bytes`: sum of the desired leaves' sizes.
    """

    schema: int = SCHEMA
    desired_ver: int = 0
    full_ver: int = 0
    reported_ver: int = 0
    epoch: int = 0
    edits: int = 0
    bytes: int = 0


class Rejection(Struct, frozen=True):
    """Why a leaf is not applied, as published on `rejected`. `ver`: the desired version it speaks of; `n`: the local
    edit that was lost, 0 when it is about a desired leaf.
    """

    path: str
    ver: int
    phase: Phase
    code: int
    text: str
    n: int = 0


class Shadow(Struct, frozen=True):
    """The desired side of one device as it is on disk: leaves, edits, progress by path, and by their number the local
    edits that were lost and nobody was told of yet.
    """

    device: str
    meta: Meta = field(default_factory=Meta)
    desired: Mapping[str, Leaf] = field(default_factory=dict)
    edits: Mapping[str, Edit] = field(default_factory=dict)
    progress: Mapping[str, Progress] = field(default_factory=dict)
    lost: Mapping[int, Rejection] = field(default_factory=dict)

    @property
    def read_only(self) -> bool:
        """Rows of a newer schema: shown, never changed."""
        return self.meta.schema != SCHEMA

    def live(self) -> dict[str, Leaf]:
        """Desired leaves that have a value."""
        return {path: leaf for path, leaf in self.desired.items() if leaf.value is not None}

    def wanted(self) -> dict[str, Any]:
        """The value each path should have: a local edit's, else the desired one's."""
        values = {path: leaf.value for path, leaf in self.live().items()}
        values.update({path: edit.value for path, edit in self.edits.items()})
        return values


class ReportedLeaf(Struct, frozen=True):
    """What a device says. `ts` UTC ms when the value was true; `value` is the last real one, whatever the quality."""

    value: Any
    ver: int
    ts: int
    quality: Quality
