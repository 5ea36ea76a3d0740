"""Notifiers that end with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.rulebook import NotifySpec
from tests.unit.notifying.rig import Rig


@pytest.fixture
async def make() -> AsyncIterator[Any]:
    rigs: list[Rig] = []

    def make_rig(*specs: NotifySpec, **more: Any) -> Rig:
        rigs.append(Rig(*specs, **more))
        return rigs[-1]

    yield make_rig
    for rig in rigs:
        await rig.end()
