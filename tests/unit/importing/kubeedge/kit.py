"""KubeEdge files as drafts, and as the settings that the loader makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.importing.draft import Draft, Options
from gateway.importing.report import Note, Report
from gateway.importing.takeover import take_over
from gateway.importing.writing import files_of
from gateway.model import DeviceSpec
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files
from gateway.settings.types import GatewaySettings
from tests.support.parts import KUBEEDGE_FILES, require

CASES = Path(__file__).resolve().parents[3] / "cases/imports/kubeedge"
MODEL = """
apiVersion: devices.kubeedge.io/v1beta1
kind: DeviceModel
metadata: {name: m}
spec:
  properties:
    - {name: a, type: INT, accessMode: ReadWrite}
---
"""


def device(properties: str, protocol: str = "", head: str = "", version: str = "v1beta1", name: str = "d") -> str:
    """A device of model `m` behind Modbus TCP, unless said; parts are flow YAML."""
    default = "{protocolName: modbus, configData: {ip: 192.0.2.1, port: 502, slaveID: 1}}"
    return (
        f"apiVersion: devices.kubeedge.io/{version}\nkind: Device\nmetadata: {{name: {name}}}\n"
        f"spec:\n  deviceModelRef: {{name: m}}\n  protocol: {protocol or default}\n{head}"
        f"  {'properties' if version == 'v1beta1' else 'propertyVisitors'}: {properties}\n"
    )


def fixtures(*names: str) -> dict[str, bytes]:
    """Files of KubeEdge's own repositories; all of them unless some are named."""
    require("kubeedge-files")
    paths = [KUBEEDGE_FILES / name for name in names] or sorted(KUBEEDGE_FILES.glob("*.yaml"))
    return {path.name: path.read_bytes() for path in paths}


def draft_of(files: Mapping[str, bytes] | str, options: Options | None = None) -> tuple[Draft, Report]:
    report = Report()
    raw = {"f.yaml": files.encode()} if isinstance(files, str) else files
    return take_over(raw, report, options), report


def notes_of(report: Report, kind: str = "") -> list[str]:
    return [note.text for note in report.notes if kind in {"", note.kind}]


def errors_of(files: Mapping[str, bytes] | str, options: Options | None = None) -> list[str]:
    """`LINE: message` of each problem."""
    _, report = draft_of(files, options)
    return [f"{problem.line}: {problem.message}" for problem in report.problems.sorted()]


def settings_of(files: Mapping[str, bytes] | str, options: Options | None = None) -> tuple[GatewaySettings, Report]:
    """What the loader makes of the written import."""
    draft, report = draft_of(files, options)
    assert not len(report.problems), [str(problem) for problem in report.problems.sorted()]
    tree: dict[str, str | bytes] = {"gateway.yaml": "gateway: {id: x}\n", **files_of(draft)}
    return load_files(tree, Registry().load, env={}, credentials=_Anything()), report


def devices_of(settings: GatewaySettings) -> dict[str, DeviceSpec]:
    return {device.id: device for channel in settings.channels for device in channel.devices}


def only_note(report: Report, kind: str, words: str) -> Note:
    (found,) = [note for note in report.notes if note.kind == kind and words in note.text]
    return found


class _Anything(CredentialFolders):
    """Every credential is there."""

    def __init__(self) -> None:
        super().__init__(None, None)

    def read(self, name: str) -> str:
        return f"secret {name}"

    def path(self, name: str) -> Path:
        return Path(name)
