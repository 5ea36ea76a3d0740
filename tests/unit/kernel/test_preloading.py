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


async def test_several_channels_of_a_driver_without_its_library_hear_the_same_reason(slow_module) -> None:
    name = slow_module("fp_broken", "import time\ntime.sleep(0.05)\nimport no_such_library\nThing = 1\n")

    async def channel(turns: int) -> str | None:
        for _ in range(turns):  # they do not begin at the same time
            await asyncio.sleep(0.01)
        await preload([name])
        with pytest.raises(ImportError) as caught:
            exec(f"from {name} import Thing")  # as a driver's `create` does
        return caught.value.name

    missing = await asyncio.gather(*(channel(turns) for turns in range(12)))
    assert set(missing) == {"no_such_library"}


async def test_a_wait_for_a_library_that_is_given_up_does_not_stop_the_others(slow_module) -> None:
    name = slow_module("fp_slow", "import time\ntime.sleep(0.1)\n")
    first, second = (asyncio.create_task(preload([name])) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait_for(second, 10)
    assert first.cancelled()
    assert not sys.modules[name].__spec__._initializing
