"""What slotctl asks of systemd."""

from __future__ import annotations

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
        done = subprocess.run(  # noqa: S603
            [_SYSTEMCTL, "show", "--value", "-p", "MainPID", UNIT],
            capture_output=True, text=True, timeout=_S, check=False,
        )  # fmt: skip
        return int(done.stdout.strip() or 0)
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0
