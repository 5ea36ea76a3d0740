"""A scene of the main job: ten devices of a hundred counting registers, the gateway, a broker, a sink."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import counting
from tests.support.counting import Losses, Unit
from tests.support.eventually import wait_until
from tests.support.gateway import Gateway
from tests.support.mosquitto import Broker
from tests.support.plant import Plant
from tests.support.sink import Sink

INTERVAL_S = 0.5


@dataclass
class Scene:
    """All parts of one run. `interval_s` is the devices' poll period."""

    plant: Plant
    gateway: Gateway
    broker: Broker
    sink: Sink
    interval_s: float
    losses: Losses = field(default_factory=Losses)

    def lowest(self) -> int:
        """The poll count of the device that was asked least."""
        return min(self.plant.counts().values())

    def wait_polls(self, more: int, within: float = 60) -> None:
        """Wait until every device was polled `more` times from now on."""
        self.wait_polls_of(list(self.plant.counts()), more, within)

    def wait_polls_of(self, units: Sequence[Unit], more: int, within: float = 60) -> None:
        """The same for some devices."""
        start = self.plant.counts()

        def polled() -> bool:
            now = self.plant.counts()
            return all(now[unit] >= start[unit] + more for unit in units)

        wait_until(polled, within, every=0.05, why=f"{more} more polls of {len(units)} devices")

    def wait_delivered(self, within: float = 90) -> None:
        """Wait until the sink has every count that the devices have given so far, but for what was lost by kills."""
        counts = self.plant.counts()
        wait_until(
            lambda: not counting.problems(self.sink.snapshot(), counts, self.losses),
            within,
            every=0.25,
            why=lambda: "delivered: " + "; ".join(counting.problems(self.sink.snapshot(), counts, self.losses)),
        )

    def forgive(self, unit: Unit, at_most: int, in_part: int = 0) -> None:
        """Note up to `at_most` counts of a device that died with its restarted channel, and up to `in_part` that came in
        part: more is a failure.
        """
        last = self.plant.counts()[unit]
        name = counting.device(unit)

        registers = len(counting.profile()["counter"]["tags"])

        def lost() -> tuple[set[int], set[int]]:
            seen = self.sink.snapshot().counts()[name]
            partial = {count for count, tags in seen.items() if tags != registers} if in_part else set()
            return set(range(1, last + 1)) - set(seen), partial

        def few() -> bool:
            missing, partial = lost()
            return len(missing) <= at_most and len(partial) <= in_part

        wait_until(few, 30, every=0.2, why=lambda: f"of {name} only {lost()} are missing or came in part")
        missing, partial = lost()
        self.losses.allowed[name] |= missing
        self.losses.in_part[name] |= partial

    def kill_gateway(self) -> None:
        """SIGKILL; what may be lost by it is noted."""
        self.gateway.kill()
        self.losses.killed(self.plant.counts(), interval_s=self.interval_s)

    def states(self) -> dict[str, str]:
        """Device -> state, as `fieldpost status` shows it."""
        states: dict[str, str] = {}
        for channel in self.gateway.status()["channels"].values():
            states.update(channel["devices"])
        return states

    def add_setpoint(self) -> None:
        """A setpoint beside the counting registers."""
        profile: dict[str, Any] = counting.profile()
        profile["counter"]["tags"]["setpoint"] = {
            "address": "holding/200",
            "type": "uint16",
            "access": "rw",
            "on_demand": True,
        }
        self.gateway.write("profiles/counter.yaml", profile)

    def finish(self) -> None:
        """Deliver, stop cleanly, deliver the rest, and prove everything from both ends."""
        self.wait_delivered()
        assert self.gateway.stop() == 0, self.gateway.log()
        assert "Traceback" not in self.gateway.log(), self.gateway.log()
        final = self.plant.counts()
        self.losses.in_flight(final)
        books = self.sink.snapshot().last

        def open_points() -> list[str]:
            return counting.problems(self.sink.snapshot().up_to(books), final, self.losses)

        if open_points():
            # What was committed during the stop waits for the next start: nothing of it is lost.
            self.gateway.start()
            wait_until(lambda: not open_points(), 60, every=0.25, why=lambda: "; ".join(open_points()))
            self.gateway.stop()
        assert self.sink.errors == []
        ledger = self.sink.snapshot().up_to(books)
        counting.assert_complete(ledger, final, self.losses)
        assert not (wrong := counting.strangers(ledger, self.plant.counts())), f"values that no device gave: {wrong}"


@pytest.fixture
def make_scene(
    make_plant: Callable[..., Plant],
    make_gateway: Callable[..., Gateway],
    make_broker: Callable[..., Broker],
    make_sink: Callable[..., Sink],
) -> Callable[..., Scene]:
    """`make_scene(lines=10, ack="broker", codec="json", via=proxy...)`: everything set up, the gateway started."""

    def make(
        lines: int | list[list[int]] = 10,
        *,
        codec: str = "json",
        ack: str = "broker",
        interval_s: float = INTERVAL_S,
        timeout: str = "5s",
        broker: Broker | None = None,
        port: int | None = None,
        start: bool = True,
        uplink: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        noise: bool = False,
        state: Path | None = None,
        host: str = "127.0.0.1",
        prefix: Sequence[str] = (),
        **store: Any,
    ) -> Scene:
        plant = make_plant(lines, noise=noise, host=host)
        broker = broker or make_broker()
        sink = make_sink(broker.port, ack=ack == "consumer")
        gateway = make_gateway(env=env, state=state, prefix=prefix)
        cloud = {"urls": [f"mqtt://{host}:{port or broker.port}"], "codec": codec, "ack": ack, **(uplink or {})}
        interval = f"{int(interval_s * 1000)}ms"
        counting.write_config(gateway, plant, {"cloud": cloud}, interval=interval, timeout=timeout, host=host, **store)
        if start:
            gateway.start()
        return Scene(plant, gateway, broker, sink, interval_s)

    return make
