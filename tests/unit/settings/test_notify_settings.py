"""`notify` of gateway.yaml: who is told, and how; secrets stay out of everything."""

from __future__ import annotations

import json
from typing import Any

from gateway.rulebook import NotifySpec, Resend
from gateway.settings.plan import diff
from tests.unit.settings.plant import UPLINKS, plant
from tests.unit.settings.toy import Load

SMTP = "smtp: {host: mail, from: a@b.c, to: [d@e.f], username: me, password: '${credential:mail}'}"


def notify(load: Load, text: str, **more: Any) -> tuple[NotifySpec, ...]:
    return load(plant(gateway=f"{UPLINKS}notify:\n{text}"), **more).book.notify


def test_each_way_has_its_options(load: Load) -> None:
    text = "  a: {mqtt: {topic: plant/alarms}}\n  b: {webhook: {url: https://example.org, headers: {A: b}}}\n"
    text += f"  c: {{{SMTP}}}\n"
    mqtt, webhook, smtp = notify(load, text, secrets={"mail": "sesame"})
    assert dict(mqtt.options) == {"topic": "plant/alarms", "uplink": "local", "retain": False}
    assert dict(webhook.options) == {
        "url": "https://example.org",
        "method": "POST",
        "headers": (("A", "b"),),
        "timeout_s": 10.0,
    }
    assert dict(smtp.options) == {
        "host": "mail",
        "port": 587,
        "from": "a@b.c",
        "to": ("d@e.f",),
        "tls": "starttls",
        "username": "me",
        "password": "sesame",
    }


def test_what_is_told_and_how_often(load: Load) -> None:
    text = "  a: {mqtt: {topic: x}, priority: high, on: [active, clear, active], resend: {every: 10m}, limit: 20/h, "
    text += "alarms: named, text: '{text} at {entity}, {{x}}'}\n"
    (spec,) = notify(load, text)
    assert (spec.priority, spec.on, spec.resend) == ("high", ("active", "clear"), Resend(600.0, 3))
    assert (spec.limit, spec.every_alarm, spec.text) == ((20, 3600.0), False, "{text} at {entity}, {{x}}")


def test_an_alarm_names_who_is_told(load: Load) -> None:
    gateway = UPLINKS + "notify: {a: {mqtt: {topic: x}}, b: {mqtt: {topic: y}}}\n"
    alarms = "x: {tag: pump1.speed, above: 5, notify: a}\ny: {when: pump1.run, notify: [b, a]}\n"
    x, y = load(plant(gateway=gateway, alarms=alarms)).book.alarms
    assert (x.notify, y.notify) == (("a",), ("b", "a"))


def test_secrets_are_in_no_hash_no_plan_and_no_text(load: Load) -> None:
    gateway = f"{UPLINKS}notify: {{a: {{{SMTP}}}}}\n"
    old = load(plant(gateway=gateway), secrets={"mail": "sesame"})
    new = load(plant(gateway=gateway), secrets={"mail": "sesame2"})
    assert old.hash == new.hash
    plan = diff(old, new)
    assert plan.book.notify.changed == ("a",)
    for text in (repr(old), json.dumps(plan.as_json())):
        assert "sesame" not in text
