"""Typed settings of gateway.yaml, resolved: units are seconds and bytes, references are replaced.

Channels are gateway.model.ChannelSpec. These values are what the rest of the gateway sees of configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from gateway.model import ChannelSpec
from gateway.rulebook import RuleBook
from gateway.serving.offering import Choice
from gateway.tls import TlsSettings
from gateway.watching import WatchSpec

MB = 1_000_000


class JournalSettings(Struct, frozen=True):
    max_bytes: int = 256 * MB
    max_age_s: float = 30 * 86400.0
    min_age_s: float = 24 * 3600.0


class StoreSettings(Struct, frozen=True):
    """`path` is the state directory: store, generations, socket."""

    path: Path
    commit_interval_s: float = 1.0
    checkpoint_s: float = 60.0
    journal: JournalSettings = field(default_factory=JournalSettings)


class Selection(Struct, frozen=True):
    """What an uplink carries: device ids (`*` and `?` match) and streams."""

    devices: tuple[str, ...] = ("*",)
    streams: tuple[str, ...] = ("alarm", "event", "telemetry")


NUMBERED = ("json", "native")
JOB_OPS = ("ota", "driver", "config", "restart")
"""Ops of jobs; an uplink brings all of them where its `jobs` does not say otherwise."""
"""Codecs whose messages carry the journal's numbers, so that they can be proved."""


class UplinkSettings(Struct, frozen=True):
    """One uplink. `codec`: json, native, flat, edgex. `ack`: broker or consumer. Defaults of `profile` are applied.

    `quality`, `envelope`: of codec `edgex`. `jobs`: ops of jobs that it may bring.
    """

    name: str
    urls: tuple[str, ...]
    client_id: str
    codec: str = "json"
    profile: str = "default"
    ack: str = "broker"
    username: str | None = None
    password: str | None = None
    tls: TlsSettings | None = None
    select: Selection = field(default_factory=Selection)
    topic: str | None = None
    qos: int = 1
    order: str = "live_first"
    compress: str = "none"
    keepalive_s: float = 60.0
    ack_timeout_s: float = 30.0
    reconnect_max_s: float = 60.0
    batch_age_s: float = 1.0
    batch_readings: int = 1000
    max_payload: int = 256_000
    window: int = 16
    bytes_per_s: float | None = None
    messages_per_s: float | None = None
    bytes_per_day: int | None = None
    status_s: float = 300.0
    start: str = "oldest"
    quality: str = "good"
    envelope: bool = True
    twins: str = ""
    jobs: tuple[str, ...] = JOB_OPS

    @property
    def numbered(self) -> bool:
        """Whether it speaks fieldpost's own protocol: numbers, births, shadows and commands."""
        return self.codec in NUMBERED

    def __repr__(self) -> str:
        """Without the password: settings end up in logs and tracebacks."""
        shown = {name: value for name, value in asdict(self).items() if name != "password"}
        return f"UplinkSettings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class ShadowSettings(Struct, frozen=True):
    """Device shadows. `authority`: who gives versions to desired values, cloud or gateway (protocol.md 3.1).
    `max_bytes`: of a document of one device and side.
    """

    authority: str = "cloud"
    max_bytes: int = 8192


class ApplySettings(Struct, frozen=True):
    """How long a changed configuration may take until what it touches is up again, by the slowest that it touches, and
    for how long all must hold after a change from afar; seconds.
    """

    uplinks_s: float = 300.0
    channels_s: float = 120.0
    rules_s: float = 60.0
    hold_s: float = 10.0


class ServerSettings(Struct, frozen=True):
    """One server to the plant. `choice`: what it offers; `settings`: the kind's own part."""

    name: str
    kind: str
    host: str
    port: int
    choice: Choice
    settings: Any


class OtaSettings(Struct, frozen=True):
    """Updates. `url`: of the repository, empty without one; `max_rate`: bytes per second; `window`: minutes of the day,
    from and to; `jitter_s`: the longest wait before one begins; `parts`: files may come over MQTT; `drivers`: patterns
    of the driver packages that may come from afar.
    """

    url: str = ""
    ca: Path | None = None
    token: str | None = None
    max_rate: int | None = None
    window: tuple[int, int] | None = None
    jitter_s: float = 600.0
    metered: bool = False
    parts: bool = True
    drivers: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the token: settings end up in logs and tracebacks."""
        shown = {name: value for name, value in asdict(self).items() if name != "token"}
        return f"OtaSettings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class GatewaySettings(Struct, frozen=True):
    """A whole, valid configuration. `hash` names its content: 16 hex digits of SHA-256 over the resolved tree. `book`:
    rules, alarms and notifications. `watch`: rules for devices that are seen and not configured. `accepted`: (channel,
    device) that discovery brought in and no file of the folder holds; no part of the meaning. `remote_config`: which
    trees of jobs are taken: open, signed, off.
    """

    id: str
    tenant: str
    timezone: str
    clock_trust: str
    store: StoreSettings
    uplinks: tuple[UplinkSettings, ...]
    channels: tuple[ChannelSpec, ...]
    hash: str
    shadow: ShadowSettings = field(default_factory=ShadowSettings)
    book: RuleBook = field(default_factory=RuleBook)
    watch: tuple[WatchSpec, ...] = ()
    accepted: tuple[tuple[str, str], ...] = ()
    servers: tuple[ServerSettings, ...] = ()
    ota: OtaSettings = field(default_factory=OtaSettings)
    remote_config: str = "open"
    apply: ApplySettings = field(default_factory=ApplySettings)
