"""Checks of the site's own while a release is tried: programs in `health.d`, run in order as the gateway's user.

Exit status 0 is ok; else the first line of what a program wrote says what is wrong. A program that the gateway could
have changed is not run and counts as failed: it would judge whatever somebody who broke in wants.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

from gateway.ota.gates import OK

MOST_SCRIPTS = 16
SCRIPT_S = 10.0
_MOST_LINE = 200
_CHUNK = 4096
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def names(folder: Path) -> list[str]:
    """The programs of a folder in their order: files that may be executed, without hidden ones. None where there is no
    such folder.
    """
    try:
        found = [one for one in os.scandir(folder) if not one.name.startswith(".")]
        return sorted(one.name for one in found if stat.S_IMODE(one.stat(follow_symlinks=False).st_mode) & 0o111)
    except OSError:
        return []


async def run_all(folder: Path, slot: str, *, limit_s: float = SCRIPT_S, owner: int = 0) -> str:
    """Run the programs one after the other, each for at most `limit_s`; `ok`, or what each that failed said. `owner`:
    to whom they and the folder must belong.
    """
    found = await asyncio.to_thread(_found, folder, owner)
    said = []
    for name, wrong in found[:MOST_SCRIPTS]:
        verdict = wrong or await _run(folder / name, slot, limit_s)
        if verdict:
            said.append(f"{name}: {verdict}")
    if len(found) > MOST_SCRIPTS:
        said.append(f"{len(found)} programs, {MOST_SCRIPTS} are run")
    return "; ".join(said) or OK


def _found(folder: Path, owner: int) -> Sequence[tuple[str, str]]:
    """Each program with why it is not run, if so."""
    wrong = _foreign(folder, owner)
    return [(name, wrong or _foreign(folder / name, owner)) for name in names(folder)]


def _foreign(path: Path, owner: int) -> str:
    """Why others than its owner could have put something else there; empty when they could not."""
    try:
        seen = path.lstat()
    except OSError as error:
        return f"cannot be seen: {error.strerror}"
    if stat.S_ISLNK(seen.st_mode):
        return f"not run: {path} is a link"
    if seen.st_uid != owner or seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"not run: {path} can be changed by others than root"
    return ""


async def _run(program: Path, slot: str, limit_s: float) -> str:
    """What is wrong by one program, else empty."""
    pipe = asyncio.subprocess.PIPE
    env = {"PATH": _PATH, "LANG": "C.UTF-8", "FIELDPOST_SLOT": slot}
    try:
        process = await asyncio.create_subprocess_exec(
            str(program), stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=asyncio.subprocess.STDOUT,
            cwd="/", env=env, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return f"does not start: {error.strerror}"
    try:
        async with asyncio.timeout(limit_s):
            line = await _first_line(process)
            status = await process.wait()
    except TimeoutError:
        return f"did not end within {limit_s:g} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with whatever it left running
        await process.wait()
    return "" if status == 0 else line or f"ended with {status}"


async def _first_line(process: asyncio.subprocess.Process) -> str:
    """The first line of the output; the rest is read and forgotten, so that a talkative program can end."""
    assert process.stdout is not None
    first = b""
    while chunk := await process.stdout.read(_CHUNK):
        if len(first) < _CHUNK and b"\n" not in first.lstrip():
            first += chunk
    text = first.strip().partition(b"\n")[0].decode("utf-8", "replace")[:_MOST_LINE]
    return "".join(one if one.isprintable() else "?" for one in text).strip()
