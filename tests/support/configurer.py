"""A publisher of signed configurations, and how a gateway has them fetched."""

import asyncio
import datetime as dt

import msgspec
import pytest
from tuf.api.metadata import Metadata, TargetFile, Targets

from gateway.ota.configs import SignedTree, parse_tree
from gateway.ota.publisher.configs import publish_config
from gateway.ota.publisher.repository import DAYS, new_key
from gateway.runtime.fetching import FetchFailed, Fetching
from tests.support.site import Site
from tests.support.treeserver import serving_tree
from tests.unit.ota.publisher import Publisher

TREE = {"gateway.yaml": "gateway: {id: gw}\n", "channels/line1.yaml": "driver: sim\n"}


class Configurer:
    """A publisher with a key that signs configurations, and no other that does."""

    def __init__(self, folder):
        self.publisher = Publisher(folder)
        self.publisher.now = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        self.key = new_key()
        self.publisher.repository.delegate_configs([self.key.public_key], self.publisher.signers)

    @property
    def folder(self):
        return self.publisher.folder / "repo"

    def publish(self, rev, gateway="gw", key=None, tree=TREE):
        signers = {**self.publisher.signers, "configs": [key or self.key]}
        publish_config(self.publisher.repository, SignedTree(gateway, rev, tree), signers)

    def publish_as(self, name):
        """Sign the configuration of another gateway under a name."""
        raw = msgspec.json.encode(SignedTree("other", 7, TREE))
        info = TargetFile.from_data(name, raw, ["sha256"])
        targets = self.publisher.repository.published("configs") or Targets(
            1, expires=dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=9)
        )
        targets.version += 1
        targets.targets[name] = info
        metadata = Metadata(targets)
        metadata.sign(self.key)
        self.publisher.repository.publish_role("configs", metadata, [(info, raw)], self.publisher.signers, DAYS)


@pytest.fixture
def configurer(tmp_path):
    return Configurer(tmp_path / "publisher")


@pytest.fixture
def site(tmp_path, configurer):
    return Site(tmp_path / "machine", configurer.publisher)


@pytest.fixture
def server(configurer):
    with serving_tree(configurer.folder) as made:
        yield made


async def nothing(*_):
    return


async def fetch(site, url, rev, gateway="gw"):
    order = {"target": f"configs/{gateway}/{rev}.json", "root": str(site.root), "url": url}
    async with asyncio.timeout(60):
        await Fetching(order, nothing, nothing).run()
    return parse_tree(site.at.config_fetched.read_bytes())


async def refused(site, url, rev, gateway="gw"):
    with pytest.raises(FetchFailed) as caught:
        await fetch(site, url, rev, gateway)
    assert not site.at.config_fetched.exists(), "nothing of before is left to be taken for it"
    return caught.value.reason
