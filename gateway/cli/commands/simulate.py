"""simulate: a device made from a profile, for trying things without hardware."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

from gateway.cli.library import profile_texts
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.errors import ConfigError
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files, read_tree


def simulate(session: Session) -> int:
    """Serve a profile until Ctrl-C."""
    args = session.args
    registry = Registry()
    driver = registry.load(args.driver)
    if driver.simulate is None:
        raise CommandFailed(f"driver {args.driver} has no simulator", Exit.USAGE)
    files, name = _files(session, args.profile)
    channel = _channel(files, name, session, registry)
    options = {
        "host": args.host,
        "port": args.port,
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
    except ValueError as error:
        raise CommandFailed(str(error), Exit.USAGE) from error
    return Exit.OK


def _has_keyboard() -> bool:
    """Whether words may come in: a terminal or a pipe, not a file or nothing."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return os.isatty(sys.stdin.fileno()) or stat.S_ISFIFO(mode)


async def _until_told(run: Any, channel: Any, options: dict[str, Any], session: Session) -> None:
    task = asyncio.create_task(run(channel, options, session.out.line))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await task
        except* OSError as group:
            raise group.exceptions[0] from None


def _files(session: Session, wanted: str) -> tuple[dict[str, bytes], str]:
    """Profile files and the profile's name: a file, a profile of the configuration folder, or one of the library."""
    path = Path(wanted)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise CommandFailed(f"there is no file {wanted}", Exit.USAGE)
        return {f"profiles/{path.stem}.yaml": path.read_bytes()}, ""
    library = profile_texts(session.args.driver)
    if wanted in library:
        return {f"profiles/{wanted}.yaml": library[wanted].encode()}, wanted
    tree = read_tree(session.config_dir)
    return {file: bytes(text) for file, text in tree.items() if file.startswith("profiles/")}, wanted


def _channel(files: dict[str, bytes], name: str, session: Session, registry: Registry) -> Any:
    """The channel of a synthetic configuration that has one device of the profile per unit."""
    import yaml

    if not name:
        (text,) = files.values()
        found = yaml.safe_load(text)
        if not isinstance(found, dict) or not found:
            raise CommandFailed("the file holds no profile", Exit.USAGE)
        name = session.option("name") or next(iter(found))
    first, _, last = str(session.args.unit).partition("-")
    params = dict(_param(text) for text in session.option("param") or [])
    device = {"unit_id": "{n}", "profile": name, **({"params": params} if params else {})}
    if not first.isdecimal() or (last and not last.isdecimal()):
        raise CommandFailed(f"{session.args.unit!r} is no unit: write 1 or 1-30", Exit.USAGE)
    key = f"unit{{{first}..{last or first}}}"
    channel = {"driver": session.args.driver, "url": "tcp://127.0.0.1", "devices": {key: device}}
    tree = {
        **files,
        "gateway.yaml": b"gateway: {id: simulator}\n",
        "channels/simulated.yaml": json.dumps(channel).encode(),
    }
    try:
        settings = load_files(tree, registry.load, env={}, credentials=CredentialFolders(None, None))
    except ConfigError as error:
        raise CommandFailed("\n".join(str(problem) for problem in error.problems), Exit.BAD_CONFIG) from error
    return settings.channels[0]


def _param(text: str) -> tuple[str, Any]:
    name, equals, raw = text.partition("=")
    if not equals:
        raise CommandFailed(f"{text!r} is not NAME=VALUE", Exit.USAGE)
    try:
        return name, json.loads(raw)
    except ValueError:
        return name, raw
