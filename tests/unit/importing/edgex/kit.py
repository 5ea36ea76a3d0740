"""EdgeX texts to a draft, and the draft to settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.importing.draft import Draft, Known, Options
from gateway.importing.report import Report
from gateway.importing.takeover import take_over
from gateway.importing.writing import files_of
from gateway.registry import Registry
from gateway.settings.credentials import credentials_of
from gateway.settings.loader import load_files
from gateway.settings.types import GatewaySettings
from tests.support.parts import EDGEX_FILES, require


def draw(*texts: str, known: Known | None = None, **options: Any) -> tuple[Draft, Report]:
    """The draft of these documents (files a.yaml, b.yaml...)."""
    files = {f"{chr(97 + number)}.yaml": text.encode() for number, text in enumerate(texts)}
    report = Report()
    return take_over(files, report, Options(**options), known), report


def drawn(*texts: str, **options: Any) -> tuple[Draft, Report]:
    """The same, without an error."""
    draft, report = draw(*texts, **options)
    assert [str(problem) for problem in report.problems.sorted()] == []
    return draft, report


def fixture(*names: str, **options: Any) -> tuple[Draft, Report]:
    """The draft of upstream's own files."""
    require("edgex-vectors")
    report = Report()
    draft = take_over({name: (EDGEX_FILES / name).read_bytes() for name in names}, report, Options(**options))
    assert [str(problem) for problem in report.problems.sorted()] == []
    return draft, report


def load(draft: Draft) -> GatewaySettings:
    """The settings of a draft, by its files."""
    files = {"gateway.yaml": "gateway: {id: gw}\n", **files_of(draft)}
    return load_files(files, Registry().load, env={}, credentials=credentials_of(Path(), {}))


def profile(resources: str, commands: str = "", name: str = "P") -> str:
    """A profile of these resources, each a line in flow style."""
    head = f"name: {name}\ndeviceResources:\n"
    body = "".join(f"  - {line}\n" for line in resources.strip().splitlines())
    tail = "deviceCommands:\n" + "".join(f"  - {line}\n" for line in commands.strip().splitlines()) if commands else ""
    return head + body + tail


def device(name: str = "d", of: str = "P", protocol: str = "", more: str = "") -> str:
    """A device list of one device."""
    block = protocol or "modbus-tcp: {Address: 192.0.2.1, Port: 502, UnitID: 1, Timeout: 1}"
    text = f"deviceList:\n  - name: {name}\n    profileName: {of}\n    protocols:\n      {block}\n"
    return text + "".join(f"    {line}\n" for line in more.splitlines())


def tag(text: str, **options: Any) -> tuple[dict[str, Any], Report]:
    """The keys of the one tag of a profile with this resource."""
    draft, report = drawn(profile(text), **options)
    (keys,) = draft.profiles["P"]["tags"].values()
    return keys, report


def modbus(attributes: str, kind: str = "Int16", more: str = "", access: str = "R") -> str:
    """A resource on holding registers."""
    place = f"primaryTable: HOLDING_REGISTERS, {attributes}"
    return f"{{name: t, attributes: {{{place}}}, properties: {{valueType: {kind}, readWrite: {access}{more}}}}}"


def notes(report: Report) -> str:
    """All notes, a line each."""
    return "\n".join(map(str, report.notes))


ONE = modbus("startingAddress: 1").replace("name: t", "name: a")
TWO = modbus("startingAddress: 2").replace("name: t", "name: b")
PROFILE = profile(
    f"{ONE}\n{TWO}", "{name: Both, readWrite: R, resourceOperations: [{deviceResource: a}, {deviceResource: b}]}"
)
PLAIN = profile("{name: a, properties: {valueType: Int16, readWrite: RW}}")
MQTT = "mqtt: {CommandTopic: command/d}"


def problems(*texts: str, **options: Any) -> list[str]:
    """All errors, in their order in the files."""
    _, report = draw(*texts, **options)
    return [str(problem) for problem in report.problems.sorted()]
