"""What a job of op `ota` or `driver` may say, and who may be asked at all."""

from types import SimpleNamespace

import pytest

from gateway.jobs.work import Job, JobRefused
from gateway.ota.places import Places
from gateway.runtime.otadoc import parse_doc
from gateway.runtime.otajob import OtaWork
from gateway.settings.types import OtaSettings, UplinkSettings

TARGET = "releases/fieldpost-1.4.0.json"
DRIVER = "drivers/acme/press-2.1.0.json"


def job(doc, op="ota"):
    return Job("j1", 1, op, doc, "cloud")


def test_a_target_a_window_and_a_group_are_all_that_can_be_said():
    doc = parse_doc(job({"target": TARGET, "window": "02:00-04:00", "group": "canary-1"}), OtaSettings())
    assert (doc.target, doc.window.begin, doc.window.end, doc.group) == (TARGET, 120, 240, "canary-1")
    assert parse_doc(job({"target": TARGET}), OtaSettings()).window is None


@pytest.mark.parametrize(
    ("doc", "key", "code"),
    [
        ({}, "doc.target", 400),
        ({"target": TARGET, "url": "http://x"}, "doc.url", 400),
        ({"target": TARGET, "sha256": "0" * 64}, "doc.sha256", 400),
        ({"target": TARGET, "force": True}, "doc.force", 400),
        ({"target": TARGET, "Target": TARGET}, "doc.Target", 400),
        ({"target": 7}, "doc.target", 400),
        ({"target": "releases/../root-1.0.json"}, "doc.target", 400),
        ({"target": "releases/a/fieldpost-1.4.0.json"}, "doc.target", 400),
        ({"target": TARGET + "\n"}, "doc.target", 400),
        ({"target": "wheels/fieldpost-1.4.0.whl"}, "doc.target", 400),
        ({"target": DRIVER}, "doc.target", 400),
        ({"target": TARGET, "window": "2-4"}, "doc.window", 400),
        ({"target": TARGET, "window": "04:00-06:00"}, "doc.window", 400),
        ({"target": TARGET, "group": "a b"}, "doc.group", 400),
        ({"target": TARGET, "group": None}, "doc.group", 400),
    ],
)
def test_anything_else_is_refused_with_its_key(doc, key, code):
    with pytest.raises(JobRefused) as caught:
        parse_doc(job(doc), OtaSettings(window=(120, 240)))
    assert str(caught.value).startswith(f"{key}: ")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("patterns", "taken"),
    [((), False), (("acme/press",), True), (("acme/*",), True), (("press",), True), (("pres*",), True),
     (("other/*",), False), (("*/pump",), False), (("acme",), False)],
)  # fmt: skip
def test_a_driver_has_to_be_allowed_here(patterns, taken):
    settings = OtaSettings(drivers=patterns)
    if taken:
        assert parse_doc(job({"target": DRIVER}, "driver"), settings).target == DRIVER
        return
    with pytest.raises(JobRefused) as caught:
        parse_doc(job({"target": DRIVER}, "driver"), settings)
    assert caught.value.code == 403


def work(ota, *, uplinks=(), own=None):
    settings = SimpleNamespace(ota=ota, uplinks=uplinks)
    return OtaWork(SimpleNamespace(settings=settings), own=own)


def test_a_gateway_that_could_not_do_it_says_so_at_once(tmp_path):
    own = (Places(tmp_path), "1.1.0-aaaaaaaaaaaa")
    uplink = UplinkSettings("cloud", ("mqtt://a",), "gw")
    work(OtaSettings(url="https://u.example"), own=own).check(job({"target": TARGET}))
    work(OtaSettings(), uplinks=(uplink,), own=own).check(job({"target": TARGET}))
    for ota, uplinks, where, said in (
        (OtaSettings(url="https://u.example"), (), None, "release slot"),
        (OtaSettings(), (), own, "no `ota.url`"),
        (OtaSettings(parts=False), (uplink,), own, "no `ota.url`"),
    ):
        with pytest.raises(JobRefused) as caught:
            work(ota, uplinks=uplinks, own=where).check(job({"target": TARGET}))
        assert caught.value.code == 409
        assert said in str(caught.value)
