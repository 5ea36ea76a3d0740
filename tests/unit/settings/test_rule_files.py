"""rules/*.yaml become RuleSpecs: keys, steps, templates; nothing is guessed and nothing is half a rule."""

from __future__ import annotations

import pytest

from drivers.virtual import SPEC as VIRTUAL
from gateway.errors import ConfigError
from gateway.rulebook import AlarmSpec, Assignment, Every, RuleSpec, Step
from gateway.settings.loader import load_files
from gateway.settings.types import GatewaySettings
from rules.expression import RuleExpressions
from tests.unit.settings.plant import MEMORY, plant
from tests.unit.settings.toy import TOY, Faults, Load, Secrets

OVERHEAT = """\
overheat:
  when: boiler.temperature > 80 and boiler.pressure > 3.5
  for: 10s
  until: boiler.temperature < 75
  on_bad: hold
  start: [{write: {pump1.run: true}}]
  end: [{write: {pump1.run: false}}]
  alarm: {priority: high, text: "Boiler at {boiler.temperature:.1f} °C", action: Open the bypass}
"""


def rules(load: Load, text: str) -> tuple[RuleSpec, ...]:
    return load(plant(rules=text)).book.rules


def steps(load: Load, text: str) -> tuple[Step, ...]:
    (rule,) = rules(load, f"a:\n  when: pump1.run\n  start:\n    - {text}\n")
    return rule.start


def test_the_rule_of_the_manual(load: Load) -> None:
    (rule,) = rules(load, OVERHEAT)
    assert rule == RuleSpec(
        id="overheat",
        when="boiler.temperature > 80 and boiler.pressure > 3.5",
        for_s=10.0,
        until="boiler.temperature < 75",
        start=(Step("write", assign=(Assignment("pump1.run", True),)),),
        end=(Step("write", assign=(Assignment("pump1.run", False),)),),
        alarm=AlarmSpec(
            "overheat",
            "gateway",
            rule="overheat",
            priority="high",
            text="Boiler at {boiler.temperature:.1f} °C",
            action="Open the bypass",
        ),
    )


def test_a_template_makes_a_rule_for_each_device(load: Load) -> None:
    text = "a: {profile: pump, when: speed > 5, start: [{write: {run: false}}], alarm: {text: '{speed} rpm'}}\n"
    one, two = rules(load, text)
    assert (one.id, one.device, two.id, two.device) == ("a@pump1", "pump1", "a@pump2", "pump2")
    assert one.when == two.when == "speed > 5"
    assert two.start[0].assign == (Assignment("pump2.run", False),)
    assert two.alarm is not None
    assert (two.alarm.key, two.alarm.rule, two.alarm.device) == ("a@pump2", "a@pump2", "pump2")


@pytest.mark.parametrize(
    ("keys", "devices"),
    [
        ("devices: pump2", ["pump2"]),
        ("devices: ['*1', boiler]", ["boiler", "pump1"]),
        ("profile: [pump, other], devices: '*2'", ["pump2"]),
        ("profile: other", ["fan"]),
        ("profile: pump", ["pump1", "pump2", "fan"]),  # `other` extends it
    ],
)
def test_templates_match_by_profile_and_by_name(load: Load, keys: str, devices: list[str]) -> None:
    more = {"devices": "  fan: {profile: other}\n", "profile": "other: {extends: pump}\n"}
    text = f"a: {{{keys}, when: boiler.pressure > 1, start: [{{log: x}}]}}\n"
    found = load(plant(rules=text, **more)).book.rules
    assert sorted(rule.device for rule in found) == sorted(devices)


def test_a_disabled_rule_is_checked_and_left_out(load: Load, faults: Faults) -> None:
    assert rules(load, OVERHEAT + "  enabled: false\n") == ()
    assert faults(plant(rules=OVERHEAT.replace("pressure", "presure") + "  enabled: false\n"))


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("15m", Every(900.0, zone="Europe/Berlin")),
        ("{every: 1h, align: clock}", Every(3600.0, align=True, zone="Europe/Berlin")),
        ("{cron: '30 2 * * *', missed: once}", Every(cron="30 2 * * *", zone="Europe/Berlin", missed="once")),
        ("{cron: '30 2 * * *', zone: UTC}", Every(cron="30 2 * * *")),
    ],
)
def test_a_rule_runs_by_the_clock(load: Load, text: str, every: Every) -> None:
    gateway = "gateway: {id: plant-7, timezone: Europe/Berlin}\n"
    (rule,) = load(plant(gateway=gateway, rules=f"a: {{every: {text}, start: [{{log: x}}]}}\n")).book.rules
    assert rule.every == every
    assert rule.when == ""


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("write: {boiler.setpoint: 50}", Step("write", assign=(Assignment("boiler.setpoint", 50),))),
        (
            "desired: {boiler.setpoint: {value: boiler.pressure * 2}}",
            Step("desired", assign=(Assignment("boiler.setpoint", expression="boiler.pressure * 2"),)),
        ),
        ("delay: 1500ms", Step("delay", seconds=1.5)),
        ("log: '{pump1.speed} rpm'", Step("log", text="{pump1.speed} rpm")),
        ("log: {text: hello, level: warning}", Step("log", text="hello", level="warning")),
        (
            "publish: {topic: plant/x, payload: hello, retain: true}",
            Step("publish", topic="plant/x", text="hello", uplink="local", retain=True),
        ),
        (
            "publish: {topic: plant/x, payload: hello, uplink: cloud}",
            Step("publish", topic="plant/x", text="hello", uplink="cloud"),
        ),
        (
            "webhook: {url: https://example.org, method: PUT, body: x, headers: {A: 5}, timeout: 2s}",
            Step("webhook", url="https://example.org", method="PUT", text="x", headers=(("A", "5"),), timeout_s=2.0),
        ),
        (
            "command: {op: refresh, device: boiler, args: {tags: [mode]}}",
            Step("command", op="refresh", device="boiler", args=(("tags", ["mode"]),)),
        ),
    ],
)
def test_each_step_is_read(load: Load, text: str, step: Step) -> None:
    assert steps(load, f"{text}\n    - log: end")[0] == step


def test_a_step_sets_a_memory_and_tells_people(load: Load) -> None:
    notify = "notify: {shift: {mqtt: {topic: plant/alarms}}, office: {mqtt: {topic: office}, alarms: named}}\n"
    gateway = plant()["gateway.yaml"] + notify
    text = "a: {when: pump1.run, start: [{set: {plant.target: 5, plant.note: on}}, {notify: stop}, "
    text += "{notify: {text: stop, to: shift}}]}\n"
    tree = plant(gateway=gateway, rules=text)
    (rule,) = load({**tree, "channels/plant.yaml": MEMORY}, drivers={"toy": TOY, "virtual": VIRTUAL}).book.rules
    assert rule.start == (
        Step("set", assign=(Assignment("plant.target", 5), Assignment("plant.note", "on"))),
        Step("notify", text="stop", to=("shift", "office")),
        Step("notify", text="stop", to=("shift",)),
    )


def test_a_label_is_written_as_its_number(load: Load) -> None:
    devices = "  fan: {tags: {level: {address: 1, type: uint16, access: rw, labels: {0: low, 3: high}}}}\n"
    (rule,) = load(
        plant(devices=devices, rules="a: {when: pump1.run, start: [{write: {fan.level: high}}]}\n")
    ).book.rules
    assert rule.start[0].assign == (Assignment("fan.level", 3),)


def test_a_fault_of_a_template_is_told_once(faults: Faults) -> None:
    (problem,) = faults(plant(rules="a: {profile: pump, when: sped > 5, start: [{log: x}]}\n"))
    assert (problem.line, problem.column) == (1, 26)


def test_a_tag_named_like_a_secret_is_no_secret(load: Load) -> None:
    devices = "  lock: {tags: {gate_token: {address: 1, type: uint16, access: rw}}}\n"
    text = "a: {when: pump1.run, start: [{write: {lock.gate_token: 5}}]}\n"
    (rule,) = load(plant(devices=devices, rules=text)).book.rules
    assert rule.start[0].assign == (Assignment("lock.gate_token", 5),)


def test_secrets_of_webhooks_are_credentials_and_never_show(load: Load) -> None:
    text = "a: {when: pump1.run, start: [{webhook: {url: '${credential:url}', "
    text += "headers: {Authorization: 'Bearer ${credential:hook}'}}}]}\n"
    files = plant(rules=text)
    one = load(files, secrets={"url": "https://example.org/sesame", "hook": "sesame"})
    two = load(files, secrets={"url": "https://example.org/open", "hook": "other"})
    step = one.book.rules[0].start[0]
    assert step.url == "https://example.org/sesame"
    assert step.headers == (("Authorization", "Bearer sesame"),)
    assert one.hash == two.hash
    assert "sesame" not in repr(one)


def test_a_secret_that_is_no_url_is_not_shown(faults: Faults) -> None:
    text = "a: {when: pump1.run, start: [{webhook: {url: '${credential:url}'}}]}\n"
    (problem,) = faults(plant(rules=text), secrets={"url": "sesame"})
    assert "sesame" not in str(problem)


@pytest.mark.parametrize(
    "files",
    [
        {"rules": "a: {every: 15m, start: [{log: x}]}\n"},
        {"alarms": "a: {tag: pump1.speed, stale: 5s}\n"},
        {"alarms": "a: {issue: device_offline}\n"},
        {"devices": "    alarms: {a: {tag: speed, above: 5}}\n"},
        {"devices": "    tags: {twice: {type: float64, value: speed * 2}}\n"},
        {"devices": "    tags: {run: {write: {while: speed > 5}}}\n"},
    ],
)
def test_without_anybody_who_knows_expressions_a_tree_with_rules_is_refused(files: dict[str, str]) -> None:
    tree = dict(plant(**{k: v for k, v in files.items() if k != "devices"}))
    if "devices" in files:
        tree["channels/b.yaml"] = "driver: toy\nurl: toy://2\ndevices:\n  fan:\n    profile: pump\n" + files["devices"]
    with pytest.raises(ConfigError, match="nobody here can check"):
        load_files(tree, {"toy": TOY}, env={}, credentials=Secrets())
    assert load_files(tree, {"toy": TOY}, env={}, credentials=Secrets(), expressions=RuleExpressions()).hash


def test_rules_of_a_channel_that_cannot_be_loaded_are_left_out(load: Load) -> None:
    tree: dict[str, str] = {**plant(rules=OVERHEAT + "b: {when: fan.speed > 5, start: [{log: x}]}\n")}
    tree["channels/fan.yaml"] = "driver: gone\ndevices: {fan: {}}\n"

    def drivers(name: str) -> object:
        if name == "gone":
            raise RuntimeError("not installed")
        return TOY

    settings: GatewaySettings = load(tree, drivers=drivers, keep_unusable=True)
    assert [rule.id for rule in settings.book.rules] == ["overheat"]


def test_the_book_has_its_own_settings(load: Load) -> None:
    gateway = plant()["gateway.yaml"] + "rules: {dry_run: true, budget: 50ms}\n"
    book = load(plant(gateway=gateway)).book
    assert (book.dry_run, book.budget_s) == (True, 0.05)
