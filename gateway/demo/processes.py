"""Child processes that never outlive the demo: ended by pid in the normal case, by the kernel when it is killed.

Each is in a session of its own, so that Ctrl-C reaches the demo alone and it ends them in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2)
_TAIL = 4000
CONFIG = "{config}"
"""Stands in a command for the path of its configuration."""


class Child:
    """One process with its log file."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    async def first_line(self, within_s: float) -> str:
        """The first line of its standard output; empty when it ended before."""
        assert self.process.stdout is not None
        async with asyncio.timeout(within_s):
            return (await self.process.stdout.readline()).decode()

    async def end(self, within_s: float) -> None:
        """Ask it to end, then make it."""
        for number, wait in ((signal.SIGTERM, within_s), (signal.SIGKILL, 5.0)):
            if not self.running:
                return
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self.process.wait()

    def tail(self) -> str:
        """The last lines of its log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text[-_TAIL:].strip().splitlines()[-12:])


async def spawn(
    name: str,
    command: Sequence[str],
    folder: Path,
    env: Mapping[str, str] | None = None,
    *,
    stdout: bool = False,
    config: str = "",
    user: str | None = None,
) -> Child:
    """Start `command`; its log is `folder`/`name`.log. With `stdout` its standard output can be read.

    `config` is handed over in memory, so that a `user` who cannot see our folder can read it.
    """
    log = folder / f"{name}.log"
    memory = os.memfd_create(f"{name}.conf", 0)
    try:
        os.write(memory, config.encode())
        with log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                *(f"/proc/self/fd/{memory}" if word == CONFIG else word for word in command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if stdout else sink,
                stderr=sink,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                pass_fds=(memory,),
                user=user,
                extra_groups=[] if user else None,
                preexec_fn=_die_with_parent(os.getpid()),  # noqa: PLW1509 - no threads here that could hold a lock
            )
    finally:
        os.close(memory)
    return Child(name, process, log)


def _die_with_parent(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)  # loaded before the fork: between fork and exec nothing may allocate much

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the request was in place
            os._exit(1)

    return ask
