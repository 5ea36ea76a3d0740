"""The quality ladder of drivers: bronze, silver, gold. What can be looked at is looked at; the rest names its test.

quality.yaml of the driver's package: `level`, what the driver claims, and `rules`, one row for each criterion that a
machine cannot judge: `{test: FILE}`, or `{exempt: why}` where a criterion makes no sense for this protocol.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.abilities import Browsing
from gateway.driver import CONTRACT, DriverSpec, Scanning, Tracing, Writer, no_endpoint
from gateway.registry import Registry, installed, origin
from gateway.sdk.installed import Papers, description, papers

LEVELS = ("bronze", "silver", "gold")
_SHORTEST_REASON = 15
_HEAVY = """
import sys
import gateway.driver, gateway.transform, gateway.settings.loader, gateway.registry
before = {name.partition(".")[0] for name in sys.modules}
import importlib
importlib.import_module(sys.argv[1])
new = {name.partition(".")[0] for name in sys.modules} - before - set(sys.stdlib_module_names)
print(" ".join(sorted(new - {sys.argv[1].partition(".")[0], "gateway", "drivers", "rules"})))
"""


class State(Struct, frozen=True):
    """One criterion: `met`, `open`, `exempt` (`text`: why), or `named`: by a test that is not at hand."""

    level: str
    criterion: str
    state: str
    text: str = ""


class Quality(Struct, frozen=True):
    """`level`: reached, empty below bronze. `claimed`: by its quality.yaml."""

    driver: str
    claimed: str
    level: str
    results: tuple[State, ...]

    @property
    def kept(self) -> bool:
        """Whether the claim is true."""
        return _rank(self.level) >= _rank(self.claimed)

    @property
    def summary(self) -> str:
        claim = f"claims {self.claimed or 'nothing'}"
        following = next((level for level in LEVELS if _rank(level) > _rank(self.level)), "")
        missing = [each.criterion for each in self.results if each.level == following and each.state == "open"]
        ahead = f"; {following} needs {', '.join(missing)}" if missing else ""
        return (
            f"{self.driver}: {self.level or 'below bronze'} ({claim}{'' if self.kept else ', which is not so'}){ahead}"
        )

    def view(self) -> dict[str, Any]:
        rows = [
            {name: getattr(each, name) for name in ("level", "criterion", "state", "text")} for each in self.results
        ]
        return {
            "driver": self.driver,
            "level": self.level,
            "claimed": self.claimed,
            "kept": self.kept,
            "criteria": rows,
        }


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else -1


class _Case:
    """What the criteria look at."""

    def __init__(self, spec: DriverSpec, own: Papers, root: Path) -> None:
        self.spec = spec
        self.own = own
        self.root = root
        self.driver = spec.create()
        rules = own.quality.get("rules")
        self.rules: Mapping[str, Any] = rules if isinstance(rules, dict) else {}
        tests = [test for name in self.rules for test in self.tests(name)]
        self.at_hand = not tests or any((root / test).is_file() for test in tests)
        """Whether `root` is the driver's project. An installed wheel brings no tests."""

    @property
    def readme(self) -> str:
        text = self.own.text("README.md")
        if text is not None:
            return text
        beside = self.root / "README.md"
        if self.rules and self.at_hand and beside.is_file():
            return beside.read_text(encoding="utf-8")
        point = next((point for point in installed() if point.name == self.own.name), None)
        name = origin(point).partition(" ")[0] if point is not None else ""
        return description(name) if name else ""

    def row(self, name: str) -> Mapping[str, Any]:
        row = self.rules.get(name)
        return row if isinstance(row, dict) else {}

    def tests(self, name: str) -> list[str]:
        tests = self.row(name).get("test", [])
        return [tests] if isinstance(tests, str) else [str(test) for test in tests]


Look = Callable[[_Case], str]
"""What is missing; empty when nothing is."""


def _papers(case: _Case) -> str:
    missing = [file for file in ("sample.yaml", "quality.yaml") if case.own.text(file) is None]
    if not case.readme.strip():
        missing.append("README.md")
    if missing:
        return f"{', '.join(missing)} missing"
    quality = case.own.quality
    if quality.get("driver") != case.own.name or quality.get("contract") != CONTRACT:
        return f"quality.yaml must say `driver: {case.own.name}` and `contract: {CONTRACT}`"
    return ""


def _sample(case: _Case) -> str:
    from gateway.errors import ConfigError
    from gateway.settings.credentials import CredentialFolders
    from gateway.settings.loader import load_files

    text = case.own.text("sample.yaml")
    if text is None:
        return "there is no sample.yaml"
    tree = {"gateway.yaml": "gateway: {id: sample}\n", "channels/sample.yaml": text}
    try:
        settings = load_files(tree, Registry().load, env={}, credentials=CredentialFolders(None, None))
    except ConfigError as error:
        return str(error.problems[0])
    tags = sum(len(device.tags) for channel in settings.channels for device in channel.devices)
    return "" if tags else "sample.yaml has no tag"


def _typed(case: _Case) -> str:
    for level in ("channel", "device", "tag"):
        settings = getattr(case.spec, level)
        config = getattr(settings, "__struct_config__", None)
        if config is None or not config.frozen or not (config.forbid_unknown_fields or not settings.__struct_fields__):
            return f"the {level} settings are no frozen Struct that forbids unknown keys"
    return ""


def _light(case: _Case) -> str:
    done = subprocess.run(  # noqa: S603 - this Python, on a module that is imported anyway
        [sys.executable, "-c", _HEAVY, case.own.module],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        return f"importing {case.own.module} alone fails: {done.stderr.strip().splitlines()[-1]}"
    return f"its SPEC imports {done.stdout.strip()}: import it in `create`" if done.stdout.strip() else ""


def _marker(case: _Case) -> str:
    module = case.own.module
    while module:
        if Papers(case.own.name, module, {}, None).text("py.typed") is not None:
            return ""
        module = module.rpartition(".")[0]
    return "the package has no py.typed"


def _documented(case: _Case) -> str:
    keys = [key for level in ("channel", "device", "tag") for key in getattr(case.spec, level).__struct_encode_fields__]
    missing = [key for key in dict.fromkeys(keys) if key not in case.readme]
    return f"README.md does not name {', '.join(missing[:8])}" if missing else ""


def _looks(case: _Case) -> str:
    return "" if isinstance(case.driver, Scanning | Browsing) else "the driver neither scans nor browses"


def _endpoint(case: _Case) -> str:
    return "the spec has no endpoint" if case.spec.endpoint is no_endpoint else ""


def _simulates(case: _Case) -> str:
    return "" if case.spec.simulate is not None else "the spec has no simulate"


def _traces(case: _Case) -> str:
    return "" if isinstance(case.driver, Tracing) else "the driver's frames cannot be watched"


def _faults(case: _Case) -> str:
    how = case.own.conformance
    return "" if how is not None and how.peer and how.proxied else "neither a peer in `conformance` nor a test"


def _by_test(_case: _Case) -> str:
    return "no test is named"


CRITERIA: tuple[tuple[str, str, Look], ...] = (
    ("bronze", "papers", _papers),
    ("bronze", "sample_loads", _sample),
    ("bronze", "typed_settings", _typed),
    ("bronze", "light_import", _light),
    ("bronze", "conformance", _by_test),
    ("bronze", "values", _by_test),
    ("silver", "typed_code", _marker),
    ("silver", "keys_documented", _documented),
    ("silver", "faults_of_the_wire", _faults),
    ("silver", "writes", _by_test),
    ("silver", "endpoint", _endpoint),
    ("silver", "browse_or_scan", _looks),
    ("gold", "peer_of_other_authors", _by_test),
    ("gold", "cases_from_the_field", _by_test),
    ("gold", "simulator", _simulates),
    ("gold", "trace", _traces),
)


def assess(name: str, root: Path) -> Quality:
    """The level of an installed driver. `root`: the project in which the named tests are looked for. Raises
    DriverNotUsable, PapersWrong.
    """
    case = _Case(Registry().load(name), papers(name), root)
    results = tuple(_state(case, *criterion) for criterion in CRITERIA)
    reached = ""
    for level in LEVELS:
        if any(each.level == level and each.state == "open" for each in results):
            break
        reached = level
    return Quality(name, str(case.own.quality.get("level", "")), reached, results)


def _state(case: _Case, level: str, name: str, look: Look) -> State:
    row = case.row(name)
    if "exempt" in row:
        reason = str(row["exempt"]).strip()
        if len(reason) < _SHORTEST_REASON:
            return State(level, name, "open", "an exemption needs a reason in words")
        return State(level, name, "exempt", reason)
    if name == "writes" and not isinstance(case.driver, Writer):
        return State(level, name, "met", "the driver does not write")
    tests = case.tests(name)
    if tests and not case.at_hand:
        return State(level, name, "named", f"{', '.join(tests)}, not in {case.root}: give --dir")
    missing = [test for test in tests if not (case.root / test).is_file()]
    if missing:
        return State(level, name, "open", f"there is no {missing[0]} in {case.root}")
    if tests:
        return State(level, name, "met", ", ".join(tests))
    text = look(case)
    return State(level, name, "open" if text else "met", text)
