"""Lengths of fault tests: short for each push, full with FIELDPOST_SOAK=1 (`make soak`)."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T", int, float)

SOAK = os.environ.get("FIELDPOST_SOAK") == "1"


def scaled(short: T, full: T) -> T:
    """The length for this run."""
    return full if SOAK else short
