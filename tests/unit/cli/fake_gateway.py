"""A socket server with canned answers, for tests of the command line."""

import asyncio
import contextlib
import logging
import threading

from gateway.cli.main import main
from gateway.local.server import Handler, LocalServer

ROW = {
    "device": "pump",
    "tag": "speed",
    "value": 21.4,
    "unit": "rpm",
    "quality": "good",
    "ts": 1795000000007,
    "age": 850,
}


BAD = {**ROW, "tag": "flow", "value": None, "unit": "m3/h", "quality": "bad/comm"}


STATUS = {
    "ready": True,
    "version": "0.1.0",
    "gateway": "plant-7",
    "config": {"hash": "ab", "generation": 7, "drift": False},
    "uplinks": {
        "cloud": {
            "state": "online",
            "since": 1795000000000,
            "backlog": {"readings": 0, "bytes": 0, "oldest": None},
            "proof": "full",
        }
    },
    "channels": {"line1": {"state": "online", "devices": {"pump": "online", "meter": "demoted"}}},
    "journal": {"bytes": 5, "epoch": 3, "streams": {"telemetry": {"oldest": 1, "last": 91589, "gaps": 0}}},
    "issues": [
        {
            "id": "device_offline",
            "entity": "meter",
            "text": "no answer",
            "repair": "look at the cable",
            "since": 1795000000000,
        }
    ],
}


ERRORS = [
    {
        "file": "channels/line1.yaml",
        "line": 9,
        "column": 37,
        "path": "devices.pump.tags.speed.type",
        "message": "unknown type uint15",
        "hint": "uint16",
    }
]


class FakeGateway:
    """A real socket server with canned answers: the command line is all that is under test."""

    def __init__(self, path):
        self.path = path
        self.asked = []
        self.answers = {
            "status": STATUS,
            "version": {"version": "0.1.0"},
            "tags": {"tags": [ROW, BAD]},
            "read": {"tags": [ROW]},
            "write": {"results": [{"device": "pump", "tag": "run", "state": "ok", "code": 200, "value": True}]},
            "command": {"v": 1, "rid": "c1", "ts": 1, "state": "done", "code": 200, "out": {"readings": 5}},
            "devices": {"devices": [{"device": "pump", "channel": "line1", "state": "online", "polls": 5}]},
            "reads": {
                "devices": {
                    "pump": {
                        "cycle_ms": 12.5,
                        "requests": [{"table": "holding", "address": 100, "count": 25, "tags": 12}],
                        "learned": [],
                    }
                }
            },
            "journal": {
                "bytes": 12345,
                "epoch": 3,
                "streams": STATUS["journal"]["streams"],
                "gaps": [],
                "entries": [{"seq": 5, "ts": 1795000000000, "kind": "device", "state": "online"}],
            },
            "audit": {
                "ok": True,
                "entries": [{"seq": 5, "ts": 1795000000000, "who": "anna", "what": "write", "old": 1, "new": 2}],
                "gaps": [],
            },
            "uplink": {"uplinks": STATUS["uplinks"]},
            "uplink_forget": {"forgotten": "cloud"},
            "plan": {"ok": True, "errors": [], "lines": ["channel line1: restart"], "channels": {}},
            "apply": {"ok": True, "generation": 8, "hash": "cd", "lines": ["channel line1: restart"], "gates": []},
            "confirm": {"ok": True, "generation": 8},
            "rollback": {"ok": True, "generation": 7, "hash": "ab"},
            "generations": {
                "generations": [{"number": 7, "hash": "ab", "time": 1795000000000, "note": "", "active": True}]
            },
        }

    async def _answer(self, op, args):
        self.asked.append((op, args))
        answer = self.answers[op]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _watch(self, args):
        self.asked.append(("watch", args))
        yield ROW
        yield BAD

    def handlers(self):
        def handler(op):
            return Handler(lambda args: self._answer(op, args))

        return {op: handler(op) for op in self.answers} | {"watch": Handler(self._watch, stream=True)}


@contextlib.contextmanager
def running(gateway):
    started = threading.Event()
    stop = []

    async def serve():
        server = LocalServer(gateway.path, gateway.handlers(), logging.getLogger("test"))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(server.run())
            await server.listening.wait()
            stop.append((asyncio.get_running_loop(), task))
            started.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    try:
        yield
    finally:
        loop, task = stop[0]
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)


def fieldpost(gateway, *words):
    return main([*words, "--socket", str(gateway.path)])
