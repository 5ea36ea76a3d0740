"""The operator's side as a target of fuzzing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from gateway.fleet.course import Course
from gateway.fleet.jobboard import JobBoard
from gateway.fleet.jobwire import JobStatus
from gateway.fleet.partserver import PART, PartServer
from gateway.fleet.repositoryfiles import RepositoryFiles
from gateway.mqttclient.connection import Inbound

SEEDS = (
    b'{"v":1,"id":"d-1","ver":1,"state":"in_progress","step":"download","percent":40,"ts":1,"detail":{"text":"x","code":409}}',
    b'{"v":1,"id":"d-1","ver":1,"op":"ota","doc":{"target":"releases/fieldpost-1.4.0.json"},"exp":1795086400000}',
    b'{"v":1,"file":"metadata/timestamp.json","offset":0,"count":4}',
)


def words() -> Iterator[Callable[[bytes], None]]:
    """What gateways, and whoever writes on `job/next`, say to an operator."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "repo"
        (folder / "metadata").mkdir(parents=True)
        (folder / "metadata/timestamp.json").write_bytes(b"{}")
        files = RepositoryFiles(folder)
        board, server = JobBoard(), PartServer(files, "t")

        def consume(data: bytes) -> None:
            for topic in ("status", "job/next", "job/d-1/status"):
                heard = board.take(Inbound(f"fp/1/t/gw/{topic}", data, False, 1, 0))
                if heard is not None and isinstance(heard[1], JobStatus):
                    course = Course("gw", 0)
                    course.begin(0)
                    course.hear(heard[1], 1)
                    course.judge(9, answer_s=1, within_s=5, offline_s=0)
                    assert msgspec.json.encode(heard[1])
            server.take(Inbound("fp/1/t/gw/job/d-1/want", data, False, 1, 0))
            for asked in server.waiting("gw"):
                found = files.read(asked.file, asked.offset, PART)
                assert found is None or asked.file == "metadata/timestamp.json"

        yield consume
