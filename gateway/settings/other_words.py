"""Keys and steps as other programs call them, with their names here; and each structured key in its right form."""

from __future__ import annotations

_CONDITION = "write `when`: a condition such as pump.speed > 80"
_START = "write `start`: [{write: {pump.run: true}}]"
_PRIORITY = "write `priority`: diagnostic, low, medium, high or urgent"
_TELL = "write `notify`: its names are in `notify` of gateway.yaml"
_TEXT = "write `text`"

RULE = {
    **dict.fromkeys(("if", "condition", "conditions", "expression"), _CONDITION),
    **dict.fromkeys(("then", "do", "action", "actions", "steps", "on_start"), _START),
    **dict.fromkeys(("else", "on_end", "finally"), "write `end`: steps when the rule ends"),
    **dict.fromkeys(("severity", "priority"), "it is a key of `alarm`: alarm: {priority: high}"),
    **dict.fromkeys(("mail", "email", "notify", "notification"), "write it as a step: start: [{notify: TEXT}]"),
    **dict.fromkeys(("cron", "schedule"), 'write `every`: {cron: "30 2 * * *"}'),
    **dict.fromkeys(("duration", "delay", "on_delay"), "write `for`: how long `when` must hold"),
    "off_delay": "write `until`, or put it into `alarm`",
    "while": "an interlock stands at its tag: write: {while: guard.closed}",
    "edge": "write `trigger`: edge",
}
ALARM = {
    **dict.fromkeys(("if", "condition", "expression"), "write `when`: a condition, or `tag` and a limit"),
    **dict.fromkeys(("severity", "level", "prio", "class"), _PRIORITY),
    **dict.fromkeys(("mail", "email", "to", "notification"), _TELL),
    **dict.fromkeys(("message", "msg", "description", "title"), _TEXT),
    **dict.fromkeys(("for", "delay", "duration"), "write `on_delay`: how long it must hold"),
    **dict.fromkeys(("high", "hi", "max", "greater_than"), "write `above`"),
    **dict.fromkeys(("low", "lo", "min", "less_than"), "write `below`"),
    **dict.fromkeys(("hysteresis", "deadzone"), "write `deadband`"),
    **dict.fromkeys(("start", "then", "actions"), "steps belong to a rule: rules/*.yaml"),
    "while": "write `suppress`: a condition under which the alarm is not shown",
}
RULE_ALARM = {key: hint for key, hint in ALARM.items() if key not in {"if", "condition", "expression", "for", "delay"}}
STEP = {
    **dict.fromkeys(("mail", "email", "tell", "alert"), "write `notify`: TEXT"),
    **dict.fromkeys(("sleep", "wait", "pause"), "write `delay`: 10s"),
    **dict.fromkeys(("mqtt", "send"), "write `publish`: {topic: plant/event, payload: TEXT}"),
    **dict.fromkeys(("http", "https", "post", "url", "rest"), "write `webhook`: {url: https://example.org/hook}"),
    **dict.fromkeys(("print", "echo"), "write `log`: TEXT"),
    **dict.fromkeys(("op", "call", "run"), "write `command`: {op: refresh, device: pump}"),
}
"""By the word of other programs: what to write."""

_STEPS = "write [{write: {pump.run: true}}]"
_TEMPLATE = "put the whole text in quotes, with {{ }} for braces themselves: '{{\"t\": {pump.speed}}}'"
FORMS = {
    "start": _STEPS,
    "end": _STEPS,
    "alarm": "write {text: Pump stands, priority: high}",
    "levels": "write {h: {above: 80}, hh: {above: 90, priority: urgent}}",
    "rate": "write {above: 5, over: 10s}, in units per second",
    "deviation": "write {from: pump.setpoint, above: 5}",
    "resend": "write {every: 10m, times: 3}",
    "mqtt": "write {topic: plant/alarms}",
    "webhook": "write {url: https://example.org/hook}",
    "smtp": "write {host: mail.example.org, from: gateway@example.org, to: [shift@example.org]}",
    "payload": _TEMPLATE,
    "body": _TEMPLATE,
    "text": _TEMPLATE,
}
"""By the key of rules, alarms and notifications: its right form, for a value of another kind."""
