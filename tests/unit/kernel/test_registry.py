from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from gateway.driver import CONTRACT, DriverSpec
from gateway.errors import PermanentError
from gateway.registry import DriverNotUsable, Registry, missing_libraries

SPEC = DriverSpec("sim", type(None), type(None), type(None), create=lambda: None)  # type: ignore[arg-type,return-value]


class Point:
    def __init__(self, name: str, load: Callable[[], object]) -> None:
        self.name = name
        self.loads = 0
        self._load = load

    def load(self) -> object:
        self.loads += 1
        return self._load()


def test_names_import_nothing_and_a_driver_is_imported_once() -> None:
    point = Point("sim", lambda: SPEC)
    registry = Registry(lambda: [point])
    assert registry.names() == ("sim",)
    assert point.loads == 0
    assert registry.load("sim") is registry.load("sim") is SPEC
    assert point.loads == 1


def _missing() -> object:
    raise ModuleNotFoundError("No module named 'pymodbus'")


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (_missing, "No module named 'pymodbus'"),
        (lambda: sys.exit(1), "SystemExit"),
        (lambda: object(), "not a DriverSpec"),
        (lambda: replace(SPEC, contract=CONTRACT + 1), f"contract {CONTRACT + 1}"),
        (lambda: replace(SPEC, name="other"), "'other'"),
    ],
)
def test_a_driver_that_cannot_be_used_says_why_and_is_tried_again(load: Callable[[], object], reason: str) -> None:
    point = Point("sim", load)
    registry = Registry(lambda: [point])
    for _ in range(2):
        with pytest.raises(DriverNotUsable, match=reason) as caught:
            registry.load("sim")
    assert point.loads == 2
    assert isinstance(caught.value, PermanentError)
    assert caught.value.driver == "sim"


def test_an_unknown_driver_is_told_with_those_that_are_installed() -> None:
    with pytest.raises(DriverNotUsable, match="installed: sim"):
        Registry(lambda: [Point("sim", lambda: SPEC)]).load("modbuss")


def test_a_library_that_is_missing_is_named_with_the_command_that_installs_it() -> None:
    spec = replace(SPEC, needs=(("json", "never"), ("no_such_library", "pip install it"), ("no_such.part", "get it")))
    assert missing_libraries(spec) == [
        "driver sim needs no_such_library: pip install it",
        "driver sim needs no_such.part: get it",
    ]


@pytest.mark.parametrize("name", ["modbus", "opcua", "ble", "http", "snmp"])
def test_what_our_drivers_need_is_installed_for_the_tests(name: str) -> None:
    spec = Registry().load(name)
    assert spec.needs
    assert missing_libraries(spec) == []


def test_the_installed_entry_points_name_the_drivers_of_this_project() -> None:
    assert {"modbus", "sim"} <= set(Registry().names())
