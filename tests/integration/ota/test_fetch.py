"""From a repository into the inbox, by the process that a gateway starts for it, and from there by the updater."""

import asyncio
import dataclasses
import datetime as dt
import hashlib
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from gateway.errors import GatewayError
from gateway.ota.slots import look
from gateway.runtime.fetching import FetchFailed, Fetching
from tests.support.eventually import eventually
from tests.support.runnable import runtime, wheel
from tests.support.site import Site
from tests.support.treeserver import serving_tree
from tests.unit.ota.publisher import Publisher

LIBRARY = wheel(
    "msgpack", "1.0", {"msgpack/__init__.py": "ANSWER = 42\n", "msgpack/table.txt": os.urandom(150_000).hex()}
)
TARGET = "releases/fieldpost-{}.json"


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    made = Publisher(tmp_path_factory.mktemp("publisher"))
    made.now = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    for version in ("1.2.0", "1.3.0"):
        wheels = {"fieldpost": runtime(version), "msgpack": LIBRARY}
        made.release(version, wheels=wheels, installed_size=100_000)
    return made


@pytest.fixture
def server(publisher):
    with serving_tree(publisher.folder / "repo") as made:
        yield made


@pytest.fixture
def site(tmp_path, publisher):
    return Site(tmp_path, publisher)


@dataclasses.dataclass
class Told:
    plans: list = dataclasses.field(default_factory=list)
    bytes: list = dataclasses.field(default_factory=list)


async def fetch(site, url, version="1.2.0", parts=None, **more):
    """Fetch as the gateway does; what was told meanwhile."""
    told = Told()

    async def may(plan):
        told.plans.append(plan)

    async def progress(have, total):
        told.bytes.append((have, total))

    order = {"target": TARGET.format(version), "root": str(site.root), "url": url, **more}
    async with asyncio.timeout(60):
        await Fetching(order, may, progress, parts).run()
    return told


async def refused(site, url, version="1.2.0", **more):
    with pytest.raises(FetchFailed) as caught:
        await fetch(site, url, version, **more)
    return caught.value.reason


def wheel_paths(server, name):
    return [(path, asked) for path, asked in server.asked if f".{name}-" in path and path.endswith(".whl")]


async def test_a_release_comes_from_a_repository_and_the_next_one_without_what_is_here(site, server):
    told = await fetch(site, server.url)
    (plan,) = told.plans
    assert (plan.version, plan.slot.partition("-")[0], plan.urgency) == ("1.2.0", "1.2.0", "normal")
    assert told.bytes[-1] == (plan.bytes, plan.bytes)
    assert sum(path.stat().st_size for path in site.at.inbox.rglob("*.whl")) == plan.bytes
    site.ask({"job": "j1", "target": TARGET.format("1.2.0")})
    assert site.update() == 0, site.output
    assert look(site.at).trial.slot == plan.slot
    assert site.run("boot") == 0
    assert site.run("keep") == 0
    server.asked.clear()
    (plan,) = (await fetch(site, server.url, "1.3.0")).plans
    assert wheel_paths(server, "msgpack") == []
    assert len(wheel_paths(server, "fieldpost")) == 1
    assert 0 < plan.bytes < 100_000
    assert [path.name for path in site.at.inbox.rglob("*1.2.0*")] == [], "what nobody wants any more is gone"
    site.ask({"job": "j2", "target": TARGET.format("1.3.0")})
    assert site.update() == 0, site.output
    assert look(site.at).trial.slot == plan.slot


async def test_a_damaged_wheel_of_the_store_is_fetched(site, server):
    sha = next(path.name.partition(".")[0] for path in server.folder.rglob("*.msgpack-1.0*.whl"))
    (site.at.wheels / f"{sha}.whl").write_bytes(LIBRARY[:-1] + b"x")
    await fetch(site, server.url)
    assert len(wheel_paths(server, "msgpack")) == 1


async def test_a_cut_download_goes_on_where_it_was_cut(site, server):
    path = next(str(path.relative_to(server.folder)) for path in server.folder.rglob("*.msgpack-1.0*.whl"))
    server.cut[path] = 100_000
    await fetch(site, server.url)
    assert [asked for each, asked in server.asked if each == path] == [None, "bytes=100000-"]
    assert next(site.at.inbox.rglob("*.msgpack-*.whl")).read_bytes() == LIBRARY


async def test_what_a_mirror_swaps_is_refused_and_the_right_one_is_taken_later(site, server):
    path = next(str(path.relative_to(server.folder)) for path in server.folder.rglob("*.msgpack-1.0*.whl"))
    server.instead[path] = LIBRARY[:-1] + b"x"
    with pytest.raises(FetchFailed, match="is not what was signed") as caught:
        await fetch(site, server.url)
    assert caught.value.reason == "hash"
    assert caught.value.file.endswith("msgpack-1.0-py3-none-any.whl")
    assert len(wheel_paths(server, "msgpack")) == 1
    assert not list(site.at.inbox.rglob("*.msgpack-*"))
    del server.instead[path]
    await fetch(site, server.url)
    assert next(site.at.inbox.rglob("*.msgpack-*.whl")).read_bytes() == LIBRARY


async def test_a_part_that_the_rest_does_not_fit_to_is_fetched_anew_at_once(site, server):
    path = next(path.relative_to(server.folder) for path in server.folder.rglob("*.msgpack-1.0*.whl"))
    place = site.at.inbox / path
    place.parent.mkdir(parents=True)
    place.with_name(f"{place.name}.part").write_bytes(b"<html>" * 10_000)
    tag = hashlib.sha256(LIBRARY).hexdigest()[:16]
    place.with_name(f"{place.name}.part.etag").write_text(f'"{tag}"')
    await fetch(site, server.url)
    assert [asked for _, asked in wheel_paths(server, "msgpack")] == ["bytes=60000-", None]
    assert place.read_bytes() == LIBRARY


@pytest.mark.parametrize(
    ("way", "kind"), [("login", "1.0-py3-none-any.whl"), ("longer", "1.2.0.json"), ("parts", "1.0-py3-none-any.whl")]
)
async def test_what_has_not_even_the_size_that_was_signed_is_a_fault_of_the_link(site, server, publisher, kind, way):
    path = next(str(path.relative_to(server.folder)) for path in server.folder.rglob(f"targets/**/*-{kind}"))
    parts = Folder(publisher.folder / "repo") if way == "parts" else None
    content = PORTAL if way != "longer" else (server.folder / path).read_bytes() + b"x"
    (parts or server).instead[path] = content
    url = "" if parts else server.url
    with pytest.raises(FetchFailed, match="somebody else than the repository answers") as caught:
        await fetch(site, url, parts=parts)
    assert caught.value.reason == "link"
    assert not list(site.at.inbox.rglob(f"*{kind}*"))


async def test_what_nobody_signed_is_not_fetched(site, server):
    (server.folder / "targets/releases/x.fieldpost-9.9.9.json").write_text("{}")
    assert await refused(site, server.url, "9.9.9") == "unknown"
    assert {path.partition("/")[0] for path in server.paths()} == {"metadata"}


async def test_a_repository_that_is_away_or_empty_is_told_apart(site, server, tmp_path, monkeypatch):
    with serving_tree(tmp_path / "empty") as empty:
        assert await refused(site, empty.url) == "missing"
    server.down = True
    assert await refused(site, server.url) == "link"
    assert site.untouched()


PORTAL = b"<!DOCTYPE html><title>Welcome to our network</title>"


@pytest.mark.parametrize(
    ("name", "content"),
    [("timestamp.json", b" " * 6_000_000), ("timestamp.json", PORTAL), ("2.root.json", PORTAL), ("2.root.json", b"{}")],
    ids=["endless", "login", "login for all", "another service"],
)
async def test_what_is_no_metadata_at_all_is_a_fault_of_the_link(site, server, name, content):
    server.instead[f"metadata/{name}"] = content
    with pytest.raises(FetchFailed, match=f"metadata/{name}: what comes is .*: somebody else than") as caught:
        await fetch(site, server.url)
    assert caught.value.reason == "link"
    del server.instead[f"metadata/{name}"]
    await fetch(site, server.url)


async def test_metadata_that_nobody_signed_is_refused(site, server):
    path = server.folder / "metadata/timestamp.json"
    server.instead["metadata/timestamp.json"] = re.sub(rb'("sig": ?")..', rb"\g<1>00", path.read_bytes())
    assert await refused(site, server.url) == "unsigned"


class Folder:
    """Brings parts out of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, int]] = []
        self.fail_at = 0
        self.instead: dict[str, bytes] = {}

    async def fetch(self, name, offset, count):
        self.asked.append((name, offset))
        if name in self.instead:
            return [self.instead[name]], len(self.instead[name])
        if self.fail_at and len(self.asked) == self.fail_at:
            raise GatewayError("the uplink is not connected")
        file = self.folder / name
        if not file.is_file():
            return [], -1
        content = file.read_bytes()
        starts = range(offset, min(offset + count * 65536, len(content)), 65536)
        return [content[start : start + 65536] for start in starts], len(content)

    async def close(self):
        pass


async def test_all_of_it_can_come_in_parts_and_goes_on_after_a_cut(site, publisher):
    parts = Folder(publisher.folder / "repo")
    parts.fail_at = 8
    assert await refused(site, "", parts=parts) == "link"
    (cut,) = site.at.inbox.rglob("*.part")
    have = cut.stat().st_size
    assert have > 0
    parts.asked.clear()
    parts.fail_at = 0
    await fetch(site, "", parts=parts)
    assert next(offset for name, offset in parts.asked if name.endswith(cut.name.removesuffix(".part"))) == have
    site.ask({"job": "j1", "target": TARGET.format("1.2.0")})
    assert site.update() == 0, site.output
    assert look(site.at).phase == "TRIAL"


@pytest.mark.parametrize("point", ["fetch.described", "fetch.file", "fetch.done"])
async def test_a_kill_costs_nothing_but_time(site, server, monkeypatch, point):
    monkeypatch.setenv("OTA_KILL_AT", point)
    assert await refused(site, server.url) == "system"
    monkeypatch.delenv("OTA_KILL_AT")
    await fetch(site, server.url)
    site.ask({"job": "j1", "target": TARGET.format("1.2.0")})
    assert site.update() == 0, site.output
    assert not list(site.at.inbox.parent.glob(".fetch-*"))


GRANDPARENT = """
import json, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "gateway.ota.fetch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdin.write(sys.argv[1].encode() + b"\\n"); child.stdin.flush()
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


async def test_it_ends_with_whoever_started_it(site, publisher):
    order = f'{{"target": "{TARGET.format("1.2.0")}", "root": "{site.root}"}}'
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GRANDPARENT, order, stdout=asyncio.subprocess.PIPE
    )
    child = int(await parent.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()

    def gone() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][0] == "Z"
        except FileNotFoundError:
            return True

    await eventually(gone, 20)
