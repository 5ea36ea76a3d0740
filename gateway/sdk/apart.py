"""Runs code of others in a child process that tells what it does, and judges how it ends.

A driver may end its process, crash it, or never give the control back. None of that is a good end, and none of it may
be the end of the one who asked: the child tells of each step, the parent keeps the time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

_LOOK_S = 0.1
_GRACE_S = 2.0
"""For a child that has said everything, or writes down where it stands."""
_LONGEST = 16 * 1024 * 1024
"""Bytes of one message; what is longer is no report of ours."""
_STACK_BYTES = 65536
_FRAMES = 3
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in (.+)$')


class Ended(Struct, frozen=True):
    """A child without a verdict. `silent`: it was ended, because it gave no sign; else it ended by itself. `text` says
    how, and where in its code, as far as that is known.
    """

    silent: bool
    text: str


def run_apart(
    module: str,
    request: Mapping[str, Any],
    heard: Callable[[dict[str, Any]], None],
    *,
    silence_s: float,
    step_s: float,
) -> Ended | None:
    """Run `python -m module` with a request, and hear its messages; None when it said `done`.

    `silence_s`: the longest time without any message; `step_s`: the longest from one `step` to the next. Whatever
    the child started ends with it, as far as it stayed in its process group.
    """
    near, far = os.pipe()
    with tempfile.TemporaryFile(prefix="fieldpost-") as stacks, contextlib.closing(_Fd(near)):
        with contextlib.closing(_Fd(far)):
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", module, str(far), str(stacks.fileno()), str(silence_s)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                stdin=subprocess.PIPE,
                stdout=2,  # what a driver prints is no result
                pass_fds=(far, stacks.fileno()),
                start_new_session=True,
            )
        try:
            assert child.stdin is not None
            with contextlib.suppress(BrokenPipeError), child.stdin as asked:
                asked.write(json.dumps(request).encode())  # small: a pipe takes it at once
            trouble = _listen(child, near, heard, silence_s, step_s)
            if trouble is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_GRACE_S)
                return None
            return _judged(child, trouble, stacks.fileno())
        finally:
            _end(child, signal.SIGKILL)
            child.wait()


class _Fd:
    """A descriptor that `closing` takes."""

    def __init__(self, number: int) -> None:
        self._number = number

    def close(self) -> None:
        os.close(self._number)


def _listen(
    child: subprocess.Popen[bytes], near: int, heard: Callable[[dict[str, Any]], None], silence_s: float, step_s: float
) -> str | None:
    """Until `done`: None. Else why there is no more to hear; empty when the child ended."""
    sign = step = time.monotonic()
    buffer = b""
    while True:
        over = child.poll() is not None  # before the look: what it had said before its end is heard
        ready, _, _ = select.select([near], [], [], _LOOK_S)
        data = os.read(near, _STACK_BYTES) if ready else b""
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message.get("done"):
                return None
            sign = time.monotonic()
            step = sign if "step" in message else step
            heard(message)
        if data and len(buffer) < _LONGEST:
            continue
        if over:
            return ""
        if ready:  # it closed its end of the pipe, and goes on or ends
            time.sleep(_LOOK_S)
        if time.monotonic() - sign > silence_s:
            return f"gave no sign for {silence_s:g} s"
        if time.monotonic() - step > step_s:
            return f"did not end within {step_s:g} s"


def _judged(child: subprocess.Popen[bytes], trouble: str, stacks: int) -> Ended:
    if trouble:
        _end(child, signal.SIGABRT)  # it writes down where it stands
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
        return Ended(silent=True, text=trouble + _place(stacks))
    status = child.returncode
    if status < 0:
        return Ended(silent=False, text=f"ended the process by {_signal(-status)}{_place(stacks)}")
    return Ended(silent=False, text=f"ended the process with exit status {status}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _place(stacks: int) -> str:
    """The innermost calls of the main thread, which stands last in what `faulthandler` writes."""
    text = os.pread(stacks, _STACK_BYTES, 0).decode("utf-8", "replace")
    blocks = re.split(r"^(?:Current thread|Thread) .*$", text, flags=re.MULTILINE)
    found = [match for line in blocks[-1].splitlines() if (match := _FRAME.match(line))][:_FRAMES]
    if not found:
        return ""
    return ": " + ", called by ".join(f"{Path(each[1]).name}:{each[2]} in {each[3]}" for each in found)


def _end(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """A signal to the child, and at the end to all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if number is signal.SIGKILL:
            os.killpg(child.pid, number)
        else:
            child.send_signal(number)
