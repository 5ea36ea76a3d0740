"""The keys of rules, alarms, steps and notifications as Structs, as keys.py has those of the other files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.settings.keys import Number
from gateway.units import Rate, Seconds

Priority = Literal["diagnostic", "low", "medium", "high", "urgent"]
OnBad = Literal["hold", "reset"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Names = str | list[str]


class RulesKeys(msgspec.Struct, frozen=True):
    dry_run: bool = False
    budget: Seconds = Seconds(0.02)


class EveryKeys(msgspec.Struct, frozen=True):
    every: Seconds | None = None
    align: Literal["clock"] | None = None
    cron: str | None = None
    zone: str | None = None
    missed: Literal["skip", "once"] = "skip"


class RuleKeys(msgspec.Struct, frozen=True, rename={"for_": "for"}):
    description: str = ""
    enabled: bool = True
    profile: Names | None = None
    devices: Names | None = None
    when: str | None = None
    for_: Seconds | None = None
    until: str | None = None
    on_bad: OnBad = "hold"
    trigger: Literal["level", "edge"] = "level"
    every: Any = None
    lateness: Seconds = Seconds(0)
    dry_run: bool = False
    start: list[Any] = []
    end: list[Any] = []
    alarm: dict[str, Any] | None = None


class RuleAlarmKeys(msgspec.Struct, frozen=True):
    priority: Priority = "medium"
    text: str = ""
    action: str = ""
    latched: bool = False
    blocks_updates: bool = False
    off_delay: Seconds = Seconds(0)
    group: str | None = None
    suppress: str | None = None
    notify: Names = []


class AlarmKeys(msgspec.Struct, frozen=True, rename={"is_": "is"}):
    enabled: bool = True
    profile: Names | None = None
    devices: Names | None = None
    tag: str | None = None
    above: Number | None = None
    below: Number | None = None
    levels: dict[str, Any] | None = None
    rate: dict[str, Any] | None = None
    deviation: dict[str, Any] | None = None
    is_: bool | int | float | str | list[bool | int | float | str] | None = None
    stale: Seconds | None = None
    when: str | None = None
    until: str | None = None
    issue: str | None = None
    deadband: Annotated[float, Meta(ge=0)] = 0
    on_delay: Seconds = Seconds(0)
    off_delay: Seconds = Seconds(0)
    on_bad: OnBad = "hold"
    priority: Priority = "medium"
    text: str = ""
    action: str = ""
    latched: bool = False
    blocks_updates: bool = False
    group: str | None = None
    suppress: str | None = None
    notify: Names = []


class LevelKeys(msgspec.Struct, frozen=True):
    above: Number | None = None
    below: Number | None = None
    enabled: bool | None = None
    deadband: Annotated[float, Meta(ge=0)] | None = None
    on_delay: Seconds | None = None
    off_delay: Seconds | None = None
    on_bad: OnBad | None = None
    priority: Priority | None = None
    text: str | None = None
    action: str | None = None
    latched: bool | None = None
    blocks_updates: bool | None = None
    group: str | None = None
    suppress: str | None = None
    notify: Names | None = None


class RateLimitKeys(msgspec.Struct, frozen=True):
    above: Number | None = None
    below: Number | None = None
    over: Seconds | None = None


class DeviationKeys(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    from_: str | int | float
    above: Annotated[float, Meta(gt=0)]


class ValueKeys(msgspec.Struct, frozen=True):
    value: str


class PublishKeys(msgspec.Struct, frozen=True):
    topic: str
    payload: str
    uplink: str | None = None
    retain: bool = False


class WebhookKeys(msgspec.Struct, frozen=True):
    url: str
    method: Method = "POST"
    body: str = ""
    headers: dict[str, Any] = {}
    timeout: Seconds = Seconds(10)


class LogKeys(msgspec.Struct, frozen=True):
    text: str
    level: Literal["debug", "info", "warning", "error"] = "info"


class CommandKeys(msgspec.Struct, frozen=True):
    op: str
    device: str | None = None
    args: dict[str, Any] = {}


class TellKeys(msgspec.Struct, frozen=True):
    text: str
    to: Names = []


class NotifyKeys(msgspec.Struct, frozen=True):
    mqtt: dict[str, Any] | None = None
    webhook: dict[str, Any] | None = None
    smtp: dict[str, Any] | None = None
    priority: Priority = "low"
    on: Annotated[list[Literal["active", "clear", "ack", "shelved"]], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["active"]
    )
    resend: dict[str, Any] | None = None
    limit: Rate | None = None
    alarms: Literal["all", "named"] = "all"
    text: str = ""


class NotifyMqttKeys(msgspec.Struct, frozen=True):
    topic: str
    uplink: str | None = None
    retain: bool = False


class NotifyWebhookKeys(msgspec.Struct, frozen=True):
    url: str
    method: Method = "POST"
    headers: dict[str, Any] = {}
    timeout: Seconds = Seconds(10)


class NotifySmtpKeys(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    host: str
    from_: str
    to: Annotated[list[str], Meta(min_length=1, max_length=50)]
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = None


class ResendKeys(msgspec.Struct, frozen=True):
    every: Seconds
    times: Annotated[int, Meta(ge=1, le=1000)] = 3
