"""What the running gateway imports, counted in a process of its own: each module and each generated class is time at
every start and memory for ever.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_LOAD = """
import dataclasses, json, sys
import gateway.cli.main, gateway.app, drivers.modbus.driver, drivers.sim.driver
ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] in ("gateway", "drivers", "rules")}
made = {
    f"{name}.{value.__qualname__}"
    for name, module in ours.items()
    for value in vars(module).values()
    if isinstance(value, type) and value.__module__ == name and dataclasses.is_dataclass(value)
}
print(json.dumps([sorted(sys.modules), sorted(made)]))
"""
_HEAVY = (
    "amqtt", "asyncua", "bleak", "cryptography", "difflib", "multiprocessing", "pkg_resources", "pydoc", "pytest",
    "setuptools", "sqlite3", "unittest", "xml",
    "gateway.conformance", "gateway.demo", "gateway.fleet", "gateway.proof", "gateway.testing", "gateway.uplink.codecs.decode",
    "rules.cron", "rules.expression.program", "rules.replay", "rules.windows",
)  # fmt: skip
"""Libraries of other drivers, of rare commands and of tests."""
_MODULES = 712
_OURS = 388


@pytest.fixture(scope="module")
def loaded() -> tuple[list[str], list[str]]:
    """(modules, our dataclasses) of a gateway with both drivers, before any configuration asks for more."""
    done = subprocess.run(
        [sys.executable, "-c", _LOAD], capture_output=True, text=True, timeout=60, check=True, cwd=_ROOT
    )
    modules, made = json.loads(done.stdout)
    return modules, made


def _of(modules: list[str], name: str) -> Iterator[str]:
    return (module for module in modules if module == name or module.startswith(f"{name}."))


@pytest.mark.parametrize("name", _HEAVY)
def test_a_gateway_does_not_import_what_it_does_not_run(loaded: tuple[list[str], list[str]], name: str) -> None:
    assert list(_of(loaded[0], name)) == []


def test_a_start_imports_few_modules(loaded: tuple[list[str], list[str]]) -> None:
    """Raise the counts only for a reason: one module is some 0.5 ms."""
    ours = [name for top in ("gateway", "drivers", "rules") for name in _of(loaded[0], top)]
    assert len(ours) <= _OURS
    assert len(loaded[0]) <= _MODULES


def test_values_are_structs_and_not_dataclasses(loaded: tuple[list[str], list[str]]) -> None:
    """A frozen dataclass generates its methods at each start: 1.6 ms, against 0.03 ms of a msgspec Struct."""
    assert loaded[1] == ["gateway.runtime.node.Node"]
