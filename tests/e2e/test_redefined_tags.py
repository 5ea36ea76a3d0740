"""A name that means another thing than before has no value until that is read."""

from __future__ import annotations

from tests.support.eventually import wait_until
from tests.support.ruled import Ruled


def test_the_old_value_is_not_shown_under_a_new_address(ruled: Ruled) -> None:
    ruled.set(temperature=85, level=3)
    ruled.start()
    assert ruled.tag("boiler.temperature")["value"] == 85
    path = ruled.gateway.config / "channels/boiler.yaml"
    text = path.read_text()
    assert "holding/0" in text
    ruled.gateway.write("channels/boiler.yaml", text.replace("holding/0", "holding/5"))
    ruled.gateway.ask("apply")
    ruled.wait_tag("boiler.temperature", 0)
    wait_until(lambda: _temperatures(ruled)[-1:] == [0], 20, every=0.1, why="the new register's value is told")
    seen = _temperatures(ruled)
    assert seen[seen.index(None) - 1] == 85
    assert set(seen[: seen.index(None)]) == {85}
    assert set(seen[seen.index(None) + 1 :]) == {0}


def _temperatures(ruled: Ruled) -> list[object]:
    return [row.value for row in ruled.sink.snapshot().readings() if (row.device, row.tag) == ("boiler", "temperature")]


def test_a_change_that_leaves_the_address_keeps_the_value(ruled: Ruled) -> None:
    ruled.set(temperature=85)
    ruled.start()
    path = ruled.gateway.config / "channels/boiler.yaml"
    ruled.gateway.write("channels/boiler.yaml", path.read_text().replace("interval: 50ms", "interval: 150ms"))
    ruled.gateway.ask("apply")
    ruled.wait_tag("boiler.temperature", 85)
    assert not [r for r in ruled.sink.snapshot().readings() if (r.device, r.value) == ("boiler", None)]
