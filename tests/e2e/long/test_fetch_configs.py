"""Faults on the way of a signed configuration: each is told for what it is, and nothing of it is used."""

import asyncio
from types import SimpleNamespace

import pytest

from gateway.clock import SystemClock
from gateway.jobs.work import Job
from gateway.ota.publisher.repository import RepositoryError
from gateway.runtime import signedconfig
from gateway.runtime.fetching import FetchFailed, Fetching
from gateway.runtime.signedconfig import SignedConfigs
from gateway.settings.types import OtaSettings
from tests.support.configurer import fetch, nothing, refused
from tests.support.eventually import eventually


async def test_the_key_of_configurations_signs_nothing_else_and_no_other_key_signs_them(configurer, site, server):
    with pytest.raises(RepositoryError, match="signs no configurations here"):
        configurer.publish(7, key=configurer.publisher.keys["snapshot"][0])
    configurer.publish_as("releases/fieldpost-9.9.9.json")
    with pytest.raises(FetchFailed) as caught:
        await Fetching(
            {"target": "releases/fieldpost-9.9.9.json", "root": str(site.root), "url": server.url}, nothing, nothing
        ).run()
    assert caught.value.reason == "unknown"
    configurer.publish_as("configs/gw/7.json")
    assert await refused(site, server.url, 7) == "description", "signed, but for somebody else"


async def test_another_content_of_the_same_length_is_refused(configurer, site, server):
    configurer.publish(7)
    path = next(configurer.folder.glob("targets/configs/gw/*.7.json"))
    raw = path.read_bytes().replace(b"driver: sim", b"driver: toy")
    server.instead[f"{path.relative_to(configurer.folder)}"] = raw
    assert await refused(site, server.url, 7) == "hash"


async def test_floors_that_cannot_be_read_leave_those_of_the_updater(configurer, site, server):
    configurer.publish(7)
    assert (await fetch(site, server.url, 7)).rev == 7
    (site.at.config_fetched.parent / "floors.json").write_text('{"root": "x"')
    assert (await fetch(site, server.url, 7)).rev == 7


async def test_a_machine_that_trusts_nobody_and_a_server_that_is_away_are_told(configurer, site, server):
    configurer.publish(7)
    server.down = True
    assert await refused(site, server.url, 7) == "link"
    server.down = False
    site.at.factory_root.unlink()
    assert await refused(site, server.url, 7) == "root"


class AtWork:
    """A job at work whose waits are noted."""

    def __init__(self, rev):
        self.job = Job("c1", 1, "config", {"rev": rev, "target": f"configs/gw/{rev}.json"}, "cloud")
        self.cancelled = asyncio.Event()
        self.waits = []

    async def step(self, step, *, percent=None, **detail):
        if step == "waiting":
            self.waits.append(detail["reason"])


async def test_a_configuration_that_comes_other_than_signed_is_fetched_three_times(
    configurer, site, server, monkeypatch
):
    monkeypatch.setattr(signedconfig, "_RETRY_S", 0.1)
    configurer.publish(7)
    path = next(configurer.folder.glob("targets/configs/gw/*.7.json"))
    name = f"{path.relative_to(configurer.folder)}"
    settings = SimpleNamespace(ota=OtaSettings(url=server.url))
    configs = SignedConfigs(SimpleNamespace(clock=SystemClock(), settings=settings), lambda *_: None, site.at)
    server.instead[name] = path.read_bytes().replace(b"driver: sim", b"driver: toy")
    running = AtWork(7)
    with pytest.raises(FetchFailed) as caught:
        await configs.fetch(running)
    assert (caught.value.reason, running.waits) == ("hash", ["hash", "hash"])
    server.instead[name] = b"<!DOCTYPE html><title>Welcome to our network</title>"
    running = AtWork(7)
    task = asyncio.create_task(configs.fetch(running))
    await eventually(lambda: len(running.waits) == 4, 30)
    assert set(running.waits) == {"link"}, running.waits
    del server.instead[name]
    assert (await task).rev == 7
