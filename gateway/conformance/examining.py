"""Runs the checks on one driver and makes the report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gateway.conformance.bench import Bench
from gateway.conformance.checks import CHECKS, LOOP, TRACEBACKS, Check
from gateway.conformance.loopwatch import LoopWatch
from gateway.conformance.reach import nobody, reaching, target
from gateway.conformance.report import NotApplicable, Report, Result, Verdict
from gateway.conformance.scene import Subject
from gateway.driver import DriverSpec, PollingDriver
from gateway.model import ChannelSpec, Value
from gateway.preloading import preload
from gateway.whence import whence

Told = Callable[[Result], None]
Began = Callable[[str, str], None]
"""Hears the name and the title of a check that begins."""


def unheard(_check: str, _title: str) -> None:
    """Nobody wants to know what begins."""


async def check_driver(
    spec: DriverSpec, channel: ChannelSpec, *, unreachable: ChannelSpec | None = None, patience_s: float = 10.0
) -> list[str]:
    """Violations of the driver contract, with a good peer only.

    `channel` leads to a device that answers all its tags; `unreachable` to an address where nobody does.
    `patience_s`: how long a pushing driver may take until its first values.
    """
    subject = Subject(
        spec,
        channel,
        bench=None,
        proxy=None,
        unreachable=unreachable,
        writes=None,
        patience_s=patience_s,
        quiet="",
    )
    results = await _run(subject, [check for check in CHECKS if check.simple], lambda _result: None)
    return [text for result in results for text in result.findings]


async def examine(
    spec: DriverSpec,
    channel: ChannelSpec,
    *,
    unreachable: ChannelSpec | None = None,
    writes: Mapping[str, Value] | None = None,
    udp: bool = False,
    proxied: bool = True,
    quiet: str = "",
    only: Collection[str] = (),
    patience_s: float = 10.0,
    told: Told = lambda _result: None,
    began: Began = unheard,
) -> Report:
    """All checks.

    `channel` leads to a device that answers all its tags. Where its settings have a `url` with a port (or `host` and
    `port`) a proxy that makes faults is put before it, unless `proxied` is False; `udp`: it speaks UDP. `unreachable`:
    an address where nobody answers, made from `channel` unless given. `writes`: what may be written
    (`{"pump.setpoint": 3}`), nothing unless given. `quiet`: why the driver gives no values by itself here. `only`:
    these checks. `told` hears of each result, `began` of each check
    before it.
    """
    async with _subject(spec, channel, unreachable, udp=udp, proxied=proxied) as (bench, proxy, there, nowhere):
        subject = Subject(
            spec,
            there,
            bench=bench,
            proxy=proxy,
            unreachable=nowhere,
            writes=writes,
            patience_s=patience_s,
            quiet=quiet,
        )
        results = await _run(subject, [check for check in CHECKS if not only or check.name in only], told, began)
    return Report(spec.name, tuple(results))


@asynccontextmanager
async def _subject(
    spec: DriverSpec, channel: ChannelSpec, unreachable: ChannelSpec | None, *, udp: bool, proxied: bool
) -> AsyncIterator[tuple[Any, Any, ChannelSpec, ChannelSpec | None]]:
    """The bench with its proxy, the channel through it, and one that leads to nobody."""
    await preload(spec.imports)
    where = target(channel.settings)
    if where is None or not proxied:
        yield None, None, channel, unreachable
        return
    async with Bench() as bench:
        proxy = await bench.proxy(where[1], host=where[0], udp=udp)
        yield bench, proxy, reaching(channel, proxy.port), unreachable or reaching(channel, nobody(udp=udp))


async def _run(subject: Subject, checks: Sequence[Check], told: Told, began: Began = unheard) -> list[Result]:
    results: list[Result] = []
    escaped: list[str] = []

    def done(result: Result) -> None:
        results.append(result)
        told(result)

    loop = asyncio.get_running_loop()
    former = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: escaped.append(_words(context)))
    try:
        subject.polling = isinstance(subject.create(), PollingDriver)
        with LoopWatch(subject.folder) as watch:
            subject.watch = watch
            kind = "polling" if subject.polling else "pushing"
            for check in checks:
                if check.kind in {"any", kind}:
                    began(check.name, check.title)
                    done(await _one(subject, check))
        done(_listed(LOOP, [f"the loop stood still at {place}" for place in watch.stalls]))
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(former)
    done(_listed(TRACEBACKS, list(dict.fromkeys(escaped))))
    return results


async def _one(subject: Subject, check: Check) -> Result:
    subject.found = []
    try:
        await subject.heal()
        await check.run(subject)
        await subject.heal()
    except NotApplicable as why:
        if not subject.found:
            return Result(check.name, check.title, Verdict.SKIP, why=str(why))
    except Exception as error:  # the driver's own code runs inside a check: what it raises there is its finding
        subject.say(subject.whence(error))
    return _listed((check.name, check.title), subject.found)


def _listed(check: tuple[str, str], found: Sequence[str]) -> Result:
    return Result(*check, Verdict.FAIL if found else Verdict.PASS, tuple(found))


def _words(context: Mapping[str, Any]) -> str:
    error = context.get("exception")
    text = str(context.get("message", ""))
    return f"{text} {whence(error)}" if error is not None else text
