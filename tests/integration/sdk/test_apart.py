"""A driver that ends its process, or never gives the control back, fails its check; it does not end who asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from gateway.cli.main import main
from gateway.sdk.examine import Wish
from gateway.sdk.judging import checks_apart, rows_apart
from tests.support.dists import install

SPEC = """
import os, sys, time
from drivers.sim import SPEC as SIM
from msgspec.structs import replace

class Driver(type(SIM.create())):
    async def read(self, request):
        {read}

SPEC = replace(SIM, name="{name}", create=Driver)
"""
QUALITY = "conformance: {channel: sample.yaml, proxied: false}\n"
SAMPLE = "driver: NAME\ndevices: {d: {tags: {x: {type: float64, signal: sine, low: 1, high: 2, period: 10}}}}\n"
LOOPS = "while True:\n    pass\n"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """Installs a driver that does something in its `read`, or while it is imported."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def made(name, read="return await super().read(request)", first=""):
        package = tmp_path / f"{name}_of_others"
        package.mkdir()
        (package / "__init__.py").write_text(first + SPEC.format(name=name, read=read))
        (package / "quality.yaml").write_text(QUALITY)
        (package / "sample.yaml").write_text(SAMPLE.replace("NAME", name))
        install(tmp_path, name, {name: f"{package.name}:SPEC"})

    return made


def verdict(name, capsys, *only):
    status = main(["driver", "test", name, "--json", *(f"--only={check}" for check in only)])
    report = json.loads(capsys.readouterr().out)
    assert "checks" in report, report
    return status, report


def test_a_driver_that_behaves_passes_in_its_child(wheel, capsys):
    wheel("fine")
    status, report = verdict("fine", capsys, "spec", "read")
    assert (status, [check["check"] for check in report["checks"]]) == (0, ["spec", "read", "loop", "tracebacks"])


@pytest.mark.parametrize(
    ("name", "read", "how"),
    [
        ("leaves", "os._exit(0)", "exit status 0"),
        ("quits", "raise SystemExit(3)", "exit status 3"),
        ("crashes", "os.abort()", "SIGABRT: __init__.py:"),
    ],
)
def test_a_read_that_ends_the_process_is_a_finding_of_its_check(name, read, how, wheel, capsys):
    wheel(name, read)
    status, report = verdict(name, capsys, "spec", "read", "run")
    assert (status, report["passed"]) == (1, False)
    assert [(check["check"], check["verdict"]) for check in report["checks"]] == [("spec", "pass"), ("read", "fail")]
    (text,) = report["checks"][-1]["findings"]
    assert how in text, text
    assert "the checks after it did not run" in text


def test_a_module_that_ends_the_process_is_no_success(wheel, capsys):
    wheel("leaver", first="import os\nos._exit(0)\n")
    assert main(["driver", "test", "leaver"]) == 1
    out = capsys.readouterr().out
    assert "exit status 0" in out
    assert "leaver: 1 checks, 1 failed" in out


def test_a_read_without_end_is_a_finding_that_names_its_place(wheel):
    wheel("spins", "while True: pass")
    report = checks_apart("spins", Wish(only=("spec", "read")), lambda _result: None, silence_s=4.0)
    assert report.failed == ["loop"]
    (text,) = report.findings
    assert "in check read" in text
    assert "__init__.py:8 in read" in text, text


def test_wheels_that_do_not_come_back_from_their_import_are_told_and_the_others_listed(wheel):
    wheel("spinner", first=LOOPS)
    wheel("leaver2", first="import os\nos._exit(0)\n")
    rows = {row.name: row for row in rows_apart(5.0)}
    assert "no sign for 5 s: __init__.py:" in rows["spinner"].trouble, rows["spinner"]
    assert "exit status 0" in rows["leaver2"].trouble
    assert rows["modbus"].trouble == rows["sim"].trouble == ""
    assert len(rows) > 8


def test_a_check_ends_although_the_import_of_a_driver_does_not(wheel, tmp_path):
    wheel("endless", first=LOOPS)
    site = tmp_path / "site"
    (site / "channels").mkdir(parents=True)
    (site / "gateway.yaml").write_text("gateway: {id: g}\n")
    (site / "channels" / "c.yaml").write_text("driver: endless\ndevices: {}\n")
    program = "import gateway.cli.boundedimports as b, gateway.cli.main as m, sys; b.LIMIT_S = 0.5; sys.exit(m.main())"
    words = [sys.executable, "-c", program, "check", str(site), "--json"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78, done.stderr
    (error,) = json.loads(done.stdout)["errors"]
    assert error["message"] == "driver 'endless': its import did not end within 0.5 s"
