"""The kernel's keys of every file as Structs: names, types and defaults. The schemas are generated from these.

What a key means is told in docs/reference/config.md; what types cannot say is checked where the values are used.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.model import Access, ValueType
from gateway.units import Bytes, Rate, Seconds

Positive = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(gt=0, le=1)]
Number = int | float
Constant = str | int | float | bool | list[Any] | dict[str, Any] | None
Conflict = Literal["cloud_wins", "local_wins", "last_ts", "local_until_online"]
EDGEX_TYPES = frozenset(
    {"int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"}
)
EdgexType = Literal["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
TAG_DEFAULTS = frozenset(
    {"on_change", "heartbeat", "group", "tolerance", "on_demand", "hidden", "shadow", "local", "strict_edgex"}
)
"""Keys of a tag that `defaults` of a channel or profile may have, besides those of its driver."""


class GatewayKeys(msgspec.Struct, frozen=True):
    id: str
    tenant: str = "default"
    timezone: str = "UTC"


class ClockKeys(msgspec.Struct, frozen=True):
    trust: Literal["ntp", "rtc", "always"] = "ntp"


class JournalKeys(msgspec.Struct, frozen=True):
    max_bytes: Bytes = Bytes(256_000_000)
    max_age: Seconds = Seconds(30 * 86400)
    min_age: Seconds = Seconds(86400)


class StoreKeys(msgspec.Struct, frozen=True):
    path: str | None = None
    commit_interval: Seconds = Seconds(1)
    checkpoint: Seconds = Seconds(60)
    journal: dict[str, Any] = {}


class ShadowKeys(msgspec.Struct, frozen=True):
    authority: Literal["cloud", "gateway"] = "cloud"
    max_bytes: Bytes = Bytes(8192)


class ApplyKeys(msgspec.Struct, frozen=True):
    uplinks: Seconds = Seconds(300)
    channels: Seconds = Seconds(120)
    rules: Seconds = Seconds(60)
    hold: Seconds = Seconds(10)


class TlsKeys(msgspec.Struct, frozen=True):
    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class SelectKeys(msgspec.Struct, frozen=True):
    devices: list[str] = msgspec.field(default_factory=lambda: ["*"])
    streams: list[Literal["alarm", "event", "telemetry", "log"]] = msgspec.field(
        default_factory=lambda: ["alarm", "event", "telemetry"]
    )


class BatchKeys(msgspec.Struct, frozen=True):
    age: Seconds | None = None
    readings: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    bytes: Bytes | None = None


class ReconnectKeys(msgspec.Struct, frozen=True):
    max: Seconds | None = None


class RateKeys(msgspec.Struct, frozen=True):
    bytes: Bytes | None = None
    messages: Annotated[float, Meta(gt=0)] | None = None
    bytes_per_day: Bytes | None = None


class UplinkKeys(msgspec.Struct, frozen=True):
    urls: Annotated[list[str], Meta(min_length=1, max_length=16)]
    codec: Literal["json", "native", "flat", "edgex"] = "json"
    profile: Literal["default", "metered", "aws", "fleet"] = "default"
    ack: Literal["broker", "consumer"] = "broker"
    client_id: str | None = None
    username: str | None = None
    password: str | None = None
    tls: dict[str, Any] | None = None
    select: dict[str, Any] = {}
    topic: str | None = None
    qos: Literal[0, 1] = 1
    order: Literal["live_first", "fifo"] = "live_first"
    compress: Literal["none", "zlib"] | None = None
    keepalive: Seconds = Seconds(60)
    ack_timeout: Seconds = Seconds(30)
    reconnect: dict[str, Any] = {}
    batch: dict[str, Any] = {}
    window: Annotated[int, Meta(ge=1, le=65535)] = 16
    rate: dict[str, Any] = {}
    status: Seconds = Seconds(300)
    start: Literal["oldest", "next"] = "oldest"
    unrouted: Literal["accept"] = "accept"
    quality: Literal["good", "all"] | None = None
    envelope: bool | None = None
    twins: Literal["kubeedge"] | None = None
    jobs: list[Literal["ota", "driver", "config", "restart"]] | None = None


class ServerSelectKeys(msgspec.Struct, frozen=True):
    devices: list[str] = msgspec.field(default_factory=lambda: ["*"])
    tags: list[str] = msgspec.field(default_factory=lambda: ["*"])


class ServerKeys(msgspec.Struct, frozen=True):
    kind: str
    listen: str
    select: dict[str, Any] = {}
    write: list[str] = []


class ChannelKeys(msgspec.Struct, frozen=True):
    driver: str
    channel: str | None = None
    enabled: bool = True
    defaults: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    interval: Seconds = Seconds(1)
    timeout: Seconds = Seconds(1)
    silence_share: Share = 0.05
    probe: Seconds = Seconds(30)
    offline_after: Positive = 3
    watch: dict[str, Any] = {}
    devices: dict[str, Any] = {}


class ImportKeys(msgspec.Struct, frozen=True):
    strict_edgex: bool = False
    interval: Seconds | None = None
    node: str = ""


class GroupKeys(msgspec.Struct, frozen=True):
    every: Seconds
    align: Literal["clock"] | None = None


class DeviceKeys(msgspec.Struct, frozen=True):
    enabled: bool = True
    profile: str | None = None
    params: dict[str, Any] = {}
    interval: Seconds | None = None
    conflict: Conflict | None = None
    tags: dict[str, Any] = {}
    alarms: dict[str, Any] = {}
    commands: dict[str, Any] = {}
    meta: dict[str, Any] = {}


class ProfileKeys(msgspec.Struct, frozen=True):
    extends: str | None = None
    params: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    interval: Seconds | None = None
    conflict: Conflict | None = None
    meta: dict[str, Any] = {}
    tags: dict[str, Any] = {}
    alarms: dict[str, Any] = {}
    commands: dict[str, Any] = {}


class CommandKeys(msgspec.Struct, frozen=True):
    tags: list[str] | dict[str, Any]
    access: Access = Access.READ
    hidden: bool = False
    description: str = ""


class CommandTagKeys(msgspec.Struct, frozen=True):
    labels: dict[str, Any] = {}
    default: Constant = None


class TagKeys(msgspec.Struct, frozen=True):
    type: ValueType
    unit: str = ""
    access: Access = Access.READ
    range: Annotated[list[Number], Meta(min_length=2, max_length=2)] | None = None
    mask: Annotated[int, Meta(ge=1)] | None = None
    shift: Annotated[int, Meta(ge=-63, le=63)] = 0
    base: Number | None = None
    scale: Number | None = None
    offset: Number | None = None
    invalid: list[Number] = []
    scale_from: str | None = None
    wrap: Annotated[int, Meta(ge=2)] | None = None
    coherent: str | None = None
    labels: dict[str, Any] = {}
    on_change: bool = False
    deadband: Number | dict[str, Number] | None = None
    heartbeat: Seconds | None = None
    group: str | None = None
    interval: Seconds | None = None
    write: dict[str, Any] = {}
    verify: dict[str, Any] = {}
    tolerance: Annotated[float, Meta(ge=0)] | None = None
    on_reconnect: Literal["keep", "reapply"] | dict[str, Any] = "keep"
    conflict: Conflict | None = None
    momentary: bool = False
    on_demand: bool = False
    hidden: bool = False
    shadow: bool = False
    value: str | int | float | bool | None = None
    counts: str | None = None
    hours: str | None = None
    integral: str | None = None
    reset: str | dict[str, Any] | None = None
    initial: str | int | float | bool | None = None
    description: str = ""
    meta: dict[str, Any] = {}
    expect: Constant = None
    report_every: Seconds | None = None
    local: bool = False
    desired: Constant = None
    strict_edgex: bool | EdgexType = False


class DeadbandKeys(msgspec.Struct, frozen=True):
    percent: Annotated[float, Meta(gt=0, le=100)]


class WriteKeys(msgspec.Struct, frozen=True, rename={"while_": "while"}):
    min: Number | None = None
    max: Number | None = None
    rate: Rate | None = None
    max_change: Annotated[float, Meta(gt=0)] | None = None
    allow: Annotated[list[Literal["local", "cloud", "rule", "plant"]], Meta(min_length=1)] | None = None
    while_: str | None = None


class ReconnectTagKeys(msgspec.Struct, frozen=True):
    reapply: Seconds


class VerifyKeys(msgspec.Struct, frozen=True):
    tag: str | None = None
    settle: Seconds = Seconds(0)
    tolerance: Annotated[float, Meta(ge=0)] | None = None
