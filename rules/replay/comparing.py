"""What a replay brought against what really happened: effects that go together in name, value and time.

An effect is a step of a rule on one tag (or a step without a tag), or a change of an alarm. Times of what really
happened are those of its entry in the journal, a little after the moment itself.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from gateway.rulebook import STEP_KINDS
from rules.alarms.machine import ACTIVE, AWAY
from rules.replay.orders import BY_PEOPLE, alarm_key

TOLERANCE_MS = 2000
_STEP_OF = {"shadow_set": "desired"}
_WITHOUT_TAGS = frozenset(("publish", "webhook", "log", "command", "notify"))
_WITH_TEXT = frozenset(("log", "notify"))
"""Steps whose text an audit entry tells."""
ENDED_MS = 30_000
"""An action's entry stands at its end: it waited for its turn, was written and read back."""


class Effect(Struct, frozen=True):
    """One effect. `ts` in UTC ms. `who`: the rule, or `id@entity` of the alarm. `what`: the kind of step; of an alarm
    empty. `on`: the tag, topic, op or notification. `value`: what was written; of an alarm active, over, or the state
    that it is away in. `text`: of a message, for people; what goes together may differ in it.
    """

    ts: int
    kind: str
    who: str
    what: str
    on: str
    value: Any
    text: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return (self.kind, self.who, self.what, self.on, _same(self.value))


class Comparison(Struct, frozen=True):
    """`matched`: pairs (replayed, real); the others have no partner."""

    matched: tuple[tuple[Effect, Effect], ...]
    only_here: tuple[Effect, ...]
    only_real: tuple[Effect, ...]

    @property
    def equal(self) -> bool:
        return not self.only_here and not self.only_real

    def within(self, since: int, until: int) -> Comparison:
        """Only what is of that time, UTC ms; a pair is of the time of its first."""
        return Comparison(
            tuple(pair for pair in self.matched if since <= pair[0].ts <= until),
            tuple(one for one in self.only_here if since <= one.ts <= until),
            tuple(one for one in self.only_real if since <= one.ts <= until),
        )


def compare(here: Iterable[Effect], real: Iterable[Effect], tolerance_ms: int = TOLERANCE_MS) -> Comparison:
    """Pair effects of the same key whose times differ by at most `tolerance_ms` (real actions may be ENDED_MS later),
    oldest first.
    """
    waiting: dict[tuple[str, ...], list[Effect]] = defaultdict(list)
    for effect in sorted(real, key=_when):
        waiting[effect.key].append(effect)
    matched: list[tuple[Effect, Effect]] = []
    only_here: list[Effect] = []
    only_real: list[Effect] = []
    for effect in sorted(here, key=_when):
        queue = waiting[effect.key]
        while queue and queue[0].ts < effect.ts - tolerance_ms:
            only_real.append(queue.pop(0))
        late_ms = tolerance_ms + (ENDED_MS if effect.kind == "action" else 0)
        if queue and queue[0].ts <= effect.ts + late_ms:
            matched.append((effect, queue.pop(0)))
        else:
            only_here.append(effect)
    only_real += [effect for queue in waiting.values() for effect in queue]
    return Comparison(tuple(matched), tuple(only_here), tuple(sorted(only_real, key=_when)))


def effects_of(line: dict[str, Any]) -> list[Effect]:
    """The effects of a line of outcomes. Dry runs, orders of people and phases of rules are none."""
    if line["kind"] == "alarm" and not _by_people(line):
        return [Effect(line["ts"], "alarm", alarm_key(line), "", "", _phase(line["state"]))]
    if line["kind"] != "action" or line.get("dry_run"):
        return []
    values = line.get("values")
    if not values:
        text = str(line.get("text", "")) if line["what"] in _WITH_TEXT else ""
        return [Effect(line["ts"], "action", line["rule"], line["what"], _target(line["what"], line), None, text)]
    return [Effect(line["ts"], "action", line["rule"], line["what"], tag, value) for tag, value in values.items()]


def effects_in(row: dict[str, Any]) -> list[Effect]:
    """The effects of a real entry of stream alarm, or of an audit entry of a rule; none of any other."""
    match row.get("kind"):
        case "alarm":
            if _by_people(row) or row.get("event") is None:
                return []
            return [Effect(row["ts"], "alarm", alarm_key(row), "", "", _phase(row["state"]))]
        case "chattering":
            key = alarm_key(row)
            return [Effect(ts, "alarm", key, "", "", _phase(state)) for ts, state, *_ in row.get("transitions", ())]
        case "audit":
            return _of_audit(row)
    return []


def _phase(state: str) -> str:
    """What rules have to do with a state: whether somebody acknowledged before the replay begins is not their doing."""
    if state in ACTIVE:
        return "active"
    return state if state in AWAY else "over"


def _of_audit(row: dict[str, Any]) -> list[Effect]:
    who = str(row.get("who", ""))
    if not who.startswith("rule:") or row.get("dry_run") or row.get("state") == "dry_run":
        return []
    rule, what = who.removeprefix("rule:"), _STEP_OF.get(str(row.get("what")), str(row.get("what", "")))
    if what not in STEP_KINDS:  # an op that a rule's command asked for has an entry of its own, beside the command's
        return []
    if what in _WITHOUT_TAGS:
        text = str(row.get("message", "")) if what in _WITH_TEXT else ""
        return [Effect(row["ts"], "action", rule, what, _target(what, row), None, text)]
    return [Effect(row["ts"], "action", rule, what, on, value) for on, value in _assigned(row)]


def _target(what: str, row: dict[str, Any]) -> str:
    """What a step without tags is about, of a line as of an audit entry."""
    match what:
        case "publish":
            return str(row.get("topic", ""))
        case "command":
            return f"{row.get('op', '')} {row.get('device', '')}".strip()
        case "notify":
            return ", ".join(row.get("to", ()))
    return ""


def _assigned(row: dict[str, Any]) -> list[tuple[str, Any]]:
    """Tags and values of an audit entry; what is refused before it is tried has them as texts."""
    device, new = row.get("device"), row.get("new")
    if device and row.get("tag"):
        return [(f"{device}.{row['tag']}", new)]
    if device and row.get("path"):
        return [(f"{device}.{str(row['path']).replace('.', '/')}", new)]
    if row.get("values"):
        pairs = [str(text).partition("=") for text in row["values"]]
        return [(name, _literal(value)) for name, _, value in pairs]
    return [("", None)]


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _by_people(row: dict[str, Any]) -> bool:
    return row.get("event") in BY_PEOPLE and bool(row.get("who"))


def _when(effect: Effect) -> tuple[int, tuple[str, ...]]:
    return effect.ts, effect.key


def _same(value: Any) -> str:
    """Values that are equal on a wire have one text: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:.12g}"
    return f"{type(value).__name__} {value}"
