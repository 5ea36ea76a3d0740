"""What holds for all tests: marks by folder, fixtures of processes and peers, and no task left behind."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support.bluez import Bluetooth
from tests.support.certificates import Certificates
from tests.support.gateway import Gateway
from tests.support.mosquitto import Broker, Brokers
from tests.support.plant import Plant
from tests.support.processes import Processes
from tests.support.proxy import Proxy
from tests.support.sink import Sink

TESTS = Path(__file__).resolve().parent

MARKS = {
    "unit": ("unit", 60),
    "model": ("unit", 120),
    "integration": ("integration", 120),
    "drivers": ("integration", 120),
    "peers": ("engines", 180),
    "e2e": ("e2e", 300),
    "e2e/long": ("long", 300),
    "system": ("system", 900),
    "arm": ("arm", 3600),
    "vm": ("vm", 1200),
    "soak": ("soak", 6 * 3600),
}
"""Folder -> mark and time limit in seconds of one test. The mark follows from the folder, nothing else."""

MEANINGS = {
    "unit": "one module, no socket, no subprocess, manual clock",
    "integration": "one of our parts with one real peer",
    "e2e": "the installed gateway, from config files, seen from outside",
    "engines": "peers written by others that need the npm set",
    "long": "as e2e, but a minute each: run beside the tests that need root",
    "system": "needs root: file systems, namespaces, systemd",
    "vm": "a guest with its own kernel under qemu",
    "arm": "a booted arm64 system under emulation",
    "soak": "full-length figures",
}

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background by a shell: whatever is started from here would ignore Ctrl-C too, which tests press.
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("fieldpost", deadline=None, print_blob=True)
hypothesis.settings.load_profile("fieldpost")


def pytest_configure(config: pytest.Config) -> None:
    for mark, meaning in MEANINGS.items():
        config.addinivalue_line("markers", f"{mark}: {meaning}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Those that wait for processes go first: at the end many short ones fill the workers evenly.
    items.sort(key=lambda item: "e2e" not in item.path.parts)
    for item in items:
        _mark(item)
        if inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.fixturenames.insert(0, "no_leftover_tasks")  # type: ignore[attr-defined]


def _mark(item: pytest.Item) -> None:
    parts = item.path.relative_to(TESTS).parts if item.path.is_relative_to(TESTS) else ("",)
    folder = "/".join(parts[:2]) if "/".join(parts[:2]) in MARKS else parts[0]
    if folder not in MARKS:
        return
    mark, limit = MARKS[folder]
    item.add_marker(getattr(pytest.mark, mark))
    if item.get_closest_marker("timeout") is None:
        slow = float(os.environ.get("FIELDPOST_SLOW", "1"))
        item.add_marker(pytest.mark.timeout(limit * slow))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the output of a failed test's processes."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed:
        processes = getattr(item, "funcargs", {}).get("processes")
        if isinstance(processes, Processes):
            report.sections.extend(processes.report())


@pytest.fixture
async def no_leftover_tasks() -> AsyncIterator[None]:
    """Fails a test that leaves tasks running: structured concurrency is part of what is promised."""
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task() and not task.done()]
    assert not left, f"tasks left behind: {[task.get_name() for task in left]} {left}"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Start processes; all are ended by pid when the test ends, and shown when it fails."""
    started = Processes(tmp_path)
    yield started
    started.end_all()


@pytest.fixture
def seed() -> int:
    """Seed of a random test: printed, and taken from FIELDPOST_SEED when set."""
    number = int(os.environ.get("FIELDPOST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"FIELDPOST_SEED={number}")
    return number


@pytest.fixture
def make_broker(processes: Processes, tmp_path: Path) -> Callable[..., Broker]:
    """`make_broker(persistence=..., acl=..., tls=..., max_inflight=...)` starts a mosquitto that keeps its port."""
    return Brokers(processes, tmp_path).make


@pytest.fixture
def broker(make_broker: Callable[..., Broker]) -> Broker:
    """A running mosquitto with persistence."""
    return make_broker()


@pytest.fixture
def make_proxy() -> Iterator[Callable[[int], Proxy]]:
    """`make_proxy(port)` starts a TCP proxy before 127.0.0.1:port whose behaviour can be switched."""
    proxies: list[Proxy] = []

    def make(port: int) -> Proxy:
        proxy = Proxy(port)
        proxies.append(proxy)
        return proxy

    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture
def make_plant(processes: Processes) -> Iterator[Callable[..., Plant]]:
    """`make_plant(lines, registers=..., ...)`: a process of simulated Modbus TCP devices (tests/support/plant.py)."""
    plants: list[Plant] = []

    def make(lines: int | list[list[int]], **options: Any) -> Plant:
        plant = Plant(processes, [[1]] * lines if isinstance(lines, int) else lines, **options)
        plants.append(plant)
        return plant

    yield make
    for plant in plants:
        plant.close()


@pytest.fixture
def make_gateway(processes: Processes, tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """`make_gateway(name=..., env=...)`: a gateway with a config folder and a state directory of its own."""
    made: list[Gateway] = []

    def make(name: str = "gateway", **options: Any) -> Gateway:
        gateway = Gateway(processes, tmp_path / name, name=name, **options)
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        gateway.close()


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """One gateway, not started."""
    return make_gateway()


@pytest.fixture
def make_bluetooth(processes: Processes) -> Iterator[Callable[..., Bluetooth]]:
    """`make_bluetooth(adapter=...)`: a private D-Bus with a BlueZ on it, both running."""
    made: list[Bluetooth] = []

    def make(**options: Any) -> Bluetooth:
        bluetooth = Bluetooth(processes, **options)
        made.append(bluetooth)
        return bluetooth.start()

    yield make
    for bluetooth in made:
        bluetooth.close()


@pytest.fixture
def bluetooth(make_bluetooth: Callable[..., Bluetooth]) -> Bluetooth:
    """One bus and BlueZ with the adapter hci0."""
    return make_bluetooth()


@pytest.fixture
def make_sink() -> Iterator[Callable[..., Sink]]:
    """`make_sink(port, ack=..., root=...)`: a subscribed consumer with a ledger of numbers."""
    sinks: list[Sink] = []

    def make(port: int, **options: Any) -> Sink:
        sink = Sink(port, **options)
        sinks.append(sink)
        return sink.start()

    yield make
    for sink in sinks:
        sink.stop()


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """A certificate authority of this test alone; certificates live two days."""
    return Certificates(tmp_path / "certificates")
