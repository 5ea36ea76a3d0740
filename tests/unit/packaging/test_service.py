"""The systemd unit and its installer, checked without a running systemd."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from gateway.cli.parser import parse
from tests.support.parts import require

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "systemd" / "fieldpost.service"


class _Options(dict):
    """systemd repeats keys; configparser would refuse or lose them."""

    def __setitem__(self, key, value):
        if isinstance(value, list) and isinstance(self.get(key), list):
            self[key].extend(value)
        else:
            super().__setitem__(key, value)


def _unit():
    parser = configparser.RawConfigParser(dict_type=_Options, strict=False)
    parser.optionxform = str
    parser.read(UNIT, encoding="utf-8")
    return parser


def test_the_unit_is_as_closed_as_it_can_be(tmp_path):
    require("systemd-analyze")
    copy = tmp_path / UNIT.name
    shutil.copy(UNIT, copy)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(copy)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_unit_starts_a_command_line_that_exists():
    words = _unit()["Service"]["ExecStart"].split()
    assert words[:4] == ["/usr/lib/fieldpost/slot-exec", "-I", "-m", "gateway.cli.main"]
    args = parse(words[4:])
    assert (args.config, args.state) == ("/etc/fieldpost", "/var/lib/fieldpost")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("WatchdogSec", "30"),
        ("StateDirectory", "fieldpost"),
        ("MemoryMax", "128M"),
        ("Restart", "always"),
        ("ExecStartPre", "+/usr/lib/fieldpost/slotctl boot"),
        ("ExecStopPost", "+/usr/lib/fieldpost/slotctl stopped"),
        ("RestartPreventExitStatus", "78"),
        ("User", "fieldpost"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
    ],
)
def test_the_unit_keeps_its_promises(key, value):
    assert _unit()["Service"][key] == value


def test_the_gateway_waits_for_no_network_and_is_never_given_up():
    """FL-53: it does nothing without its server. Boot without network, broker or DNS must start everything local."""
    unit = _unit()["Unit"]
    for key in ("After", "Wants", "Requires", "BindsTo"):
        assert not {"network-online.target", "time-sync.target"} & set(unit.get(key, "").split())
    assert unit["OnFailure"] == "fieldpost-fallback.service"
    fallback = (ROOT / "systemd/fieldpost-fallback.service").read_text(encoding="utf-8").splitlines()
    assert fallback.index("ExecCondition=/usr/lib/fieldpost/slotctl onfailure") < fallback.index(
        "ExecStart=/bin/systemctl --no-block start fieldpost.service"
    )


def test_reading_whether_the_clock_is_synchronised_is_allowed():
    text = UNIT.read_text(encoding="utf-8")
    assert "\nProtectClock=" not in text
    filters = [line for line in text.splitlines() if line.startswith("SystemCallFilter=")]
    assert filters[-1] == "SystemCallFilter=adjtimex clock_adjtime", "last, or @privileged takes it away again"


def test_the_installer_is_a_valid_shell_script_and_explains_itself():
    script = ROOT / "systemd" / "install.sh"
    assert script.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(script)], check=True, timeout=30)
    done = subprocess.run([str(script), "--nonsense"], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert "--wheelhouse" in done.stdout


def test_the_installer_finds_the_command_where_slots_have_it():
    text = (ROOT / "systemd" / "install.sh").read_text(encoding="utf-8")
    assert set(re.findall(r"/current/[^ \"]*", text)) == {"/current/venv/bin/fieldpost"}
    assert "\numask 022" in text


def test_everything_the_installer_installs_is_there():
    text = (ROOT / "systemd" / "install.sh").read_text(encoding="utf-8")
    for name in re.findall(r"\$here/([a-z0-9][a-z0-9.-]+)\"", text):
        assert (UNIT.parent / name).is_file(), name
    assert {path.suffix for path in UNIT.parent.glob("fieldpost*")} == {".service", ".path", ".timer", ".8"}
    for suffix in (".service", ".path", ".timer"):
        assert f'"$here"/fieldpost*{suffix}' in text
    for program in ("slotctl", "slot-exec", "first-install"):
        assert f" {program}" in text
        assert (UNIT.parent / program).stat().st_mode & 0o111


def test_bluez_is_asked_by_the_user_of_the_unit_and_serial_ports_by_its_group():
    policy = ET.parse(UNIT.with_name("dbus.conf")).getroot().find("policy")
    assert policy.get("user") == _unit()["Service"]["User"]
    assert policy.find("allow").get("send_destination") == "org.bluez"
    rules = (UNIT.parent / "udev.rules").read_text(encoding="utf-8")
    assert f'GROUP="{_unit()["Service"]["SupplementaryGroups"]}"' in rules
    for label in re.findall(r'GOTO="(\w+)"', rules):
        assert f'LABEL="{label}"' in rules


@pytest.mark.parametrize("name", ["update", "confirm", "trial", "fallback"])
def test_what_works_for_updates_as_root_has_few_rights(tmp_path, name):
    require("systemd-analyze")
    copy = tmp_path / f"fieldpost-{name}.service"
    shutil.copy(UNIT.with_name(copy.name), copy)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=12", str(copy)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_no_unit_has_a_spelling_mistake(tmp_path):
    require("systemd-analyze")
    units = [path for path in UNIT.parent.iterdir() if path.suffix in {".service", ".path", ".timer"}]
    for path in units:
        text = re.sub(r"(?m)^(Exec\w+=)\+?/usr/lib/fieldpost/.*", r"\1/bin/true", path.read_text(encoding="utf-8"))
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    argv = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / path.name) for path in units)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert [line for line in (done.stdout + done.stderr).splitlines() if "fieldpost" in line] == []
    assert len(units) == 9
