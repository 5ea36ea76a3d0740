"""The demo itself: starts the parts, shows what the gateway knows, obeys a few keys, ends everything."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from gateway.cli import forms
from gateway.cli.output import Output
from gateway.demo import terminal
from gateway.demo.screen import View, is_live, lines, received, screen
from gateway.demo.stage import Stage, staged
from gateway.errors import GatewayError
from gateway.local.client import AsyncClient
from gateway.local.wire import OpError
from gateway.proof import Collector, Ledger

_SCREEN_S = 0.5
_LINES_S = 2.0
_ACK_S = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def show(out: Output, lasting_s: float | None, port_base: int | None, *, plain: bool) -> int:
    """Run the demo until a signal, `q`, or for `lasting_s` seconds. Returns the exit status."""
    stop = asyncio.Event()
    with _signals(stop):
        started = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                main = group.create_task(_play(out, lasting_s, port_base, plain=plain, started=started, stop=stop))
                watch = group.create_task(_cancel_when(stop, main))
                await asyncio.wait({main})
                watch.cancel()
        except* GatewayError as failed:
            raise _first(failed) from None
        except* BrokenPipeError:
            raise BrokenPipeError from None
        if main.cancelled():
            return 0
        return main.result()


async def _cancel_when(stop: asyncio.Event, task: asyncio.Task[int]) -> None:
    await stop.wait()
    task.cancel()


async def _play(
    out: Output, lasting_s: float | None, port_base: int | None, *, plain: bool, started: float, stop: asyncio.Event
) -> int:
    if not plain and not out.as_json:
        out.line("starting a plant, a broker and a gateway ...")
    async with staged(port_base) as stage, asyncio.TaskGroup() as group:
        await stage.start_broker()
        consumer = Collector(stage.broker_url, "default", "demo", ack_s=_ACK_S)
        consuming = group.create_task(consumer.run(), name="demo:consumer") if stage.has_consumer else None
        await stage.start_plant()
        await stage.start_gateway()
        async with AsyncClient(stage.socket) as client:
            shown = Show(stage, client, consumer.ledger, out, started, stop)
            end = None if lasting_s is None else time.monotonic() + lasting_s
            if plain or out.as_json or not sys.stdout.isatty():
                await shown.print_lines(end)
            else:
                with terminal.taken_over(shown.on_key):
                    await shown.paint(end)
        if consuming is not None:
            consuming.cancel()
    return 0


class Show:
    """Asks the gateway, prints, and does what keys ask for."""

    def __init__(
        self, stage: Stage, client: AsyncClient, ledger: Ledger, out: Output, started: float, stop: asyncio.Event
    ) -> None:
        self._stage = stage
        self._client = client
        self._ledger = ledger
        self._out = out
        self._started = started
        self._stop = stop
        self._keys: asyncio.Queue[str] = asyncio.Queue(maxsize=16)
        self._notice = ""

    def on_key(self, key: str) -> None:
        """Taken from the terminal; too many keys at once are dropped."""
        if key in {"q", "Q", "\x04"}:
            self._stop.set()
            return
        with contextlib.suppress(asyncio.QueueFull):
            self._keys.put_nowait(key.lower())

    async def paint(self, end: float | None) -> None:
        """The live screen until `end`. What a key asked for runs beside it: a write may take seconds to verify."""
        async with asyncio.TaskGroup() as group:
            obeying = group.create_task(self._obey_keys(), name="demo:keys")
            while end is None or time.monotonic() < end:
                width, height = terminal.size()
                terminal.draw(screen(await self._view(), width, height, self._out))
                await asyncio.sleep(_SCREEN_S)
            obeying.cancel()

    async def _obey_keys(self) -> None:
        while True:
            await self._obey(await self._keys.get())

    async def print_lines(self, end: float | None) -> None:
        """Lines every two seconds until `end`, the first as soon as every value is live."""
        await self._until_live(end)
        while end is None or time.monotonic() < end:
            view = await self._view()
            if self._out.as_json:
                self._out.result({"status": dict(view.status), "tags": list(view.tags)})
            else:
                for line in lines(view):
                    self._out.line(line)
            left = _LINES_S if end is None else min(_LINES_S, end - time.monotonic())
            await asyncio.sleep(max(0.0, left))

    async def _until_live(self, end: float | None) -> None:
        while end is None or time.monotonic() < end:
            if is_live((await self._view()).tags):
                break
            await asyncio.sleep(0.1)
        if not self._out.as_json:
            self._out.line(f"live after {time.monotonic() - self._started:.1f} s; socket {self._stage.socket}")

    async def _ask(self, op: str) -> dict[str, Any]:
        """A question to the gateway; when it has ended, the error tells what it said last."""
        self._stage.look()
        try:
            return await self._client.call(op)
        except OpError:
            await asyncio.sleep(0.2)  # a process that has closed its socket is about to end
            self._stage.look()
            raise

    async def _view(self) -> View:
        status = await self._ask("status")
        tags = (await self._ask("tags"))["tags"]
        running = self._stage.broker is not None
        return View(
            seconds=time.monotonic() - self._started,
            status=status,
            tags=tags,
            broker=f"{self._stage.broker_name} at {self._stage.broker_url}",
            broker_running=running,
            received=received(self._ledger.report()["streams"]) if self._stage.has_consumer else "",
            notice=self._notice,
            hints=(
                f"keys     b {'stop' if running else 'start'} broker   p pump on/off   a pump automatic   q quit",
                f"try      fieldpost status --socket {self._stage.socket}",
            ),
        )

    async def _obey(self, key: str) -> None:
        if key == "b":
            await self._toggle_broker()
        elif key == "p":
            running = await self._value("pump.run")
            await self._write({"pump.run": not running})
        elif key == "a":
            await self._write({"pump.mode": 1})

    async def _toggle_broker(self) -> None:
        if self._stage.broker is not None:
            self._notice = "stopping the broker ..."
            await self._stage.stop_broker()
            self._notice = "the broker is stopped: readings wait in the journal; b starts it again"
        else:
            await self._stage.start_broker()
            self._notice = "the broker is back: watch what waited being delivered"

    async def _value(self, name: str) -> Any:
        rows = (await self._client.call("tags", {"tags": [name]}))["tags"]
        return rows[0]["value"] if rows else None

    async def _write(self, values: dict[str, Any]) -> None:
        self._notice = f"writing {', '.join(f'{name} = {forms.value(value)}' for name, value in values.items())} ..."
        try:
            results = (await self._client.call("write", {"values": values}))["results"]
        except OpError as err:
            self._notice = f"write: {err}"
            return
        self._notice = "; ".join(
            f"wrote {row['device']}.{row['tag']}: {row['state']}, read back {forms.value(row['value'])}"
            + (f" ({row['text']})" if row.get("text") else "")
            for row in results
        )


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _first(group: BaseExceptionGroup[GatewayError]) -> GatewayError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
