"""The `servers` of gateway.yaml: what is offered, what is refused at its place, and what a change restarts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from gateway.serving.contract import Fault, ServerConfig, ServerSpec
from gateway.serving.offering import offers_of
from gateway.serving.registry import ServerNotUsable
from gateway.settings.plan import diff
from tests.unit.settings.toy import GATEWAY, Faults, Load, channel


class ToyKeys(msgspec.Struct, frozen=True):
    rooms: int = 1
    password: str | None = None


def toy_check(config: ServerConfig) -> Iterable[Fault]:
    if config.settings.rooms < len(config.offers):
        yield Fault("rooms", f"{len(config.offers)} tags need more rooms", "rooms: 9")


def never() -> Any:
    raise AssertionError("loading never makes a server")


KINDS = {"toy": ServerSpec(name="toy", settings=ToyKeys, create=never, check=toy_check)}


def kinds(kind: str) -> ServerSpec:
    if kind == "broken":
        raise ServerNotUsable(kind, "import failed")
    if kind not in KINDS:
        raise ServerNotUsable(kind, "there is no such kind; installed: toy", installed=False)
    return KINDS[kind]


PUMP = channel(
    "  pump:\n    unit: 1\n    tags:\n"
    "      speed: {address: 1, type: uint16, unit: rpm, access: rw, range: [0, 1500]}\n"
    "      flow: {address: 2, type: int16, scale: 0.1}\n"
    "      temp/in: {address: 3, type: int16}\n"
    "      secret: {address: 4, type: int16, hidden: true}\n"
    "      reset: {address: 5, type: bool, access: w}\n"
)


def tree(server: str, more: str = "") -> dict[str, str]:
    body = "".join(f"    {line}\n" for line in server.splitlines())
    return {"gateway.yaml": f"{GATEWAY}servers:\n  hmi:\n{body}{more}", "channels/a.yaml": PUMP}


GOOD = "kind: toy\nlisten: 127.0.0.1:4840\nrooms: 9"


def names(load: Load, server: str) -> dict[str, bool]:
    settings = load(tree(server), servers=kinds)
    return {offer.name: offer.writable for offer in offers_of(settings.servers[0].choice, settings.channels)}


def test_everything_that_has_a_value_is_offered_to_read_unless_it_says_otherwise(load):
    assert names(load, GOOD) == {"pump.flow": False, "pump.speed": False, "pump.temp/in": False}


@pytest.mark.parametrize(
    ("more", "offered"),
    [
        ('write: ["pump.*"]', {"pump.flow": 0, "pump.reset": 1, "pump.speed": 1, "pump.temp/in": 0}),
        ("select: {tags: [pump.speed, pump.secret]}", {"pump.secret": 0, "pump.speed": 0}),
        ('select: {tags: ["temp*", flow]}', {"pump.flow": 0, "pump.temp/in": 0}),
        ("select: {devices: [pump], tags: [speed]}\nwrite: [pump.speed]", {"pump.speed": 1}),
    ],
)
def test_select_and_write_are_patterns_of_names(load, more, offered):
    assert names(load, f"{GOOD}\n{more}") == offered


@pytest.mark.parametrize(
    ("server", "place", "message"),
    [
        ("kind: toy\nrooms: 9", "gateway.yaml:3:3", "needs `listen`"),
        ("kind: toi\nlisten: 127.0.0.1:1", "gateway.yaml:4:11", "no such kind"),
        ("kind: broken\nlisten: 127.0.0.1:1", "gateway.yaml:4:11", "import failed"),
        ("kind: toy\nlisten: 4840", "gateway.yaml:5:13", "must be a text"),
        ("kind: toy\nlisten: localhost", "gateway.yaml:5:13", "no address"),
        ("kind: toy\nlisten: 127.0.0.1:70000", "gateway.yaml:5:13", "no port 70000"),
        (f"{GOOD}\nroms: 3", "gateway.yaml:7:5", "unknown key `roms`"),
        ("kind: toy\nlisten: 127.0.0.1:1\nrooms: two", "gateway.yaml:6:12", "must be a whole number"),
        ("kind: toy\nlisten: 127.0.0.1:1\nrooms: 2", "gateway.yaml:6:12", "3 tags need more rooms"),
        (f"{GOOD}\npassword: plain", "gateway.yaml:7:15", "credential only"),
        (f"{GOOD}\nselect: {{device: [pump]}}", "gateway.yaml:7:14", "unknown key `device`"),
        (f"{GOOD}\nselect: {{devices: [pumpe]}}", "gateway.yaml:7:24", "matches no device"),
        (f'{GOOD}\nselect: {{tags: [speed, "pump.x*"]}}', "gateway.yaml:7:28", "matches no tag"),
        (f"{GOOD}\nwrite: [pump.flow]", "gateway.yaml:7:13", "is read-only"),
        (f"{GOOD}\nselect: {{tags: [flow]}}\nwrite: [pump.speed]", "gateway.yaml:8:13", "not offered"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(faults: Faults, server, place, message):
    found = faults(tree(server), servers=kinds)
    assert [str(fault).partition(": ")[0] for fault in found] == [place], [str(fault) for fault in found]
    assert message in str(found[0])


def test_two_servers_cannot_have_one_port(faults: Faults):
    other = "  other: {kind: toy, listen: '127.0.0.1:4840', rooms: 9}\n"
    found = faults(tree(GOOD, other), servers=kinds)
    assert [fault.message for fault in found] == ["127.0.0.1:4840 is where server `hmi` listens too"]


@pytest.mark.parametrize(
    ("host", "clashes"),
    [("0.0.0.0", True), ("localhost", True), ("[::]", True), ("127.0.0.2", False), ("[::1]", False)],
)
def test_an_address_that_means_all_takes_the_port_of_each(faults: Faults, load, host, clashes):
    other = f"  other: {{kind: toy, listen: '{host}:4840', rooms: 9}}\n"
    if not clashes:
        assert len(load(tree(GOOD, other), servers=kinds).servers) == 2
        return
    (fault,) = faults(tree(GOOD, other), servers=kinds)
    assert str(fault).startswith("gateway.yaml:7:30: ")
    assert "is where server `hmi` listens too" in fault.message


def local_only(text: str) -> dict[str, str]:
    kept = PUMP.replace("access: rw, range", "access: rw, write: {allow: [local, rule]}, range")
    return tree(text) | {"channels/a.yaml": kept}


def test_a_tag_that_keeps_the_plant_out_is_offered_to_read(load):
    settings = load(local_only(f'{GOOD}\nwrite: ["pump.*"]'), servers=kinds)
    offers = {offer.path: offer.writable for offer in offers_of(settings.servers[0].choice, settings.channels)}
    assert offers["speed"] is False
    assert offers["reset"] is True


def test_a_tag_that_keeps_the_plant_out_and_is_named_for_writing_is_a_mistake(faults: Faults):
    (fault,) = faults(local_only(f"{GOOD}\nwrite: [pump.speed]"), servers=kinds)
    assert str(fault).startswith("gateway.yaml:7:13: `pump.speed` is not written by the plant")
    assert fault.hint == "add `plant` to the tag's `write.allow`, or remove it here"


def test_a_kind_that_cannot_be_imported_keeps_nobody_from_starting(load):
    settings = load(tree("kind: broken\nlisten: 127.0.0.1:1"), servers=kinds, keep_unusable=True)
    assert (settings.servers[0].kind, settings.servers[0].settings) == ("broken", None)


def test_a_change_restarts_the_server_that_it_concerns_and_no_other(load):
    other = "  other: {kind: toy, listen: '127.0.0.1:4841', rooms: 9, select: {tags: [speed]}}\n"
    old = load(tree(GOOD, other), servers=kinds)
    louder = load(tree(f"{GOOD}0", other), servers=kinds)
    assert diff(old, louder).lines() == ["~ server hmi restarts: rooms"]
    assert diff(old, louder).touched() == ("server:hmi",)
    gone = load(tree(GOOD), servers=kinds)
    assert diff(old, gone).lines() == ["- server other stops"]
    assert diff(gone, old).lines() == ["+ server other starts"]
    assert diff(old, old).is_empty


def test_a_tag_that_looks_different_restarts_the_servers_that_offer_it(load):
    other = "  other: {kind: toy, listen: '127.0.0.1:4841', rooms: 9, select: {tags: [speed]}}\n"
    files = tree(GOOD, other)
    old = load(files, servers=kinds)
    moved = load(files | {"channels/a.yaml": PUMP.replace("address: 2", "address: 7")}, servers=kinds)
    assert diff(old, moved).touched() == ("channel:a",)
    unit = load(files | {"channels/a.yaml": PUMP.replace("scale: 0.1", "scale: 0.1, unit: l")}, servers=kinds)
    assert diff(old, unit).touched() == ("channel:a", "server:hmi")


def test_a_secret_of_a_server_is_no_part_of_the_hash_and_no_server_changes_no_hash(load):
    server = f"{GOOD}\npassword: ${{credential:hmi}}"
    one = load(tree(server), servers=kinds, secrets={"hmi": "a"})
    two = load(tree(server), servers=kinds, secrets={"hmi": "b"})
    assert one.hash == two.hash
    assert one.servers[0].settings.password == "a"
    assert one.hash != load({"channels/a.yaml": PUMP}).hash
