"""Signed configurations from a repository, by the process that a gateway starts for it: whoever may has signed them."""

import shutil

import pytest

from gateway.ota.configs import SignedTree, parse_tree
from gateway.ota.publisher.repository import RepositoryError
from gateway.ota.release import ReleaseRefused
from tests.support.configurer import TREE, fetch, refused


async def test_what_was_signed_for_a_gateway_arrives_as_it_was(configurer, site, server):
    configurer.publish(7)
    configurer.publish(8, "other")
    assert await fetch(site, server.url, 7) == SignedTree("gw", 7, TREE)
    assert await fetch(site, server.url, 7) == SignedTree("gw", 7, TREE)
    assert await refused(site, server.url, 9) == "unknown"


async def test_an_older_set_is_refused_with_and_without_what_was_kept_of_it(configurer, site, server, tmp_path):
    configurer.publish(7)
    older = tmp_path / "older"
    shutil.copytree(configurer.folder, older)
    configurer.publish(8)
    assert (await fetch(site, server.url, 8)).rev == 8
    server.folder = older
    assert await refused(site, server.url, 7) == "rollback"
    shutil.rmtree(site.at.config_fetched.parent / "tuf")
    assert await refused(site, server.url, 7) == "rollback"
    server.folder = configurer.folder
    assert (await fetch(site, server.url, 8)).rev == 8


def test_revisions_only_grow_and_old_ones_are_not_kept(configurer):
    for rev in range(1, 7):
        configurer.publish(rev)
    configurer.publish(3, "other")
    with pytest.raises(RepositoryError, match="revisions only grow"):
        configurer.publish(5)
    with pytest.raises(RepositoryError, match="raise --rev"):
        configurer.publish(6, tree={"gateway.yaml": "gateway: {id: gw, tenant: t}\n"})
    published = configurer.publisher.repository.published("configs")
    assert sorted(published.targets) == [
        "configs/gw/4.json",
        "configs/gw/5.json",
        "configs/gw/6.json",
        "configs/other/3.json",
    ]
    assert configurer.publisher.repository.vendors == {}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'{"gateway": "gw", "rev": 0, "tree": {}}',
        b'{"gateway": "g/w", "rev": 1, "tree": {}}',
        b'{"gateway": "gw", "rev": 1, "tree": {}, "url": "x"}',
        b'{"gateway": "gw", "rev": 1, "tree": {}, "kind": "runtime"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_signed_configuration_is_refused(raw):
    with pytest.raises(ReleaseRefused):
        parse_tree(raw)
