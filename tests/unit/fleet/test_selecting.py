"""Which gateways a selector means, versions in their order, and how a fleet is divided into waves."""

from __future__ import annotations

import pytest

from gateway.fleet import FleetError, GatewayInfo
from gateway.fleet.selecting import Selector, select
from gateway.fleet.targets import named_target, windowed
from gateway.fleet.versions import version_key
from gateway.fleet.waves import Amount, divide, parse_amount

KNOWN = [
    GatewayInfo(id="press-1", online=True, version="1.3.0"),
    GatewayInfo(id="press-2", online=False, version="1.4.0rc1"),
    GatewayInfo(id="press-10", online=True, version="1.4.0"),
    GatewayInfo(id="lab", online=True, version="1.4.0.dev3"),
    GatewayInfo(id="old", online=None),
    GatewayInfo(id="odd", online=True, version="built by hand"),
]


def names(*to: str, but: tuple[str, ...] = ()) -> list[str]:
    found = select(KNOWN, [Selector(text) for text in to], [Selector(text) for text in but])
    return [info.id for info in found]


@pytest.mark.parametrize(
    ("to", "meant"),
    [
        (("all",), ["lab", "odd", "old", "press-1", "press-10", "press-2"]),
        (("press-1",), ["press-1"]),
        (("press-?",), ["press-1", "press-2"]),
        (("*-1*",), ["press-1", "press-10"]),
        (("offline",), ["old", "press-2"]),
        (("version<1.4",), ["lab", "press-1", "press-2"]),
        (("version>=1.4", "lab"), ["lab", "press-10"]),
        (("version!=1.4.0", "old"), ["lab", "old", "press-1", "press-2"]),
        (("press-*, online, version<1.4",), ["press-1"]),
    ],
)
def test_a_selector_means_those_for_which_all_its_terms_hold(to: tuple[str, ...], meant: list[str]) -> None:
    assert names(*to) == meant


def test_what_is_excepted_is_left_out() -> None:
    assert names("all", but=("press-*", "offline", "version>0")) == ["odd"]


def test_an_id_that_the_broker_does_not_know_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(FleetError, match="no gateway press-11; did you mean `press-1`") as refused:
        names("press-11")
    assert refused.value.code == 404
    with pytest.raises(FleetError, match="the broker knows 6"):
        names("pump-*")


@pytest.mark.parametrize("text", ["", ",", "a/b", "version<", "version<x", "press[1-2]", "+", "press-1,", "*" * 80])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(FleetError) as refused:
        Selector(text)
    assert refused.value.code == 400


def test_many_stars_do_not_cost_time() -> None:
    assert not Selector("*" * 30 + "a" + "*a" * 16).matches(GatewayInfo(id="a" * 16 + "b" * 40))


def test_versions_are_ordered_as_releases_are() -> None:
    ordered = ["1.4.0.dev1", "1.4.0a2", "1.4.0b1", "1.4.0rc1", "1.4.0", "1.4.0.post1", "1.4.1", "1.10"]
    keys = [version_key(text) for text in ordered]
    assert None not in keys
    assert sorted(keys, key=lambda key: key or ((), 0, 0)) == keys
    assert version_key("1.4") == version_key("1.4.0") == version_key("1.4.0+local.7")


def test_canaries_are_taken_of_those_who_are_online() -> None:
    waves = divide(KNOWN, "2", Amount(3))
    assert waves.waves == (("press-1", "press-10"), ("lab", "odd", "old"), ("press-2",))
    assert waves.canaries
    assert divide(KNOWN, "lab*").waves[0] == ("lab",)
    assert divide(KNOWN, "1%").waves[0] == ("press-1",)
    assert [len(wave) for wave in divide(KNOWN, None, Amount(20, percent=True)).waves] == [2, 2, 2]


@pytest.mark.parametrize(
    ("canary", "text"),
    [
        ("5", "4 are"),
        ("old", "old is not online"),
        ("pump*", "meant by it"),
        ("0", "at least one"),
        ("1/2", "no selector"),
    ],
)
def test_canaries_that_could_prove_nothing_are_refused(canary: str, text: str) -> None:
    with pytest.raises(FleetError, match=text):
        divide(KNOWN, canary)


def test_an_amount_is_a_count_or_a_percentage() -> None:
    assert [parse_amount(text) for text in ("7", "10%", "101%", "-1", "1.5", "")] == [
        Amount(7), Amount(10, percent=True), None, None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "op", "doc"),
    [
        ("1.4.0", "ota", {"target": "releases/fieldpost-1.4.0.json"}),
        ("releases/fieldpost-1.4.0rc1.json", "ota", {"target": "releases/fieldpost-1.4.0rc1.json"}),
        ("drivers/acme/press-2.0.json", "driver", {"target": "drivers/acme/press-2.0.json"}),
        ("configs/{gateway}/8.json", "config", {"rev": 8, "target": "configs/press-1/8.json"}),
        ("restart", "restart", {}),
    ],
)
def test_a_target_is_named_as_it_is_signed(text: str, op: str, doc: dict[str, object]) -> None:
    target = named_target(text)
    assert target is not None
    assert (target.op, target.doc_of("press-1")) == (op, doc)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "releases/../x.json",
        "https://evil/x.json",
        "releases/a/b-1.json",
        "releases/plain.json",
        "drivers/x.json",
        "1",
        "configs/a/0.json",
    ],
)
def test_what_names_nothing_is_no_target(text: str) -> None:
    assert named_target(text) is None


def test_a_window_goes_into_the_job_where_its_op_has_one() -> None:
    release, config = named_target("1.4.0"), named_target("configs/{gateway}/8.json")
    assert release is not None
    assert config is not None
    assert windowed(release, "22:00-04:30", "north").doc_of("x") == {
        "target": "releases/fieldpost-1.4.0.json", "window": "22:00-04:30", "group": "north",
    }  # fmt: skip
    wrong = [
        (release, "25:00-01:00", None),
        (release, "1:00-2:00", None),
        (config, "01:00-02:00", None),
        (config, None, "north"),
        (release, None, "a b"),
    ]
    for target, window, group in wrong:
        with pytest.raises(FleetError):
            windowed(target, window, group)
