"""docs/reference/expressions.md: every function stands there, and what it shows as an example is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.model import Quality, TagSpec, ValueType
from rules.expression import compile_expression, compile_template
from rules.expression.foreign import OPERATORS
from rules.expression.functions import FUNCTIONS
from rules.expression.guard import MAX_DEPTH, MAX_NODES
from rules.expression.templates import MAX_FIELDS, MAX_TEMPLATE
from rules.expression.tokens import KEYWORDS, MAX_CHARACTERS, MAX_TEXT
from rules.windows.spec import MAX_SAMPLES, MAX_SIZE_MS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "expressions.md").read_text(encoding="utf-8")
NUMBERS = (
    "boiler.temperature boiler.pressure boiler.setpoint boiler.limit boiler.limits/high tank.level meter.power "
    "meter.energy line1-plc00.temperature"
)
TAGS = {
    **dict.fromkeys(NUMBERS.split(), ValueType.FLOAT64),
    **dict.fromkeys(("boiler.mode", "pump.speed"), ValueType.UINT16),
    **dict.fromkeys(("boiler.run", "pump.run", "1st-floor.in"), ValueType.BOOL),
    "boiler.status": ValueType.STRING,
}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def find(device, path):
    kind = TAGS.get(f"{device}.{path}")
    return None if kind is None else TagSpec(path, kind, None)


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the tables in `text`, without their heads."""
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in cells if row[0].strip() not in {"function", "written", "what"}]


BLOCKS = [line for block in re.findall(r"```expression\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
EXAMPLES = [re.findall(r"`([^`]+)`", row[3])[0] for row in rows(section("Functions"))]


def test_there_are_examples():
    assert len(BLOCKS) > 5
    assert len(EXAMPLES) > 15


@pytest.mark.parametrize("text", [*BLOCKS, *EXAMPLES])
def test_an_example_compiles(text):
    compile_expression(text, "boiler", find, condition=False)


def test_every_function_is_told_and_its_example_calls_it():
    told = {}
    for row in rows(section("Functions")):
        for name in re.findall(r"`(\w+)\(", row[0]):
            told.setdefault(name, []).append(row[3])
    assert set(told) == set(FUNCTIONS)
    assert not {name for name, examples in told.items() if not all(f"{name}(" in each for each in examples)}


def test_every_operator_is_told():
    text = section("Operators")
    assert not {sign for sign in OPERATORS | KEYWORDS - {"if", "else"} if f"`{sign}`" not in text}


def test_the_limits_are_those_of_the_code():
    told = {row[0]: row[1] for row in rows(section("Limits"))}
    numbers = [int(re.sub(r"\D", "", text.replace("2^63", ""))) for text in told.values() if text != "2^63"]
    wanted = [MAX_CHARACTERS, MAX_NODES, MAX_DEPTH, MAX_TEXT, MAX_SIZE_MS // 3_600_000, MAX_SAMPLES]
    assert numbers[: len(wanted)] == wanted
    texts = section("Texts with values")
    assert f"{MAX_TEMPLATE:,} characters and {MAX_FIELDS} values" in texts


def test_the_texts_with_values_compile():
    for row in rows(section("Texts with values")):
        for text in re.findall(r"`([^`]+)`", row[0]):
            compile_template(text, "boiler", find)
    assert compile_template('{{"t": {boiler.temperature:.1f}}}', "boiler", find).tags == ("boiler.temperature",)


def test_the_qualities_it_names_are_qualities():
    assert {"bad/comm", "good", "uncertain/last-known"} <= {quality.text for quality in Quality}
