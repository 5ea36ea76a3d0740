"""Public kit for tests of drivers and of the kernel: a clock that a test moves by hand, a recording context, a bench
with a peer and a proxy that makes faults, and the conformance checks. Nothing here is used by the running gateway.
"""

from __future__ import annotations

from gateway.conformance import Report, Result, Verdict, check_driver, examine, reaching
from gateway.conformance.bench import Bench
from gateway.conformance.proxy import Fault, Proxy, TcpProxy, UdpProxy
from gateway.fake_context import DictMemory, FakeContext, bind_devices
from gateway.testing.clock import ManualClock, ManualTimer

__all__ = [
    "Bench",
    "DictMemory",
    "FakeContext",
    "Fault",
    "ManualClock",
    "ManualTimer",
    "Proxy",
    "Report",
    "Result",
    "TcpProxy",
    "UdpProxy",
    "Verdict",
    "bind_devices",
    "check_driver",
    "examine",
    "reaching",
]
