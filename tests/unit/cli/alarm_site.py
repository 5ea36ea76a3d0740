"""A gateway that has alarms and rules, as the command line asks it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from gateway.local.alarms import AlarmOps, RuleOps
from gateway.local.connection import Handler
from gateway.runtime.alarmsummary import alarm_summary, rule_summary
from tests.unit.runtime.alarm_bench import Bench

PUMP, BOILER, OVEN = "press_hi@pump", "hot@boiler", "hot@oven"


RULE: dict[str, Any] = {
    "id": "overheat",
    "state": "pending",
    "since": 1_795_000_000_000,
    "due": 9_999_999_999_999,
    "when": "boiler.temperature > 80",
    "until": "boiler.temperature < 75",
    "device": "",
    "description": "the boiler is too hot",
    "dry_run": True,
    "sequence": "",
    "fault": "",
}


STOPPED = {**RULE, "id": "broken", "state": "stopped", "since": 0, "due": 0, "fault": "division by zero"}


RUN: dict[str, Any] = {
    "begin": {
        "ts": 1_795_000_010_000,
        "t_cond": 1_795_000_000_000,
        "t_active": 1_795_000_010_000,
        "event": "active",
        "text": "Boiler at 83.0 °C",
    },
    "inputs": [{"tag": "boiler.temperature", "value": 83.0, "quality": "good", "ts": 1_795_000_010_000}],
    "readings": [
        {"ts": 1_794_999_990_000, "tag": "boiler.temperature", "value": 79.0, "quality": "good"},
        {"ts": 1_795_000_000_000, "tag": "boiler.temperature", "value": None, "quality": "bad/comm"},
    ],
    "left_out": 7,
    "transitions": [
        {"ts": 1_795_000_010_000, "kind": "alarm", "id": "overheat", "entity": "gateway", "state": "unack_active",
         "event": "active", "priority": "high", "text": "Boiler at 83.0 °C", "value": 83.0},
        {"ts": 1_795_000_020_000, "kind": "alarm", "id": "overheat", "entity": "gateway", "state": "ack_active",
         "event": "ack", "priority": "high", "text": "Boiler at 83.0 °C", "who": "anna", "comment": "on my way"},
    ],
    "events": [{"ts": 1_795_000_010_000, "kind": "rule", "rule": "overheat", "what": "started"}],
    "actions": [
        {"ts": 1_795_000_010_050, "who": "rule:overheat", "what": "write", "device": "pump", "tag": "run", "old": False,
         "new": True, "state": "ok", "code": 200},
        {"ts": 1_795_000_010_060, "who": "rule:overheat", "what": "webhook", "host": "example.org", "state": "failed",
         "code": 504, "text": "no answer"},
    ],
}  # fmt: skip


DETAILS: dict[str, Any] = {
    "for": 10_000,
    "on_bad": "hold",
    "start": ["write pump.run = true", "log: hot"],
    "end": [],
    "conditions": [
        {"name": "when", "text": RULE["when"], "now": None, "because": "boiler.pressure is uncertain"},
        {"name": "until", "text": RULE["until"], "now": False, "because": ""},
    ],
    "windows": [{"tag": "boiler.temperature", "size": 300_000, "hop": 0, "values": {"avg": 81.25, "max": None}}],
}


class Site(Bench):
    """A gateway as far as alarms go; what is told of a rule's past is fixed."""

    def __init__(self, path: Path) -> None:
        super().__init__(rules=[RULE, STOPPED])
        self.path = path
        self.runs = [RUN]
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def virtuals(self) -> list[dict[str, Any]]:
        return [{"tag": "plant.energy", "kind": "integral", "expression": "meter.power", "value": 812.4,
                 "quality": "good", "held": 0}]  # fmt: skip

    async def past(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((op, args))
        row = {"key": "overheat@gateway", "state": "ack_active", "priority": "high", "text": "Boiler at 83.0 °C",
               "limit": "", "action": "Open the bypass"}  # fmt: skip
        inputs = [{"tag": "boiler.temperature", "value": None, "quality": "bad/comm", "ts": None}]
        return {
            "name": args["name"],
            "rule": RULE,
            "alarm": row,
            "on": "",
            "off": "",
            "details": DETAILS,
            "inputs": inputs,
            "runs": self.runs,
        }

    async def status(self, _args: dict[str, Any]) -> dict[str, Any]:
        return {"ready": True, "alarms": alarm_summary(self), "rules": rule_summary(self)}

    async def journal(self, args: dict[str, Any]) -> dict[str, Any]:
        folded = {**RUN["transitions"][0], "kind": "chattering", "event": None, "n": 1, "state": "ack_latched"}
        many = {**folded, "n": 4}
        other = {"ts": 1_795_000_030_000, "kind": "rule", "rule": "overheat", "what": "started"}
        rows = [*RUN["transitions"], folded, many, other]
        return {"entries": [{**row, "seq": 10 + place} for place, row in enumerate(rows)], "stream": args["stream"]}

    def handlers(self) -> dict[str, Handler]:
        alarms, rules = AlarmOps(self), RuleOps(self)
        return {
            "status": Handler(self.status),
            "alarms": Handler(alarms.alarms),
            "alarms_watch": Handler(self.few, stream=True),
            "journal": Handler(self.journal),
            "alarm_ack": Handler(alarms.ack, "operate", caller=True),
            "alarm_shelve": Handler(alarms.shelve, "operate", caller=True),
            "alarm_unshelve": Handler(alarms.unshelve, "operate", caller=True),
            "alarm_reset": Handler(alarms.reset, "operate", caller=True),
            "alarm_out_of_service": Handler(alarms.out_of_service, "operate", caller=True),
            "rules": Handler(rules.rules),
            "rule_show": Handler(lambda args: self.past("rule_show", args)),
            "rule_why": Handler(lambda args: self.past("rule_why", args)),
        }

    async def few(self, args: dict[str, Any]) -> Any:
        """What a watcher sees of two alarms; then the gateway stops."""
        async with contextlib.aclosing(AlarmOps(self).watch(args)) as items:
            yield await anext(items)
            told = len(self.desk.told)
            self.desk.active(BOILER, value=91.5)
            self.desk.ack(BOILER, comment="on my way")
            self.tell(told)
            yield await anext(items)
            yield await anext(items)
