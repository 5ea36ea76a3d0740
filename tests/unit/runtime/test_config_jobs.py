"""What is a job of op `config`, and what is refused before anything is looked at."""

from types import SimpleNamespace

import pytest

from gateway.jobs.work import Job, JobRefused
from gateway.runtime.configjob import ConfigWork

TREE = {"gateway.yaml": "gateway: {id: gw}\n"}


def check(doc, mode="open"):
    node = SimpleNamespace(settings=SimpleNamespace(remote_config=mode))
    ConfigWork(node).check(Job("c1", 1, "config", doc, "cloud"))


def test_a_revision_and_a_tree_are_a_configuration():
    check({"rev": 1, "tree": TREE})


@pytest.mark.parametrize(
    ("doc", "place"),
    [
        ({}, "doc.rev"),
        ({"tree": TREE}, "doc.rev"),
        ({"rev": 0, "tree": TREE}, "doc.rev"),
        ({"rev": True, "tree": TREE}, "doc.rev"),
        ({"rev": "7", "tree": TREE}, "doc.rev"),
        ({"rev": 7.0, "tree": TREE}, "doc.rev"),
        ({"rev": 2**60, "tree": TREE}, "doc.rev"),
        ({"rev": 7}, "doc"),
        ({"rev": 7, "tree": TREE, "target": "configs/gw/7.json"}, "doc"),
        ({"rev": 7, "tree": []}, "doc.tree"),
        ({"rev": 7, "tree": TREE, "url": "https://example.com"}, "doc.url"),
        ({"rev": 7, "tree": TREE, "force": True}, "doc.force"),
    ],
)
def test_anything_else_is_malformed(doc, place):
    with pytest.raises(JobRefused, match=rf"^{place}\b") as caught:
        check(doc)
    assert caught.value.code == 400


@pytest.mark.parametrize("mode", ["off", "signed"])
def test_a_plain_tree_is_not_taken_where_the_configuration_says_so(mode):
    with pytest.raises(JobRefused, match=f"remote_config is {mode}") as caught:
        check({"rev": 7, "tree": TREE}, mode)
    assert caught.value.code == 403
