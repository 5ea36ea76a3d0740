"""What slotctl asks of systemd."""

from __future__ import annotations

import contextlib
import subprocess

UNIT = "fieldpost.service"
_SYSTEMCTL = "/usr/bin/systemctl"
_S = 30


def restart() -> str:
    """Have the gateway started again, without waiting for it. Gives what went wrong, else an empty text."""
    try:
        done = subprocess.run(  # noqa: S603
            [_SYSTEMCTL, "--no-block", "restart", UNIT], capture_output=True, text=True, timeout=_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


def main_pid() -> int:
    """The gateway's process, 0 where none runs or systemd does not answer."""
    try:
        return int(_said("show", "--value", "-p", "MainPID", UNIT) or 0)
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def is_asked() -> bool | None:
    """Whether somebody asked for the end that the gateway comes to (a stop, a restart, the machine going down). False
    where it ended by itself, None where it is not ending or systemd does not say.
    """
    try:
        if _said("show", "--value", "-p", "ActiveState", UNIT) != "deactivating":
            return None
        # A start that failed leaves its job for a while: the kind of the job counts.
        jobs = [line.split() for line in _said("list-jobs", "--plain", "--no-legend", UNIT).splitlines()]
    except (OSError, subprocess.SubprocessError):
        return None
    return any(UNIT in words and {"stop", "restart"} & set(words) for words in jobs)


def forget_starts() -> None:
    """The start limit counts from here on: what was asked for is no sign of a gateway that cannot run."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        _said("reset-failed", UNIT)


def _said(*words: str) -> str:
    argv = [_SYSTEMCTL, *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=_S, check=False).stdout.strip()  # noqa: S603
