"""What a configuration says of rules, alarms, computed tags and notifications: frozen values, resolved and checked.

Neutral ground: the settings make these, the engine (rules/) works by them, neither knows the other. Expressions are
texts here; whoever checks or runs them is handed in as an `Expressions`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

from msgspec import Struct

from gateway.errors import GatewayError
from gateway.model import TagSpec

PRIORITIES = ("diagnostic", "low", "medium", "high", "urgent")
"""ISA-18.2 priorities, least first."""
RULE_OPS = (
    "alarm_ack",
    "alarm_list",
    "alarm_out_of_service",
    "alarm_reset",
    "alarm_shelve",
    "alarm_unshelve",
    "call",
    "demote",
    "discovered_export",
    "discovered_list",
    "discovered_reject",
    "force",
    "interval",
    "maintenance",
    "promote",
    "read",
    "rebirth",
    "refresh",
    "rescan",
    "resend",
    "restart_channel",
    "resync",
    "write",
)
"""Commands that a rule may give: those of the op table that are not for administrators."""
STEP_KINDS = ("write", "desired", "set", "publish", "webhook", "log", "command", "notify", "delay")


class ExpressionError(GatewayError):
    """An expression, template or cron text that cannot be used. `offset` is the place in the text, from 0; `hint` the
    corrected form; `absent` the name as written, without braces, where it names no tag.
    """

    def __init__(self, text: str, offset: int = 0, hint: str = "", *, absent: str = "") -> None:
        super().__init__(text)
        self.offset = offset
        self.hint = hint
        self.absent = absent


FindTag = Callable[[str, str], TagSpec | None]
"""The tag of (device, path), None where there is none."""


class Checked(Struct, frozen=True):
    """What an expression turned out to be. `type`: bool, number or text. `tags`: full names (`device.path`) it reads,
    in the order of the text, each once.
    """

    type: str
    tags: tuple[str, ...]


class Expressions(Protocol):
    """Checks texts at load. `device`: whose tags a name without a device means; empty where there is none.

    Every method raises ExpressionError.
    """

    @property
    def issues(self) -> Collection[str]:
        """Ids of the gateway's issues that alarms may follow."""
        ...

    def check(self, text: str, device: str, find: FindTag) -> Checked:
        """An expression: its type and the tags it reads."""
        ...

    def check_template(self, text: str, device: str, find: FindTag) -> tuple[str, ...]:
        """A text with `{tag:.1f}` in it: the tags it reads."""
        ...

    def check_cron(self, text: str, zone: str) -> None:
        """A cron line of five fields that ever comes true."""
        ...


class Every(Struct, frozen=True):
    """When something runs by the clock: each `period_s` (`align`: on its multiples on the wall clock of `zone`), or at
    the times of the five-field `cron` in `zone`. `missed`: a time that passed while nobody ran it is left out (`skip`)
    or made up for with one run (`once`).
    """

    period_s: float = 0.0
    align: bool = False
    cron: str = ""
    zone: str = "UTC"
    missed: str = "skip"


class Assignment(Struct, frozen=True):
    """A value for a tag (`device.path`): the constant `value`, or what `expression` gives when that is not empty."""

    tag: str
    value: Any = None
    expression: str = ""


class Step(Struct, frozen=True):
    """One step of a sequence. `kind` is one of STEP_KINDS and says which fields count:

    write, desired, set: `assign`. publish: `topic`, `text` (payload template), `uplink`, `retain`. webhook: `url`,
    `method`, `headers`, `text` (body template), `timeout_s`. log: `text`, `level`. command: `op`, `device`, `args`.
    notify: `to`, `text`. delay: `seconds`.
    """

    kind: str
    assign: tuple[Assignment, ...] = ()
    text: str = ""
    topic: str = ""
    uplink: str = ""
    retain: bool = False
    url: str = ""
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 10.0
    level: str = "info"
    op: str = ""
    device: str = ""
    args: tuple[tuple[str, Any], ...] = ()
    to: tuple[str, ...] = ()
    seconds: float = 0.0

    def __repr__(self) -> str:
        """Without URL and headers, where secrets may be: settings end up in logs and tracebacks."""
        hidden = {"url", "headers"}
        shown = [f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in hidden]
        return f"Step({', '.join(shown)})"


class AlarmSpec(Struct, frozen=True):
    """An alarm at work on one entity. Identity is (id, entity); entity is a device id, or `gateway`.

    `on`: the condition; `off`: its end (empty: `on` is false). A deadband is already in `off`. `device`: whose tags
    short names mean. `tag`: the path it watches, for people. `limit`: as written, for people. `suppress`: while this
    expression is true the alarm is suppressed by design. `group`: first-out group. `issue`: it follows the gateway's
    issue of that id instead of an expression. `blocks_updates`: while it is active no update is staged. `notify`: names
    of notifications besides those that take all.
    An alarm of a rule has `rule` set and no `on`: the rule's phase is its condition.
    """

    id: str
    entity: str
    on: str = ""
    off: str = ""
    device: str = ""
    tag: str = ""
    limit: str = ""
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0
    on_bad: str = "hold"
    priority: str = "medium"
    text: str = ""
    action: str = ""
    latched: bool = False
    blocks_updates: bool = False
    suppress: str = ""
    group: str = ""
    issue: str = ""
    rule: str = ""
    notify: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """How people and tables name it: `id@entity`."""
        return f"{self.id}@{self.entity}"


class RuleSpec(Struct, frozen=True):
    """A rule at work. Of a template each device has one, `id` is then `name@device` and `device` is that device.

    `when` empty: it runs by `every` alone. `until` empty: it ends when `when` is false. `edge`: it starts only after
    `when` was seen false. `lateness_s`: how late a reading may come and still count in its windows.
    """

    id: str
    when: str = ""
    for_s: float = 0.0
    until: str = ""
    on_bad: str = "hold"
    edge: bool = False
    every: Every | None = None
    lateness_s: float = 0.0
    start: tuple[Step, ...] = ()
    end: tuple[Step, ...] = ()
    alarm: AlarmSpec | None = None
    device: str = ""
    dry_run: bool = False
    description: str = ""


class VirtualSpec(Struct, frozen=True):
    """How a tag without an address gets its value (TagSpec.virtual).

    `kind`: `value` (the expression `text`), `counts` (how often `text` became true), `hours` (how long it was true, in
    hours), `integral` (of the number `text` over time, in its unit times hours), `memory` (what was set last, `initial`
    before). `device` owns short names. `reset`: totals begin anew then.
    """

    kind: str
    text: str = ""
    device: str = ""
    initial: Any = None
    reset: Every | None = None


NOTIFY_FIELDS = (
    "gateway",
    "id",
    "entity",
    "tag",
    "event",
    "state",
    "priority",
    "text",
    "action",
    "limit",
    "value",
    "quality",
    "time",
    "who",
    "comment",
)
"""What `{...}` may name in the text of a notification."""


class Resend(Struct, frozen=True):
    """An alarm that nobody acknowledged is told again each `every_s`, at most `times` times."""

    every_s: float
    times: int


class NotifySpec(Struct, frozen=True):
    """Somebody who is told of alarms. `kind`: mqtt, webhook or smtp; `options`: its own keys, resolved.

    `priority`: the least that is told. `on`: which of active, clear, ack, shelved. `limit`: (messages, per seconds).
    `every_alarm`: told of all alarms, not only of those that name it. `text`: a template with NOTIFY_FIELDS, empty for
    the usual one. Options by kind: mqtt `topic`, `uplink`, `retain`; webhook `url`, `method`, `headers` (pairs),
    `timeout_s`; smtp `host`, `port`, `from`, `to` (addresses), `tls`, `username`, `password`.
    """

    name: str
    kind: str
    options: tuple[tuple[str, Any], ...] = ()
    priority: str = "low"
    on: tuple[str, ...] = ("active",)
    resend: Resend | None = None
    limit: tuple[int, float] | None = None
    every_alarm: bool = True
    text: str = ""

    def __repr__(self) -> str:
        """Without its options, some of which are secrets: settings end up in logs and tracebacks."""
        return f"NotifySpec(name={self.name!r}, kind={self.kind!r}, priority={self.priority!r})"


class RuleBook(Struct, frozen=True):
    """All of it. `dry_run`: no rule acts, what it would have done is told. `budget_s`: of one evaluation of a rule.
    `quiet_issues`: ids of issues of the gateway that make no alarm.
    """

    rules: tuple[RuleSpec, ...] = ()
    alarms: tuple[AlarmSpec, ...] = ()
    notify: tuple[NotifySpec, ...] = ()
    dry_run: bool = False
    budget_s: float = 0.02
    quiet_issues: tuple[str, ...] = ()
