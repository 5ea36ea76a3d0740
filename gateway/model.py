"""Values that travel through the gateway: tags, batches, qualities, writes. No I/O, nothing of ours imported.

Readings move as columns. A Batch is one answer or notification of one device; nothing here exists per reading.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

Value = bool | int | float | str | bytes | None

_ordinals = itertools.count(1)


class Quality(enum.IntEnum):
    """How far a value can be trusted. Numbers are kept on disk: never renumber.

    Below 64 good, below 128 uncertain, from 128 bad. `text` is the form used on the wire (protocol.md 1.3).
    """

    GOOD = 0
    LOCAL_OVERRIDE = 1
    UNCERTAIN = 64
    STALE = 65
    LAST_KNOWN = 66
    BAD = 128
    BAD_COMM = 129
    BAD_STALE = 130
    BAD_RANGE = 131
    BAD_CONFIG = 132
    BAD_SENSOR = 133

    @property
    def text(self) -> str:
        return _QUALITY_TEXT[self]

    @classmethod
    def parse(cls, text: str) -> Quality:
        """The quality written as `text`. Raises KeyError for an unknown one."""
        return _QUALITY_BY_TEXT[text]


_QUALITY_TEXT = {
    Quality.GOOD: "good",
    Quality.LOCAL_OVERRIDE: "good/local-override",
    Quality.UNCERTAIN: "uncertain",
    Quality.STALE: "uncertain/stale",
    Quality.LAST_KNOWN: "uncertain/last-known",
    Quality.BAD: "bad",
    Quality.BAD_COMM: "bad/comm",
    Quality.BAD_STALE: "bad/stale",
    Quality.BAD_RANGE: "bad/range",
    Quality.BAD_CONFIG: "bad/config",
    Quality.BAD_SENSOR: "bad/sensor",
}
_QUALITY_BY_TEXT = {text: quality for quality, text in _QUALITY_TEXT.items()}


class ValueType(enum.StrEnum):
    """Types of config.md section 3. A tag keeps its type for ever."""

    BOOL = "bool"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    UINT16 = "uint16"
    INT24 = "int24"
    UINT24 = "uint24"
    INT32 = "int32"
    UINT32 = "uint32"
    INT48 = "int48"
    UINT48 = "uint48"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BCD16 = "bcd16"
    BCD32 = "bcd32"
    MOD10K32 = "mod10k32"
    MOD10K64 = "mod10k64"
    STRING = "string"
    BYTES = "bytes"
    OBJECT = "object"
    """A list or map; the value is its JSON text (gateway/objects.py)."""


class Access(enum.StrEnum):
    READ = "r"
    WRITE = "w"
    READ_WRITE = "rw"


class Transform(Struct, frozen=True):
    """Raw value to engineering value, in EdgeX' order: mask, shift, base, scale, offset (gateway/transform.py).

    `edgex`: computed as EdgeX does for a resource of this value type, its errors included (gateway/edgexmath.py).
    """

    mask: int | None = None
    shift: int = 0
    base: float | None = None
    scale: float | None = None
    offset: float | None = None
    invalid: tuple[int | float, ...] = ()
    edgex: ValueType | None = None

    @property
    def is_identity(self) -> bool:
        return self == IDENTITY


IDENTITY = Transform()


class Report(Struct, frozen=True):
    """Report by exception of one tag. The default reports every poll.

    `deadband` is absolute, in engineering units; `deadband_percent` is of the tag's range. `heartbeat_s` is the
    longest silence. A quality change always passes. `every_s`: at most one report in this time, the last value; what
    is reported at all is as above.
    """

    on_change: bool = False
    deadband: float | None = None
    heartbeat_s: float | None = None
    every_s: float | None = None

    @property
    def is_plain(self) -> bool:
        return not self.on_change and self.deadband is None and self.every_s is None


class Schedule(Struct, frozen=True):
    """When a group of tags is polled. `align`: on multiples of the period on the site's wall clock."""

    every_s: float
    align: bool = False


WRITERS = ("local", "cloud", "rule", "plant")
"""Who may write: people and programs at the gateway, whatever comes over an uplink, rules, HMIs and PLCs over the
gateway's own servers.
"""


class WriteLimits(Struct, frozen=True):
    """What a written value must satisfy. `rate`: (writes, per seconds). `max_change`: the most that one write may
    differ from the last good value. `allow`: who may write, of WRITERS in that order. `interlock`: an expression that
    must be true, else nothing is written; short names in it are the tag's own device's.
    """

    minimum: float | None = None
    maximum: float | None = None
    rate: tuple[int, float] | None = None
    max_change: float | None = None
    allow: tuple[str, ...] = WRITERS
    interlock: str = ""


class Verify(Struct, frozen=True):
    """How a write is checked: read back from `tag` (None: the tag itself) after `settle_s`, within `tolerance`.

    `tolerance` None means one raw step for integer wire types and one float epsilon for floats.
    """

    tag: str | None = None
    settle_s: float = 0.0
    tolerance: float | None = None


class TagSpec(Struct, frozen=True):
    """A tag as configured. `source` is the driver's own part (an address...), a frozen msgspec Struct.

    `scale_from`: a tag of the same device whose value is the power of ten that scales this one, always taken from the
    same answer. `wrap`: a counter that starts again at 0 after wrap - 1; the value is then a monotonic total.
    `coherent`: tags with the same name here are always brought by one request. `group`: whose schedule it has.
    `reapply_s`: a device that comes back gets the last value written well again, unless that is older; None: it is read
    and never overwritten. `conflict`: the policy for this tag (protocol.md 3.2), None: its device's.
    `virtual`: it has no address, the rules engine gives its value (a gateway.rulebook.VirtualSpec).
    `description`, `meta`: texts for people. `expect`: any other value makes the tag bad and its device degraded.
    `local`: it never leaves over an uplink. `desired`: wanted as long as nobody has wanted anything of this tag.
    """

    path: str
    type: ValueType
    source: Any
    unit: str = ""
    access: Access = Access.READ
    range: tuple[float, float] | None = None
    transform: Transform = IDENTITY
    report: Report = field(default_factory=Report)
    schedule: Schedule | None = None
    write: WriteLimits = field(default_factory=WriteLimits)
    verify: Verify = field(default_factory=Verify)
    momentary: bool = False
    on_demand: bool = False
    hidden: bool = False
    shadow: bool = False
    labels: tuple[tuple[int, str], ...] = ()
    scale_from: str | None = None
    wrap: int | None = None
    coherent: str = ""
    reapply_s: float | None = None
    conflict: str | None = None
    group: str = ""
    virtual: Any = None
    description: str = ""
    meta: tuple[tuple[str, str], ...] = ()
    expect: Any = None
    local: bool = False
    desired: Any = None


class CommandItem(Struct, frozen=True):
    """A tag in a named command. `labels`: texts of its values in this command; none: the tag's own. `default`: written
    where the caller gives no value; None: the caller must.
    """

    path: str
    labels: tuple[tuple[int, str], ...] = ()
    default: Any = None


class CommandSpec(Struct, frozen=True):
    """A named set of reads or writes of one device's tags, in the order of `items`. `hidden`: not shown in lists."""

    name: str
    items: tuple[CommandItem, ...]
    access: Access = Access.READ
    hidden: bool = False
    description: str = ""


class DeviceSpec(Struct, frozen=True):
    """A device as configured. `settings` is the driver's own part (a unit id...).

    `conflict`: who wins when cloud and gateway both changed a value: cloud_wins, local_wins, last_ts or
    local_until_online (protocol.md 3.2). `commands`: its named commands.
    """

    id: str
    settings: Any
    tags: tuple[TagSpec, ...]
    schedule: Schedule
    enabled: bool = True
    profile: str = ""
    meta: tuple[tuple[str, str], ...] = ()
    conflict: str = "cloud_wins"
    commands: tuple[CommandSpec, ...] = ()


class ChannelSpec(Struct, frozen=True):
    """A channel as configured: one wire or session. `settings` is the driver's own part (a URL...).

    `timeout_s`: one request. `silence_share`: the share of the wire's time that silent devices may cost.
    `probe_s`: how often a demoted device is asked again. `offline_after`: failures in a row until demotion.
    """

    id: str
    driver: str
    settings: Any
    devices: tuple[DeviceSpec, ...]
    timeout_s: float = 1.0
    silence_share: float = 0.05
    probe_s: float = 30.0
    offline_after: int = 3
    enabled: bool = True


class Tag(Struct, frozen=True, eq=False):
    """A tag at work. `slot` is its place in the process' columns, `alias` its persistent number (never reused).

    Identity is (device, path): over a reload a tag keeps slot and alias even when its spec changes.
    """

    device: str
    path: str
    slot: int
    alias: int
    spec: TagSpec

    @property
    def name(self) -> str:
        return f"{self.device}.{self.path}"


class Device(Struct, frozen=True, eq=False):
    """A device at work: its spec and its tags."""

    id: str
    channel: str
    spec: DeviceSpec
    tags: tuple[Tag, ...]

    def tag(self, path: str) -> Tag | None:
        return next((tag for tag in self.tags if tag.path == path), None)


_NOTHING: dict[int, Any] = {}


class Block:
    """Tags of one device that arrive together. Made once per plan, shared by all its batches.

    `start` is the first slot where the slots are consecutive (so that columns are copied as a slice), else -1.
    `counters`: positions of tags whose value is a total (`wrap`). `expects`: by position, the value that a tag must
    have. `refined`: there is one of either.
    """

    __slots__ = ("aliases", "counters", "device", "expects", "refined", "slots", "start", "tags")

    def __init__(self, device: str, tags: Sequence[Tag]) -> None:
        self.device = device
        self.tags = tuple(tags)
        self.slots = [tag.slot for tag in tags]
        self.aliases = [tag.alias for tag in tags]
        self.counters = frozenset(i for i, tag in enumerate(tags) if tag.spec.wrap is not None)
        self.expects = {i: tag.spec.expect for i, tag in enumerate(tags) if tag.spec.expect is not None} or _NOTHING
        self.refined = bool(self.counters or self.expects)
        consecutive = bool(tags) and self.slots == list(range(self.slots[0], self.slots[0] + len(tags)))
        self.start = self.slots[0] if consecutive else -1


class Batch:
    """Readings of one block at one time. Treat as frozen; columns are never changed after publishing.

    `index`: positions in `block.tags`, None when all are present in order. `quality`: None when all are good.
    `ts`: UTC ms when the values were true. `mono`: boot-clock seconds of arrival. `ordinal`: process-wide order.
    """

    __slots__ = ("block", "index", "mono", "ordinal", "quality", "ts", "values")

    def __init__(
        self,
        block: Block,
        values: Sequence[Any],
        ts: int,
        mono: float,
        index: Sequence[int] | None = None,
        quality: Sequence[int] | None = None,
    ) -> None:
        self.block = block
        self.values = values
        self.ts = ts
        self.mono = mono
        self.index = index
        self.quality = quality
        self.ordinal = next(_ordinals)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def slots(self) -> list[int]:
        slots = self.block.slots
        return slots if self.index is None else [slots[i] for i in self.index]

    @property
    def aliases(self) -> list[int]:
        aliases = self.block.aliases
        return aliases if self.index is None else [aliases[i] for i in self.index]

    @property
    def tags(self) -> Sequence[Tag]:
        tags = self.block.tags
        return tags if self.index is None else [tags[i] for i in self.index]


class DeviceState(enum.StrEnum):
    """States of protocol.md 1.3, kind `device`. UNKNOWN until the first answer or failure."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    DEGRADED = "degraded"
    DEMOTED = "demoted"
    OFFLINE = "offline"
    LOCKED = "locked"
    MAINTENANCE = "maintenance"


class WriteState(enum.StrEnum):
    OK = "ok"
    REJECTED = "rejected"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


class Write(Struct, frozen=True):
    """A value to be put into a tag. `deadline` is on the boot clock (seconds); after it nothing reaches the wire."""

    tag: Tag
    value: Value
    deadline: float
    origin: str = "local"
    rid: str = ""


class WriteResult(Struct, frozen=True):
    """How a write ended. `code` as in protocol.md 1.3; `value` is what was read back, never what was asked."""

    device: str
    tag: str
    state: WriteState
    code: int
    value: Value = None
    verified: bool = False
    text: str = ""
