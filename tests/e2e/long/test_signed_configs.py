"""Signed configurations by a job: a gateway that takes no others fetches, proves and tries them."""

import pytest
import yaml

from gateway.ota.configs import SignedTree
from gateway.ota.publisher.configs import publish_config
from gateway.ota.publisher.repository import new_key
from tests.support.part_server import PartServer
from tests.support.treeserver import serving_tree
from tests.support.update_scene import UpdateScene

QUICK = {"uplinks": "3s", "channels": "3s", "rules": "2s", "hold": "1s"}
RULE = 'high: {when: "d00u01.r001 > 60000", start: [{log: "never"}]}\n'


@pytest.fixture
def scene(tmp_path, processes, make_plant, broker):
    with serving_tree(tmp_path / "nothing") as server:
        made = UpdateScene(tmp_path, processes, make_plant(2), broker, server)
        made.key = new_key()
        made.publisher.repository.delegate_configs([made.key.public_key], made.publisher.signers)
        yield made
        made.close()


def begin(scene, **ota):
    """Start it so that only signed configurations are taken; its tree."""
    scene.begin(**ota)
    gateway = scene.machine.gateway
    main = yaml.safe_load((gateway.config / "gateway.yaml").read_text())
    gateway.write("gateway.yaml", {**main, "remote_config": "signed", "apply": QUICK})
    gateway.ask("apply")
    root = gateway.config
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*.yaml"))}


def publish(scene, rev, tree, gateway="gw"):
    signers = {**scene.publisher.signers, "configs": [scene.key]}
    publish_config(scene.publisher.repository, SignedTree(gateway, rev, tree), signers)
    return {"rev": rev, "target": f"configs/{gateway}/{rev}.json"}


def test_a_signed_configuration_is_fetched_tried_and_kept_and_no_other_is_taken(scene):
    tree = begin(scene, url=scene.server.url)
    scene.cloud.put("plain", "config", {"rev": 7, "tree": {**tree, "rules/r.yaml": RULE}})
    ended = scene.end("plain")
    assert (ended["state"], ended["detail"]["code"]) == ("rejected", 403)
    publish(scene, 3, tree, "other")
    scene.cloud.put("unknown", "config", {"rev": 7, "target": "configs/gw/7.json"})
    ended = scene.end("unknown")
    assert (ended["state"], ended["detail"]["code"]) == ("rejected", 404)
    doc = publish(scene, 7, {**tree, "rules/r.yaml": RULE})
    scene.cloud.put("c1", "config", doc)
    ended = scene.end("c1")
    assert (ended["state"], ended["detail"]["rev"]) == ("succeeded", 7), scene.said()
    assert {"metadata", "validate", "apply"} <= set(scene.steps("c1"))
    assert scene.machine.gateway.status()["config"]["hash"] == ended["detail"]["hash"]
    scene.cloud.put("other", "config", publish(scene, 8, tree, "other"))
    ended = scene.end("other")
    assert (ended["state"], ended["detail"]["code"]) == ("rejected", 400)
    open_ = {**tree, "gateway.yaml": tree["gateway.yaml"].replace("remote_config: signed", "remote_config: open")}
    scene.cloud.put("open", "config", publish(scene, 8, open_))
    ended = scene.end("open")
    assert (ended["state"], ended["detail"]["errors"][0]["path"]) == ("rejected", "remote_config")


def test_without_an_address_a_signed_configuration_comes_in_parts(scene):
    tree = begin(scene)
    parts = PartServer(scene.broker.port, scene.publisher.folder / "repo")
    try:
        scene.cloud.put("c1", "config", publish(scene, 7, {**tree, "rules/r.yaml": RULE}))
        assert scene.end("c1")["state"] == "succeeded", scene.said()
        assert scene.server.asked == []
    finally:
        parts.close()
