"""A plant that the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.opcua_process import PlantProcess
from tests.support.parts import require


@pytest.fixture(scope="module")
def plant() -> Iterator[PlantProcess]:
    require("asyncua")
    process = PlantProcess(1000)
    yield process
    process.close()
