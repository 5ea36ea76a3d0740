"""A configuration folder, its generations, and a gateway that only keeps the books of what is switched."""

import asyncio
import contextlib

from gateway.health import Health
from gateway.registry import Registry
from gateway.runtime.applier import Applier
from gateway.settings import load_files, read_tree
from gateway.settings.credentials import credentials_of
from gateway.settings.generations import Generations
from gateway.testing import ManualClock
from rules.expression import RuleExpressions

GATEWAY = """\
gateway: {id: gw}
store: {path: state}
uplinks:
  cloud: {urls: ["mqtt://127.0.0.1:1883"]}
"""
CHANNEL = """\
driver: sim
devices:
  dev: {tags: {a: {signal: SIGNAL, type: float32}}}
"""


class Site:
    """A folder, its generations, and a switchable gateway whose parts are up or down as a test says."""

    def __init__(self, tmp_path):
        self.folder = tmp_path / "config"
        self.write("channels/line.yaml", CHANNEL.replace("SIGNAL", "sine"))
        self.write("gateway.yaml", GATEWAY)
        self.clock = ManualClock()
        self.health = Health(self.clock)
        self.events = []
        self.switched = []
        self.fail = None
        self.silent = set()
        self.is_up = {"channel:line", "uplink:cloud"}
        self.state = tmp_path / "state"
        self.generations = Generations(self.state)
        files = read_tree(self.folder)
        self.settings = self.load(files)
        self.generations.activate(self.generations.create(files, "first", hash=self.settings.hash))
        self.applier = Applier(self, self.generations, self.load, self.clock, self.health, self.events.append)

    def restart(self):
        """The process ends and begins again, with what is on disk."""
        self.generations = Generations(self.state)
        reverted = self.generations.recover()
        self.settings = self.load(self.generations.active().files())
        self.applier = Applier(self, self.generations, self.load, self.clock, self.health, self.events.append)
        return reverted

    def load(self, files):
        return load_files(
            files,
            Registry().load,
            env={},
            credentials=credentials_of(self.folder),
            base=self.folder,
            expressions=RuleExpressions(),
        )

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def change(self, signal="ramp"):
        self.write("channels/line.yaml", CHANNEL.replace("SIGNAL", signal))

    def tree(self, **changed):
        """The folder's files as a job brings them."""
        return {**read_tree(self.folder), **changed}

    def change_uplink(self):
        self.write("gateway.yaml", GATEWAY.replace("1883", "1884"))

    async def switch(self, new, plan):
        if self.fail is not None:
            raise self.fail
        self.settings = new
        self.switched.append((new.hash, plan.touched()))

    def up(self):
        return frozenset(self.is_up)

    def unheard(self):
        return frozenset(self.silent)

    def steps(self):
        return [event["step"] for event in self.events]

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.get_running_loop().create_task(self.applier.run(), name="applier")
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
