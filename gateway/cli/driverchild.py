"""The process in which `fieldpost driver ls` and `driver test` import and run what others wrote."""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import msgspec

from gateway.conformance import Result
from gateway.errors import ConfigError, GatewayError
from gateway.sdk.telling import Wire


def main(arguments: list[str]) -> None:
    """Do what the parent asks, and tell it everything."""
    wire = Wire(arguments)
    request = wire.request()
    try:
        {"ls": _ls, "test": _test}[request["what"]](wire, request)
    except ConfigError as error:
        wire.say(problems=msgspec.to_builtins(error.problems))
    except GatewayError as error:
        wire.say(refused=str(error))
    except OSError as error:
        wire.say(refused=f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:  # of the driver's peer, or of a driver that is asked for its papers
        if request.get("debug"):
            raise
        wire.say(refused=f"{type(error).__name__}: {error}; `--debug` shows where")
    wire.say(done=True)


def _ls(wire: Wire, request: dict[str, Any]) -> None:
    from gateway.registry import Registry, installed, origin
    from gateway.sdk.installed import row

    registry = Registry()
    for point in installed():
        key = [point.name, origin(point)]
        if key not in request["known"]:
            wire.say(step=key)
            wire.say(row=msgspec.to_builtins(row(point, registry)))


def _test(wire: Wire, request: dict[str, Any]) -> None:
    from gateway.sdk.examine import Wish, run_checks
    from rules.expression import RuleExpressions

    channel = request["wish"].pop("channel")
    wish = Wish(channel=Path(channel) if channel else None, **request["wish"])

    def told(result: Result) -> None:
        wire.say(result=msgspec.to_builtins(result))

    def began(check: str, title: str) -> None:
        wire.say(step=[check, title])

    async def checks() -> None:
        wire.beat()
        await run_checks(request["name"], wish, told, RuleExpressions(), began)

    warnings.simplefilter("ignore", ResourceWarning)  # of a driver that leaks: it is a finding
    if not request["debug"]:
        for name in ("fieldpost", "asyncio"):  # what the faults make them say; the findings say it, too
            logging.getLogger(name).addHandler(logging.NullHandler())
    asyncio.run(checks())


if __name__ == "__main__":
    main(sys.argv[1:])
