"""simulate: a device made from a profile, for trying things without hardware."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import sys
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gateway.cli.places import config_dir
from gateway.cli.profiletests.sources import library
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.errors import ConfigError, Problem
from gateway.library import defines
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files, read_tree
from gateway.wired import wired_channel
from rules.expression import RuleExpressions


def simulate(session: Session) -> int:
    """Serve a profile until Ctrl-C."""
    args = session.args
    _one_wire(session)
    registry = Registry()
    driver = registry.load(args.driver)
    if driver.simulate is None:
        raise CommandFailed(f"driver {args.driver} has no simulator", Exit.USAGE)
    files, name = _files(session, args.profile)
    channel = _channel(files, name, session, registry)
    options = {
        "host": args.host or "127.0.0.1",
        "port": args.port or 0,
        "rtu": args.rtu,
        "pty": session.option("pty"),
        "line": session.option("line"),
        "response_s": session.option("response") or 0.0,
        "static": args.static,
        "faults": session.option("fault") or [],
        "sets": session.option("set") or [],
        "control": session.option("control"),
        "stdin": _has_keyboard(),
    }
    try:
        asyncio.run(_until_told(driver.simulate, channel, options, session))
    except socket.gaierror as error:
        raise CommandFailed(f"--host {args.host}: {error.strerror}", Exit.USAGE) from error
    except ValueError as error:
        raise CommandFailed(str(error), Exit.USAGE) from error
    return Exit.OK


def _one_wire(session: Session) -> None:
    """Raises CommandFailed (usage) for words that a pseudo-terminal would ignore."""
    ignored = [f"--{name}" for name in ("host", "port", "rtu") if session.option(name) not in {None, False}]
    if session.option("pty") is not None and ignored:
        raise CommandFailed(f"{', '.join(ignored)} and --pty: a serial line has no TCP port", Exit.USAGE)


def _has_keyboard() -> bool:
    """Whether words may come in: a terminal, a pipe or a file, not nothing."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return os.isatty(sys.stdin.fileno()) or stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


async def _until_told(run: Any, channel: Any, options: dict[str, Any], session: Session) -> None:
    task = asyncio.create_task(run(channel, options, partial(_tell, session)))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await task
        except* OSError as group:
            raise group.exceptions[0] from None


def _tell(session: Session, text: str) -> None:
    if session.out.as_json:
        session.out.result({"text": text})
    else:
        session.out.line(text)


def _files(session: Session, wanted: str) -> tuple[dict[str, bytes], str]:
    """Profile files and the profile's name: a file, a profile of the configuration folder, or one of the library."""
    path = Path(wanted)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise CommandFailed(f"there is no file {wanted}", Exit.USAGE)
        return {f"profiles/{path.stem}.yaml": path.read_bytes()}, ""
    if session.option("name"):
        raise CommandFailed("--name is of a .yaml file with several profiles", Exit.USAGE)
    known = {each.name: each for each in library([session.args.driver])}
    if wanted in known:
        return dict(known[wanted].files), wanted
    folder = config_dir(session.option("config"))
    tree = read_tree(folder) if folder else {}
    files = {file: bytes(text) for file, text in tree.items() if file.startswith("profiles/")}
    if not any(defines(text, wanted) for text in files.values()):
        names = ", ".join(known)
        raise CommandFailed(f"there is no profile {wanted} in the configuration; the library has {names}", Exit.USAGE)
    return files, wanted


def _channel(files: dict[str, bytes], name: str, session: Session, registry: Registry) -> Any:
    """The channel of a synthetic configuration that has one device of the profile per unit."""
    import yaml

    if not name:
        (text,) = files.values()
        found = yaml.safe_load(text)
        if not isinstance(found, dict) or not found:
            raise CommandFailed("the file holds no profile", Exit.USAGE)
        if "driver" in found:
            said = (
                f"{session.args.profile} is a channel: simulate serves a profile; put the tags of its device into one"
            )
            raise CommandFailed(said, Exit.USAGE)
        name = session.option("name") or next(iter(found))
        if name not in found:
            raise CommandFailed(f"the file has no profile {name}, but {', '.join(map(str, found))}", Exit.USAGE)
    first, last = session.args.unit
    params = dict(_param(text) for text in session.option("param") or [])
    device = {"unit_id": "{n}", "profile": name, **({"params": params} if params else {})}
    key = f"unit{{{first}..{last}}}"
    channel = {"driver": session.args.driver, "url": "tcp://127.0.0.1", "devices": {key: device}}
    tree = {
        **files,
        "gateway.yaml": b"gateway: {id: simulator}\n",
        "channels/simulated.yaml": json.dumps(channel).encode(),
    }
    try:
        settings = load_files(
            tree,
            registry.load,
            env={},
            credentials=CredentialFolders(None, None),
            expressions=RuleExpressions(),
        )
    except ConfigError as error:
        raise ConfigError([_outside(problem) for problem in error.problems]) from error
    return wired_channel(settings.channels[0])  # what the gateway computes is in no device


def _outside(problem: Problem) -> Problem:
    """A fault of the words, without a place in files that nobody has."""
    return problem if problem.file.startswith("profiles/") else replace(problem, file="simulate", line=0)


def _param(text: str) -> tuple[str, Any]:
    name, equals, raw = text.partition("=")
    if not equals:
        raise CommandFailed(f"{text!r} is not NAME=VALUE", Exit.USAGE)
    try:
        return name, json.loads(raw)
    except ValueError:
        return name, raw
