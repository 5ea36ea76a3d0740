"""What Linux says, as recorded on machines, and what becomes of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.clock import SystemClock
from gateway.health import Health
from gateway.machine import (
    CpuTotals,
    Machine,
    disk_used,
    parse_cgroup,
    parse_cpu_limit,
    parse_limit,
    parse_meminfo,
    parse_stat,
)
from gateway.testing import ManualClock
from gateway.tls import TlsSettings
from gateway.vitals import Vitals
from gateway.vitals.certificates import Life, judge
from gateway.vitals.clocks import STEP_SHOWN_S, UNSYNCED_S, ClockLook
from gateway.vitals.thresholds import CPU, DISK, MEMORY, Rolling

STAT = """cpu  630878 585781 150395 1408374 18539 0 9468 1480 0 0
cpu0 300720 287576 70785 731973 6257 0 3419 759 0 0
intr 12460505 0 0
"""
MEMINFO = """MemTotal:        3884084 kB
MemFree:          294892 kB
MemAvailable:     971021 kB
Buffers:           31608 kB
HugePages_Total:       0
"""
MEMORY_STAT = "anon 380000000\nfile 220000000\ninactive_file 150000000\nactive_file 70000000\n"


def test_the_processors_line_is_work_and_all_of_the_time() -> None:
    totals = parse_stat(STAT)
    assert totals == CpuTotals(630878 + 585781 + 150395 + 9468 + 1480, 2804915)


def test_memory_is_what_the_machine_cannot_give_any_more() -> None:
    memory = parse_meminfo(MEMINFO)
    assert memory is not None
    assert memory.share == pytest.approx(0.75)
    assert memory.of == 3884084 * 1024


@pytest.mark.parametrize("text", ["", "cpu\n", "cpu a b c d e\n", "intr 5\n", "\0\0", "cpu0 1 2 3 4 5\n"])
def test_what_is_no_stat_gives_nothing(text: str) -> None:
    assert parse_stat(text) is None


@pytest.mark.parametrize("text", ["", "MemTotal: x kB\n", "MemTotal: 5 kB\n", "MemTotal: 0 kB\nMemAvailable: 0 kB\n"])
def test_what_is_no_meminfo_gives_nothing(text: str) -> None:
    assert parse_meminfo(text) is None


def test_limits_of_cgroups() -> None:
    assert parse_limit("536870912\n") == 536870912
    assert [parse_limit(text) for text in ("max\n", "", "0", "-5", "x")] == [None] * 5
    assert parse_cpu_limit("150000 100000\n") == 1.5
    assert [parse_cpu_limit(text) for text in ("max 100000\n", "", "5", "0 100000", "5 0", "a b")] == [None] * 6


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/system.slice/fieldpost.service\n", "system.slice/fieldpost.service"),
        ("0::/\n", ""),
        ("4:memory:/x\n1:cpu:/\n0::/a\n", "a"),
        ("4:memory:/x\n", None),
        ("", None),
    ],
)
def test_our_place_in_the_tree(text: str, path: str | None) -> None:
    assert parse_cgroup(text) == path


class Tree:
    """Files of a machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.put("proc/stat", STAT)
        self.put("proc/meminfo", MEMINFO)

    def put(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def service(self, used: int, limit: str = "500000000") -> None:
        folder = "sys/fs/cgroup/system.slice/fieldpost.service"
        self.put("proc/self/cgroup", "0::/system.slice/fieldpost.service\n")
        self.put("proc/self/statm", "90000 20000 4000 5 0 30000 0\n")
        self.put(f"{folder}/memory.max", f"{limit}\n")
        self.put(f"{folder}/memory.current", f"{used}\n")
        self.put(f"{folder}/memory.stat", MEMORY_STAT)
        self.put("sys/fs/cgroup/system.slice/memory.max", "max\n")


def test_memory_of_a_service_is_measured_against_its_limit_without_what_is_only_cache(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.service(600_000_000)
    machine, ours, process = Machine(tmp_path).memory()
    assert machine.what == "the machine"
    assert (ours.what, ours.share) == ("the limit of fieldpost.service", 0.9)
    assert (process.what, process.used) == ("this process", 20000 * os.sysconf("SC_PAGE_SIZE"))


def test_a_limit_of_a_slice_above_counts_too(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.service(300_000_000, "max")
    tree.put("sys/fs/cgroup/system.slice/memory.max", "1000000000\n")
    tree.put("sys/fs/cgroup/system.slice/memory.current", "990000000\n")
    shares = {memory.what: memory.share for memory in Machine(tmp_path).memory()}
    assert shares["the limit of system.slice"] == pytest.approx(0.99)


def test_processor_time_is_measured_against_a_quota(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.service(1)
    assert Machine(tmp_path).cpu_of_ours(100.0) is None
    tree.put("sys/fs/cgroup/system.slice/fieldpost.service/cpu.max", "50000 100000\n")
    tree.put("sys/fs/cgroup/system.slice/fieldpost.service/cpu.stat", "usage_usec 5000000\nuser_usec 1\n")
    assert Machine(tmp_path).cpu_of_ours(100.0) == CpuTotals(5.0, 50.0)


def test_a_machine_without_these_files_gives_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert (machine.cpu(), machine.cpu_of_ours(1.0), machine.memory()) == (None, None, [])
    assert disk_used(tmp_path / "gone") is None


def test_this_machine_gives_something() -> None:
    assert Machine().cpu() is not None
    assert 0.0 < Machine().memory()[0].share < 1.0
    found = disk_used(Path("/"))
    assert found is not None
    assert 0.0 <= found[0] <= 1.0


@pytest.mark.parametrize(("low", "high"), [CPU, MEMORY, DISK])
def test_a_figure_that_wavers_makes_one_issue(low: object, high: object) -> None:
    for threshold in (low, high):
        between = (threshold.raised_at + threshold.cleared_at) / 2  # type: ignore[attr-defined]
        states, holds = [], False
        for share in (between, threshold.raised_at, between, between, threshold.cleared_at - 0.001, between):  # type: ignore[attr-defined]
            holds = threshold.holds(share, before=holds)  # type: ignore[attr-defined]
            states.append(holds)
        assert states == [False, True, True, True, False, False]


def test_a_share_needs_its_whole_window_and_forgets_what_is_older() -> None:
    rolling = Rolling(300.0)
    found = [rolling.add(at, used, at) for at, used in ((0, 0), (100, 100), (200, 200), (300, 300), (400, 300))]
    assert found == [None, None, None, 1.0, 200 / 300]
    assert rolling.add(1000, 300, 1000) == 0.0


def test_totals_that_go_back_begin_anew() -> None:
    rolling = Rolling(100.0)
    rolling.add(0, 500, 1000)
    assert rolling.add(100, 10, 20) is None
    assert rolling.add(200, 60, 120) == 0.5


# --- the clock


def test_a_clock_that_nobody_synchronises_is_an_issue_after_an_hour() -> None:
    look = ClockLook()
    for mono in (0.0, UNSYNCED_S, UNSYNCED_S + 10):
        look.look(mono, round(mono * 1000), synced=False)
    assert look.unsynced_s(UNSYNCED_S) is None
    assert look.unsynced_s(UNSYNCED_S + 10) == UNSYNCED_S + 10
    look.look(UNSYNCED_S + 20, round((UNSYNCED_S + 20) * 1000), synced=True)
    assert look.unsynced_s(2 * UNSYNCED_S) is None


@pytest.mark.parametrize(("step_ms", "stepped"), [(1999, None), (-1999, None), (2001, 2.001), (-86_400_000, -86_400.0)])
def test_a_clock_that_is_set_is_an_issue_for_a_while(step_ms: int, stepped: float | None) -> None:
    look = ClockLook()
    look.look(0.0, 1_000_000, synced=True)
    look.look(10.0, 1_010_000 + step_ms, synced=True)
    look.look(20.0, 1_020_000 + step_ms, synced=True)
    assert look.stepped_s(20.0) == stepped
    assert look.stepped_s(10.0 + STEP_SHOWN_S) is None


def test_the_step_to_the_right_time_is_no_issue() -> None:
    look = ClockLook()
    look.look(0.0, 0, synced=False)
    look.look(10.0, 1_800_000_000_000, synced=True)
    assert look.stepped_s(10.0) is None


# --- certificates


@pytest.mark.parametrize(
    ("days", "bound", "words"),
    [
        (0, None, ""),
        (49, None, ""),
        (51, 0.5, "49 days"),
        (79, 0.5, "21 days"),
        (80, 0.2, "20 days"),
        (103, 0.0, "3 days ago"),
    ],
)
def test_a_certificate_is_told_of_by_the_share_of_its_life(days: int, bound: float | None, words: str) -> None:
    verdict = judge(Life("client.crt", 0.0, 100 * 86_400.0), days * 86_400.0)
    assert (verdict[0] if verdict else None) == bound
    assert words in (verdict[1] if verdict else "")


def certificate(file: Path, age_days: float, life_days: float, count: int = 1) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gw")])
    begin = datetime.now(UTC) - timedelta(days=age_days)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=life_days))
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) * count)
    return file


class Rig:
    def __init__(self, root: Path, clock: ManualClock, **tls: TlsSettings) -> None:
        self.tree = Tree(root)
        self.clock = clock
        self.health = Health(clock)
        self.told: list[tuple[str, bool]] = []
        self.health.listen(lambda issue, is_set: self.told.append((issue.id, is_set)))
        self.tls = tls
        self.vitals = Vitals(root, clock, self.health, lambda: self.tls, Machine(root))

    def issues(self) -> dict[str, str]:
        return {issue.id: issue.text for issue in self.health.open()}

    def busy(self, seconds: float, share: float) -> None:
        """Time passes at some load."""
        for _ in range(round(seconds / 10)):
            self.clock.move(10.0)
            self.ticks = tuple(
                map(sum, zip(getattr(self, "ticks", (0, 0)), (1000 * share, 1000 * (1 - share)), strict=True))
            )
            self.tree.put("proc/stat", f"cpu {round(self.ticks[0])} 0 0 {round(self.ticks[1])} 0\n")
            self.vitals.look()


def test_a_busy_processor_is_an_issue_after_five_minutes_and_each_level_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ManualClock())
    rig.busy(600, 0.5)
    assert "cpu_high" not in rig.issues()
    rig.busy(200, 0.97)
    assert "cpu_critical" not in rig.issues()
    rig.busy(100, 0.97)
    assert {"cpu_high", "cpu_critical"} <= set(rig.issues())
    assert "97% of the machine's processors" in rig.issues()["cpu_critical"]
    rig.busy(300, 0.87)
    assert set(rig.issues()) & {"cpu_high", "cpu_critical"} == {"cpu_high"}
    rig.busy(300, 0.2)
    assert not set(rig.issues()) & {"cpu_high", "cpu_critical"}
    assert [told for told in rig.told if told[0] == "cpu_high"] == [("cpu_high", True), ("cpu_high", False)]


def test_memory_of_the_unit_is_an_issue_of_two_levels(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ManualClock())
    rig.tree.service(555_000_000)
    rig.vitals.look()
    assert set(rig.issues()) == {"memory_high"}
    assert "81% of memory is used: the limit of fieldpost.service, 405 of 500 MB" in rig.issues()["memory_high"]
    rig.tree.service(620_000_000)
    rig.vitals.look()
    assert set(rig.issues()) == {"memory_high", "memory_critical"}
    rig.tree.service(300_000_000)
    rig.tree.put("proc/meminfo", MEMINFO.replace("971021", "1971021"))
    rig.vitals.look()
    assert rig.issues() == {}


def test_a_clock_that_is_set_is_told_and_forgotten(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ManualClock())
    rig.vitals.look()
    rig.clock.step_wall(-90)
    rig.clock.move(10)
    rig.vitals.look()
    assert "set by -90.0 s" in rig.issues()["clock_stepped"]
    rig.clock.set_synced(False)
    rig.clock.move(STEP_SHOWN_S)
    rig.vitals.look()
    assert "clock_stepped" not in rig.issues()
    rig.clock.move(UNSYNCED_S + 1)
    rig.vitals.look()
    assert "clock_unsynced" in rig.issues()
    rig.clock.set_synced(True)
    rig.vitals.look()
    assert rig.issues() == {}


async def test_certificates_of_uplinks_are_told_anew_when_it_becomes_urgent(tmp_path: Path) -> None:
    file = certificate(tmp_path / "client.crt", 60, 100)
    rig = Rig(tmp_path, ManualClock(SystemClock().wall_ms()), cloud=TlsSettings(cert=file), local=TlsSettings())
    await rig.vitals.look_at_certificates()
    assert rig.issues() == {"certificate_expires": "cloud: client.crt expires in 40 days, 40% of its life are left"}
    certificate(file, 90, 100)
    await rig.vitals.look_at_certificates()
    assert rig.told == [("certificate_expires", True), ("certificate_expires", False), ("certificate_expires", True)]
    certificate(file, 1, 100)
    await rig.vitals.look_at_certificates()
    assert rig.issues() == {}


async def test_an_authority_counts_a_bundle_of_many_does_not(tmp_path: Path) -> None:
    one, many = certificate(tmp_path / "ca.pem", 90, 100), certificate(tmp_path / "bundle.pem", 90, 100, count=2)
    tls = {"one": TlsSettings(ca=one), "many": TlsSettings(ca=many), "none": TlsSettings(cert=tmp_path / "gone")}
    rig = Rig(tmp_path, ManualClock(SystemClock().wall_ms()), **tls)
    await rig.vitals.look_at_certificates()
    assert [issue.entity for issue in rig.health.open()] == ["one"]
    rig.tls = {}
    await rig.vitals.look_at_certificates()
    assert rig.issues() == {}
