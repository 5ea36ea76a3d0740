"""The work of op `ota` over a real repository and real slots: how it ends, without a gateway around it."""

import asyncio
import datetime as dt
import json
import shutil
from types import SimpleNamespace

import pytest

from gateway.clock import SystemClock, ntp_synced
from gateway.errors import GatewayError
from gateway.health import Health
from gateway.jobs.work import Job, JobCancelled, JobRefused, JobState
from gateway.ota.request import asking
from gateway.ota.slots import look
from gateway.runtime.otajob import OtaWork
from gateway.runtime.otawaits import Limits
from gateway.settings.types import OtaSettings
from tests.support.eventually import eventually
from tests.support.runnable import runtime
from tests.support.site import OLD, Site
from tests.support.treeserver import serving_tree
from tests.unit.ota.publisher import Publisher

TARGET = "releases/fieldpost-1.2.0.json"


class AtWork:
    """A job at work whose steps are noted."""

    def __init__(self, target=TARGET, kept=None):
        self.job = Job("j1", 1, "ota", {"target": target}, "cloud")
        self.kept = kept or {}
        self.resumed = kept is not None
        self.cancelled = asyncio.Event()
        self.told = []
        self.committed = False

    async def step(self, step, *, percent=None, keep=None, **detail):
        self.kept = {**self.kept, **(keep or {})}
        self.told.append((step, detail))

    async def commit(self, *, decided=False):
        self.committed = True


def publish(folder, age_days=0.04):
    publisher = Publisher(folder)
    publisher.now = dt.datetime.now(dt.UTC) - dt.timedelta(days=age_days)
    publisher.release("1.2.0", wheels={"fieldpost": runtime("1.2.0")}, installed_size=100_000)
    return publisher


class Bench:
    def __init__(self, tmp_path, publisher, url, **limits):
        self.site = Site(tmp_path / "machine", publisher)
        clock = SystemClock()
        self.health = Health(clock)
        settings = SimpleNamespace(ota=OtaSettings(url=url, jitter_s=0), uplinks=(), timezone="UTC")
        self.node = SimpleNamespace(
            clock=clock, health=self.health, settings=settings, updating=None, blocked_updates=list
        )
        limits = {"look_s": 0.05, "retry_s": 0.1, "retry_cap_s": 0.4, **limits}
        self.work = OtaWork(self.node, limits=Limits(**limits), own=(self.site.at, OLD))

    async def run(self, running):
        async with asyncio.timeout(60):
            return await self.work.run(running)


@pytest.fixture
def bench(tmp_path):
    publisher = publish(tmp_path / "publisher")
    with serving_tree(publisher.folder / "repo") as server:
        made = Bench(tmp_path, publisher, server.url)
        made.server, made.publisher = server, publisher
        yield made


async def test_the_request_names_the_job_and_the_state_says_how_it_ended(bench):
    running, site = AtWork(), bench.site
    task = asyncio.create_task(bench.run(running))
    await eventually(site.at.request.exists, 30)
    assert json.loads(site.at.request.read_text()) == {"job": "j1", "target": TARGET}
    assert await asyncio.to_thread(site.update) == 0, site.output
    await eventually(lambda: running.committed, 10)
    assert await asyncio.to_thread(site.run, "boot") == 0
    assert await asyncio.to_thread(site.run, "keep") == 0
    ended = await task
    slot = look(site.at).good
    assert (ended.state, ended.code) == (JobState.SUCCEEDED, 200)
    expected = {"from": "1.1.0", "to": "1.2.0", "slot": slot, "gates": {"by": "hand"}, "rolled_back": False}
    assert ended.detail == expected
    assert list(dict.fromkeys(step for step, _ in running.told)) == ["metadata", "download", "stage", "trial"]
    again = await bench.run(AtWork(kept=running.kept))
    assert again == ended, "taken up after it had ended"


async def test_somebody_at_the_machine_who_comes_first_is_waited_for(bench):
    running, at = AtWork(), bench.site.at
    with asking(at, "by-hand"):
        task = asyncio.create_task(bench.run(running))
        reasons = lambda: [detail.get("reason") for step, detail in running.told if step == "waiting"]  # noqa: E731
        await eventually(lambda: "lock" in reasons(), 30)
        assert not at.request.exists()
        shutil.rmtree(at.inbox)
    await eventually(at.request.exists, 30)
    assert json.loads(at.request.read_text())["job"] == "j1"
    assert list(at.inbox.rglob("*.whl")), "what was taken away meanwhile is fetched again"
    running.cancelled.set()
    assert (await task).state is JobState.CANCELLED


async def test_what_has_expired_waits_for_a_clock_or_is_an_issue_until_it_is_renewed(tmp_path):
    publisher = publish(tmp_path / "publisher", age_days=60)
    with serving_tree(publisher.folder / "repo") as server:
        bench = Bench(tmp_path, publisher, server.url, clock_s=0.2)
        ended = await bench.run(AtWork())
        wanted = "expired" if ntp_synced() else "clock"
        assert (ended.state, ended.detail["reason"]) == (JobState.FAILED, wanted)
        assert [one.id for one in bench.health.open()] == ["update_metadata_stale"] * (wanted == "expired")
        assert bench.site.untouched()
        bench.site.at.config.mkdir(parents=True)
        (bench.site.at.config / "gateway.yaml").write_text("clock: {trust: rtc}\n")
        ended = await bench.run(AtWork())
        assert (ended.state, ended.detail["reason"]) == (JobState.FAILED, "expired"), (
            "the operator vouches for the clock"
        )
        bench.health.set("update_metadata_stale", "update", "it expired", "renew it")
        publisher.now = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        publisher.repository.refresh(publisher.signers)
        running = AtWork()
        task = asyncio.create_task(bench.run(running))
        await eventually(bench.site.at.request.exists, 30)
        assert bench.health.open() == []
        running.cancelled.set()
        assert (await task).state is JobState.CANCELLED
        assert not bench.site.at.request.exists()


async def test_what_nobody_signed_is_rejected(bench):
    with pytest.raises(JobRefused) as caught:
        await bench.run(AtWork("releases/fieldpost-9.9.9.json"))
    assert (caught.value.code, caught.value.detail["reason"]) == (404, "unknown")


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_file_that_comes_other_than_signed_is_fetched_again_and_given_up_the_third_time(bench, restarts):
    path = next(path for path in bench.server.folder.rglob("*.whl"))
    name, whole = str(path.relative_to(bench.server.folder)), path.read_bytes()
    bench.server.instead[name] = whole[:-1] + b"x"
    running = AtWork()
    task = asyncio.create_task(bench.run(running))

    def waits():
        return [detail for step, detail in running.told if (step, detail.get("reason")) == ("waiting", "hash")]

    await eventually(lambda: len(waits()) == 2, 30)
    assert "is not what was signed" in waits()[0]["text"]
    assert "so it came 1 of 3 times" in waits()[0]["text"]
    if restarts:
        task.cancel()
        await asyncio.wait({task})
        running = AtWork(kept=running.kept)
        task = asyncio.create_task(bench.run(running))
    ended = await task
    assert (ended.state, ended.code, ended.detail["reason"]) == (JobState.FAILED, 500, "hash")
    assert "3 of 3" in ended.text
    assert 3 <= bench.server.paths().count(name) <= 4
    assert bench.site.untouched()
    assert not bench.site.at.request.exists()


async def test_a_login_page_or_damage_on_the_way_in_the_place_of_a_wheel_costs_time_only(bench):
    path = next(path for path in bench.server.folder.rglob("*.whl"))
    name, whole = str(path.relative_to(bench.server.folder)), path.read_bytes()
    bench.server.instead[name] = b"<!DOCTYPE html><title>Welcome to our network</title>"
    running = AtWork()
    task = asyncio.create_task(bench.run(running))
    reasons = lambda: [detail.get("reason") for step, detail in running.told if step == "waiting"]  # noqa: E731
    await eventually(lambda: reasons().count("link") == 4, 30)
    bench.server.instead[name] = whole[:-1] + b"x"
    await eventually(lambda: "hash" in reasons(), 30)
    del bench.server.instead[name]
    await eventually(bench.site.at.request.exists, 30)
    running.cancelled.set()
    assert (await task).state is JobState.CANCELLED


async def test_a_login_page_in_the_place_of_the_repository_is_waited_for_and_the_wait_can_be_cancelled(bench):
    bench.server.instead["metadata/timestamp.json"] = b"<!DOCTYPE html><title>Welcome to our network</title>"
    running = AtWork()
    task = asyncio.create_task(bench.run(running))
    await eventually(lambda: running.told and running.told[-1][0] == "waiting", 30)
    detail = running.told[-1][1]
    assert detail["reason"] == "link"
    assert "somebody else than the repository answers" in detail["text"]
    assert not task.done()
    running.cancelled.set()
    with pytest.raises(JobCancelled):
        await task
    del bench.server.instead["metadata/timestamp.json"]
    again = AtWork()
    task = asyncio.create_task(bench.run(again))
    await eventually(bench.site.at.request.exists, 30)
    again.cancelled.set()
    assert (await task).state is JobState.CANCELLED


class Mute:
    """An uplink over which nobody answers."""

    async def fetch(self, name, offset, count):
        raise GatewayError("nobody brings parts")

    async def close(self):
        pass


async def test_a_job_that_gets_it_neither_way_says_why_of_both(bench):
    bench.server.instead["metadata/timestamp.json"] = b"<!DOCTYPE html>"
    work = OtaWork(bench.node, lambda *_: Mute(), Limits(retry_s=0.1, link_s=0.0), own=(bench.site.at, OLD))
    async with asyncio.timeout(60):
        ended = await work.run(AtWork())
    assert (ended.state, ended.detail["reason"]) == (JobState.FAILED, "link")
    assert "a login page" in ended.text.partition("; over the uplink: ")[0]
    assert ended.text.endswith("nobody brings parts")


async def test_a_job_that_is_cancelled_while_it_is_fetched_leaves_no_process(bench):
    bench.node.settings.ota = OtaSettings(url=bench.server.url, jitter_s=0, max_rate=1000)
    running = AtWork()
    task = asyncio.create_task(bench.run(running))
    await eventually(lambda: any(step == "metadata" for step, _ in running.told), 30)
    await eventually(lambda: bench.server.asked, 30)
    running.cancelled.set()
    with pytest.raises(JobCancelled):
        await task
    asked = len(bench.server.asked)
    await asyncio.sleep(0.5)
    assert len(bench.server.asked) == asked


async def test_a_job_that_met_a_restart_looks_at_state_and_request_first(bench):
    site = bench.site
    site.ask({"job": "j1", "target": TARGET})
    running = AtWork(kept={"from": "1.1.0", "to": "1.2.0"})
    task = asyncio.create_task(bench.run(running))
    await asyncio.sleep(0.3)
    assert bench.server.asked == [], "it is asked already, so nothing is fetched"
    site.run("result", asked={"job": "j1", "outcome": "FAILED", "reason": "selftest", "text": "it does not run here"})
    ended = await task
    assert (ended.state, ended.text) == (JobState.FAILED, "it does not run here")
    assert ended.detail == {"from": "1.1.0", "to": "1.2.0", "reason": "selftest", "rolled_back": False}
