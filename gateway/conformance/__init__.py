"""What every driver must do, as checks that a driver's author can run against a real or simulated device.

`await examine(SPEC, channel)` returns a Report with one result for each check; `await check_driver(SPEC, channel)` the
violations found by the checks that need no faulty peer, in words.
"""

from __future__ import annotations

from gateway.conformance.examining import check_driver, examine
from gateway.conformance.reach import reaching
from gateway.conformance.report import Report, Result, Verdict

__all__ = ["Report", "Result", "Verdict", "check_driver", "examine", "reaching"]
