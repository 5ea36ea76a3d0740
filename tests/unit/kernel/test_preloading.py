"""Big libraries are imported beside the loop."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from gateway.preloading import preload


@pytest.fixture
def slow_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def make(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    monkeypatch.syspath_prepend(str(tmp_path))
    yield make
    for name in ("fp_slow", "fp_broken", "fp_good"):
        sys.modules.pop(name, None)


async def test_the_loop_goes_on_while_a_library_is_imported(slow_module) -> None:
    name = slow_module("fp_slow", "import time\ntime.sleep(0.3)\n")
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.005)
            turns += 1

    counting = asyncio.create_task(count())
    await preload([name])
    counting.cancel()
    assert name in sys.modules
    assert turns > 5


async def test_what_cannot_be_imported_is_left_to_whoever_needs_it(slow_module) -> None:
    for text in ("raise SystemExit(3)", "import no_such_library", "1 / 0"):
        await preload([slow_module("fp_broken", text)])
    assert "fp_broken" not in sys.modules
    await preload([slow_module("fp_good", "")])
    assert "fp_good" in sys.modules
