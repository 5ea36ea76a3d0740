"""The child's side of gateway/sdk/apart.py: tells the parent what is done, and that it is still there."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import resource
import sys
from typing import Any

_BEAT_S = 1.0
_LEFT_ALONE = 1.5
"""After so many times the parent's patience nobody is there to end us."""


class Wire:
    """Made of the arguments that the parent gives: the pipe, the file for stacks, its patience in seconds."""

    def __init__(self, arguments: list[str]) -> None:
        self._pipe, self._stacks, self._silence_s = int(arguments[0]), int(arguments[1]), float(arguments[2])
        for number in (self._pipe, self._stacks):
            os.set_inheritable(number, False)  # what a driver starts does not hold them
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        faulthandler.enable(file=self._stacks)

    def request(self) -> dict[str, Any]:
        """What the parent asks for."""
        found: dict[str, Any] = json.loads(sys.stdin.buffer.read())
        return found

    def say(self, **message: Any) -> None:
        """Tell the parent. Without one the process ends: nobody is there to hear."""
        faulthandler.dump_traceback_later(self._silence_s * _LEFT_ALONE, exit=True, file=self._stacks)
        data = json.dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._pipe, data) :]
        except OSError:
            os._exit(1)

    def beat(self) -> None:
        """A sign now and then, as long as the running event loop turns."""
        self.say(alive=True)
        asyncio.get_running_loop().call_later(_BEAT_S, self.beat)
