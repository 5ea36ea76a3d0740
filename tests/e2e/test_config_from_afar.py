"""Configurations that jobs bring over a real broker: kept when all is well, else taken back, and told."""

from __future__ import annotations

from collections.abc import Callable

from tests.support import ports
from tests.support.scene import Scene
from tests.support.sent_trees import sender

MakeScene = Callable[..., Scene]

RULE = 'high: {when: "d00u01.r001 > 60000", start: [{log: "never"}]}\n'


def test_a_tree_from_afar_is_kept_refused_or_taken_back_and_nothing_is_lost(make_scene: MakeScene) -> None:
    scene = make_scene(2, start=False)
    with sender(scene, "apply: {uplinks: 1s, channels: 1s, rules: 1s, hold: 500ms}\n") as far:
        first = far.config()
        rules = {**far.base, "rules/high.yaml": RULE}
        ended = far.end("c1", 7, rules)
        assert (ended["state"], ended["detail"]["rev"]) == ("succeeded", 7)
        now = far.config()
        assert (now["rev"], now["hash"]) == (7, ended["detail"]["hash"])
        assert now["hash"] != first["hash"]
        assert scene.plant.accepted() == [1, 1], "rules restart no channel"

        wrong = {
            "value": {**rules, "profiles/counter.yaml": rules["profiles/counter.yaml"].replace("holding/7\n", "holding/70000\n")},
            "password": far.changed("gateway.yaml", "codec: json", "codec: json\n    username: gw\n    password: hunter2"),
            "door": far.changed("gateway.yaml", "id: gw", "id: other"),
            "path": {**rules, "../gateway.yaml": "x: 1"},
        }  # fmt: skip
        for name, files in wrong.items():
            ended = far.end(f"wrong-{name}", 8, files)
            assert (ended["state"], ended["detail"]["code"], ended["detail"]["hash"]) == ("rejected", 422, now["hash"])
            assert ended["detail"]["errors"][0]["message"], ended
            assert "hunter2" not in str(ended)
        assert ended["detail"]["errors"][0]["file"] == "../gateway.yaml"
        ended = far.end("older", 6, far.base)
        assert (ended["state"], ended["detail"]["code"], ended["detail"]["rev"]) == ("rejected", 409, 7)
        ended = far.end("again", 7, rules)
        assert (ended["state"], ended["detail"]["hash"]) == ("succeeded", now["hash"])
        after = far.config()
        assert (after["generation"], after["hash"], after["rev"]) == (now["generation"], now["hash"], 7)

        for turn in (1, 2):
            cut = far.changed("gateway.yaml", str(scene.broker.port), str(ports.free_port()))
            ended = far.end(f"cut{turn}", 8, cut)
            assert (ended["state"], ended["detail"]["rolled_back"], ended["detail"]["rev"]) == ("failed", True, 7)
            assert ended["detail"]["reason"] == "not up again in time: uplink:cloud"
            assert far.config()["hash"] == now["hash"]
        ended = far.end("cut3", 8, cut)
        assert (ended["state"], ended["detail"]["code"]) == ("rejected", 409)
        assert "taken back here before" in ended["detail"]["text"]
    assert scene.plant.accepted() == [1, 1]
    scene.finish()
