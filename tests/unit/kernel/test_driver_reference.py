"""docs/reference/driver-contract.md names all that a driver may rely on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gateway.abilities
import gateway.driver
import gateway.testing
from gateway import errors
from gateway.conformance.checks import CHECKS, LOOP, TRACEBACKS
from gateway.driver import DriverContext, DriverSpec
from gateway.model import Quality, ValueType
from gateway.sdk.quality import CRITERIA

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = (DOCS / "reference" / "driver-contract.md").read_text(encoding="utf-8")
GUIDE = (DOCS / "how-to" / "write-a-driver.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*gateway.abilities.__all__, *gateway.driver.__all__])
def test_each_name_of_the_contract_is_in_the_reference(name):
    kernel = {"LONGEST_IDENTITY", "Ask", "Memory", "no_endpoint", "no_faults", "wire_of"}
    assert name in kernel or re.search(rf"\b{name}\b", REFERENCE)


def test_each_field_of_a_spec_and_each_call_of_the_context_is_in_the_reference():
    calls = [name for name in vars(DriverContext) if not name.startswith("_")]
    for name in [*DriverSpec.__struct_fields__, *calls, *DriverContext.__annotations__]:
        assert f"`{name}" in REFERENCE or f"`channel`, `{name}`" in REFERENCE or f", `{name}" in REFERENCE, name


def test_each_type_and_quality_is_in_the_reference():
    for value_type in ValueType:
        assert re.search(rf"\b{value_type.value}\b", REFERENCE), value_type
    for quality in Quality:
        assert quality is Quality.LOCAL_OVERRIDE or re.search(rf"\b{quality.name}\b", REFERENCE), quality


def test_each_error_that_a_driver_raises_is_in_the_guide():
    for error in (
        errors.LinkLost,
        errors.DeviceUnavailable,
        errors.RequestRefused,
        errors.BadFrame,
        errors.WriteRejected,
        errors.AuthError,
        errors.PermanentError,
    ):
        assert f"`{error.__name__}" in GUIDE


def test_the_guide_names_each_check_and_each_criterion_and_no_other():
    (checks,) = re.findall(r"(?ms)^\| check \| finds a driver that \|\n(.*?)\n\n", GUIDE)
    told = {name for row in checks.splitlines()[1:] for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])}
    assert told == {check.name for check in CHECKS} | {LOOP[0], TRACEBACKS[0]}
    (ladder,) = re.findall(r"(?ms)^\| level \| criteria \|\n(.*?)\n(?:\n|\Z)", GUIDE + "\n")
    for row in ladder.splitlines()[1:]:
        level = row.split("|")[1].strip()
        criteria = [name for each, name, _ in CRITERIA if each == level]
        assert [name for name in re.findall(r"`([a-z_]+)`", row) if name in {n for _, n, _ in CRITERIA}] == criteria
