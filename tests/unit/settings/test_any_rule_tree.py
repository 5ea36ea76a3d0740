"""FL-64 for rules and alarms: any value at any place is told with its place, and never raises."""

from __future__ import annotations

import json
import os
import random
from typing import Any

from drivers.virtual import SPEC as VIRTUAL
from gateway.errors import ConfigError
from gateway.rulebook import STEP_KINDS
from gateway.settings import keys, rule_keys
from gateway.settings.convert import fields_of
from gateway.settings.loader import load_files
from rules.expression import RuleExpressions
from tests.unit.settings.plant import MEMORY, UPLINKS, plant
from tests.unit.settings.toy import TOY, Secrets

SEED = int(os.environ.get("FIELDPOST_TEST_SEED", "64"))
TREES = 250

SCALARS: list[Any] = [
    *(None, True, 0, -1, 5, 10**30, 10**400, 1.5, 1e308, "", "x", "{n}", "{n", "}}", "${env:X}", "${credential:no}"),
    *("pump1.run", "pump1.speed", "{pump1.speed} > 5", "speed", "run", "speed > 5", "boiler.mode", "plant.target"),
    *("avg(pump1.speed, 5m)", "{speed:.1f}", "15m", "0s", "999d", "30 2 * * *", "pump", "pump*", "daily", "hold"),
    *("https://x", "http://[", "plant/x", "fp/x", "urgent", "é\u2028", "20/h", "heat", "a" * 2000, "(" * 50),
]
STRUCTS: list[Any] = [
    struct
    for module in (rule_keys, keys)
    for name, struct in vars(module).items()
    if name.endswith("Keys") and (module is rule_keys or name in {"TagKeys", "WriteKeys"})
]
WORDS = ["pump1.run", "boiler.setpoint", "plant.target", "h", "hh", *STEP_KINDS]


class Trees:
    """Mappings with the words that belong somewhere, and values that belong elsewhere."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def mapping(self, struct: Any = None, depth: int = 0) -> dict[str, Any]:
        words = [*fields_of(struct or self._random.choice(STRUCTS))] if self._random.random() < 0.9 else WORDS
        if struct is None and self._random.random() < 0.3:
            words = WORDS
        chosen = self._random.sample(words, min(len(words), self._random.randint(0, 5)))
        return {word: self._value(depth + 1) for word in chosen}

    def _value(self, depth: int) -> Any:
        kind = self._random.random()
        if depth > 4 or kind < 0.6:
            return self._random.choice(SCALARS)
        if kind < 0.75:
            return [self._value(depth + 1) for _ in range(self._random.randint(0, 3))]
        return self.mapping(depth=depth)


def tree(trees: Trees) -> dict[str, str]:
    line = json.loads(json.dumps({"driver": "virtual", "devices": {"v": {}}}))
    line["devices"]["v"] = {"tags": {"t": trees.mapping(keys.TagKeys)}, "alarms": {"a": trees.mapping()}}
    rule = {"when": "pump1.run", "start": [trees.mapping(), {"log": "x"}]}
    return {
        **plant(gateway=UPLINKS + "notify: " + json.dumps({"n": trees.mapping(rule_keys.NotifyKeys)}) + "\n"),
        "channels/plant.yaml": MEMORY,
        "channels/v.yaml": json.dumps(line),
        "rules/a.yaml": json.dumps({"a": trees.mapping(rule_keys.RuleKeys), "b": rule | trees.mapping()}),
        "alarms/a.yaml": json.dumps({"a": trees.mapping(rule_keys.AlarmKeys), "b": trees.mapping()}),
    }


GOOD: dict[str, Any] = {
    "rules/a.yaml": {
        "a": {
            "when": "boiler.temperature > 80",
            "for": "10s",
            "until": "boiler.temperature < 70",
            "start": [
                {"write": {"pump1.run": True, "boiler.setpoint": {"value": "boiler.pressure * 2"}}},
                {"desired": {"boiler.setpoint": 50}},
                {"set": {"plant.target": 5}},
                {"delay": "5s"},
                {"publish": {"topic": "plant/x", "payload": "{pump1.speed}"}},
                {"webhook": {"url": "https://example.org", "body": "x", "headers": {"A": "b"}}},
                {"command": {"op": "refresh", "device": "boiler", "args": {"a": 1}}},
                {"notify": {"text": "{boiler.temperature:.1f}", "to": ["n"]}},
            ],
            "end": [{"log": {"text": "over", "level": "warning"}}],
            "alarm": {"priority": "high", "text": "{boiler.pressure}", "suppress": "pump2.run", "notify": ["n"]},
        },
        "b": {"profile": "pump", "when": "run", "every": {"every": "15m", "align": "clock"}, "start": [{"log": "x"}]},
        "c": {
            "every": {"cron": "30 2 * * *", "zone": "UTC", "missed": "once"},
            "start": [{"write": {"pump1.run": True}}],
        },
    },
    "alarms/a.yaml": {
        "a": {"tag": "boiler.temperature", "levels": {"h": {"above": 80}, "hh": {"above": 90}}, "deadband": 2},
        "b": {"profile": "pump", "tag": "speed", "rate": {"above": 5, "over": "10s"}, "on_delay": "5s"},
        "c": {"tag": "boiler.pressure", "deviation": {"from": "boiler.temperature", "above": 5}},
        "d": {"tag": "boiler.mode", "is": ["heat", "cool"], "group": "g", "latched": True},
        "e": {"devices": ["pump*"], "when": "speed > 5", "until": "not run", "text": "{speed:.0f}", "notify": "n"},
        "f": {"tag": "pump1.speed", "stale": "60s"},
        "g": {"issue": "device_offline", "priority": "urgent"},
    },
    "channels/v.yaml": {
        "driver": "virtual",
        "devices": {
            "v": {
                "tags": {
                    "a": {"type": "float64", "value": "pump1.speed + b"},
                    "b": {"type": "float64", "access": "rw", "initial": 5, "write": {"while": "pump1.run"}},
                    "c": {"type": "uint32", "counts": "pump1.run", "reset": {"cron": "0 6 * * 1"}},
                },
                "alarms": {"x": {"tag": "a", "above": 5}},
            }
        },
    },
}


def damaged(value: Any, chance: random.Random) -> Any:
    """`value` with about one of its values replaced, or one of its keys gone."""
    if chance.random() < 0.03:
        return chance.choice(SCALARS)
    if isinstance(value, dict):
        return {key: damaged(item, chance) for key, item in value.items() if chance.random() > 0.01}
    return [damaged(item, chance) for item in value] if isinstance(value, list) else value


def test_fl_64_any_value_in_rules_and_alarms_is_told_at_its_place() -> None:
    """A failure names the seed to give as FIELDPOST_TEST_SEED."""
    print(f"FIELDPOST_TEST_SEED={SEED}")
    trees = Trees(SEED)
    for _ in range(TREES // 2):
        check(tree(trees))


def test_fl_64_one_wrong_value_in_good_rules_is_told_at_its_place() -> None:
    print(f"FIELDPOST_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    good = plant(gateway=UPLINKS + "notify: {n: {mqtt: {topic: x}}}\n")
    assert check({**good, "channels/plant.yaml": MEMORY, **{file: json.dumps(text) for file, text in GOOD.items()}})
    for _ in range(TREES):
        files = {file: json.dumps(damaged(text, chance)) for file, text in GOOD.items()}
        check({**good, "channels/plant.yaml": MEMORY, **files})


def check(files: dict[str, str]) -> bool:
    """Whether the tree loads; if not, all that is told has a place in one of its files."""
    drivers = {"toy": TOY, "virtual": VIRTUAL}
    try:
        load_files(files, drivers, env={"X": "5"}, credentials=Secrets(), expressions=RuleExpressions())
    except ConfigError as error:
        for problem in error.problems:
            lines = files[problem.file].splitlines()
            assert 1 <= problem.line <= len(lines)
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
            assert problem.message
        return False
    return True
