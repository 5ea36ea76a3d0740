"""Named commands over a running gateway and a real Modbus device: op `call` with the name of a set of tags."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.local.devicelist import DeviceList
from gateway.local.wire import OpError
from tests.integration.commands.conftest import TAGS, Bench

DEVICE: dict[str, Any] = {
    "unit_id": 1,
    "tags": {
        **TAGS,
        "near": {"address": "holding/31", "type": "uint16", "on_demand": True},
        "far": {"address": "holding/900", "type": "uint16", "on_demand": True},
        "fan": {"address": "holding/12", "type": "uint16", "access": "rw", "labels": {0: "still", 3: "quick"}},
        "light": {"address": "coil/30", "type": "bool", "access": "rw"},
        "total": {"type": "float64", "value": "level + 1"},
        "bolted": {"address": "holding/14", "type": "uint16", "access": "rw", "write": {"while": "false"}},
    },
    "commands": {
        "Look": {"tags": ["near", "rare", "total"]},
        "Wide": {"tags": ["rare", "far"]},
        "Drive": {
            "access": "rw",
            "description": "Fan and speed in one go",
            "tags": {
                "mode": {"labels": {0: "Auto", 1: "Hand"}, "default": "Hand"},
                "fan": {},
                "light": {"labels": {0: "dark", 1: "bright"}},
                "speed": {"default": 500},
            },
        },
        "speed": {"access": "w", "tags": {"speed": {"default": 9}, "mode": {"default": 4}}},
        "Bolted": {"access": "w", "tags": ["mode", "bolted"]},
        "Secret": {"hidden": True, "tags": ["level"]},
    },
}


@pytest.fixture
def devices() -> dict[str, Any]:
    return {"pump": DEVICE}


def code_of(answer: dict[str, Any]) -> dict[str, int]:
    return {path: item["code"] for path, item in answer["items"].items()}


async def test_a_set_is_read_with_one_request_where_one_is_enough(bench: Bench) -> None:
    before = bench.reads(30), bench.reads(31)
    answer = await bench.ask("call", "pump", method="Look")
    assert (answer["state"], answer["code"]) == ("done", 200)
    assert list(answer["items"]) == ["near", "rare", "total"]
    assert [item["value"] for item in answer["items"].values()] == [1031, 1030, 1001.0]
    assert (bench.reads(30), bench.reads(31)) == (before[0] + 1, before[1] + 1)
    both = [row for row in bench.server.requests if row[1] == 3 and row[2] == 30]
    assert both == [(1, 3, 30, 2)]


async def test_an_item_that_fails_does_not_hide_the_others(bench: Bench) -> None:
    bench.server.forbidden.add(900)
    answer = await bench.ask("call", "pump", method="Wide")
    assert (answer["state"], answer["code"]) == ("failed", 207)
    assert code_of(answer) == {"rare": 200, "far": 422}
    assert answer["items"]["rare"]["value"] == 1030


async def test_a_write_takes_labels_and_numbers_fills_defaults_and_keeps_the_order(bench: Bench) -> None:
    answer = await bench.ask("call", "pump", method="Drive", args={"fan": "quick", "light": "bright"})
    assert (answer["state"], answer["code"]) == ("done", 200), answer
    assert answer["items"] == {
        "mode": {"code": 200, "value": 1, "verified": True, "label": "Hand"},
        "fan": {"code": 200, "value": 3, "verified": True, "label": "quick"},
        "light": {"code": 200, "value": True, "verified": True, "label": "bright"},
        "speed": {"code": 200, "value": 500, "verified": True},
    }
    assert bench.writes() == [(1, 11, 1), (1, 12, 3), (1, 30, 0xFF00), (1, 10, 500)]
    numbers = await bench.ask("call", "pump", method="Drive", args={"mode": 0, "fan": 1, "light": False, "speed": 1})
    assert [item.get("label") for item in numbers["items"].values()] == ["Auto", None, "dark", None]
    seen = await bench.ask("call", "pump", method="Drive")
    assert {path: (item["value"], item.get("label")) for path, item in seen["items"].items()} == {
        "mode": (0, "Auto"), "fan": (1, None), "light": (False, "dark"), "speed": (1, None),
    }  # fmt: skip
    await bench.node.store.commit()
    assert {entry["rid"] for entry in bench.entries("write")} == {"c1", "c2"}


@pytest.mark.parametrize(
    ("args", "codes"),
    [
        ({"fan": "quick"}, {"mode": 400, "fan": 400, "light": 400, "speed": 400}),
        ({"fan": 1, "light": "glaring"}, {"mode": 400, "fan": 400, "light": 400, "speed": 400}),
        ({"fan": 1, "light": True, "speed": 5000}, {"mode": 400, "fan": 400, "light": 400, "speed": 422}),
        ({"fan": 1, "light": True, "x": 1}, {"mode": 400, "fan": 400, "light": 400, "speed": 400, "x": 404}),
        ({"fan": "swift", "light": True}, {"mode": 400, "fan": 400, "light": 400, "speed": 400}),
    ],
)
async def test_one_bad_value_means_that_nothing_is_written(bench: Bench, args: Any, codes: dict[str, int]) -> None:
    answer = await bench.ask("call", "pump", method="Drive", args=args)
    assert answer["state"] == "rejected"
    assert code_of(answer) == codes
    assert list(answer["items"]) == list(codes), "in the command's order"
    assert bench.writes() == []


async def test_an_interlock_of_one_item_keeps_all_of_them_from_being_written(bench: Bench) -> None:
    answer = await bench.ask("call", "pump", method="Bolted", args={"mode": 1, "bolted": 1})
    assert code_of(answer) == {"mode": 400, "bolted": 403}
    assert bench.writes() == []


async def test_what_the_device_refuses_in_part_is_told_per_item(bench: Bench) -> None:
    bench.server.unknown_functions |= {5, 15}
    answer = await bench.ask("call", "pump", method="Drive", args={"fan": 1, "light": True})
    assert (answer["state"], answer["code"]) == ("failed", 207)
    assert code_of(answer) == {"mode": 200, "fan": 200, "light": 422, "speed": 200}


async def test_a_command_wins_over_the_tag_of_its_name(bench: Bench) -> None:
    answer = await bench.ask("call", "pump", method="speed")
    assert code_of(answer) == {"speed": 200, "mode": 200}
    assert bench.writes() == [(1, 10, 9), (1, 11, 4)]


async def test_a_tag_is_a_command_of_itself(bench: Bench) -> None:
    assert (await bench.ask("call", "pump", method="mode", args={"mode": 7}))["items"]["mode"]["value"] == 7
    assert (await bench.ask("call", "pump", method="level"))["items"]["level"]["value"] == 1000


async def test_a_mode_says_what_is_meant_where_both_are_possible(bench: Bench) -> None:
    written = await bench.ask("call", "pump", method="Drive", mode="write", args={"fan": 0, "light": True})
    assert written["code"] == 200
    assert len(bench.writes()) == 4
    assert (await bench.ask("call", "pump", method="Drive", mode="read"))["code"] == 200
    assert len(bench.writes()) == 4


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"method": "Look", "args": {"near": 1}}, 403),
        ({"method": "Look", "mode": "write"}, 403),
        ({"method": "speed", "mode": "read"}, 403),
        ({"method": "Drive", "mode": "read", "args": {"fan": 1}}, 400),
        ({"method": "Drive", "mode": "sideways"}, 400),
        ({"method": "Nothing"}, 404),
        ({"method": "Nothing", "mode": "read"}, 404),
        ({"method": "Drive", "args": [1]}, 400),
        ({"method": "Drive", "values": {"fan": 1}}, 400),
    ],
)
async def test_what_a_command_cannot_do_is_refused(bench: Bench, args: dict[str, Any], code: int) -> None:
    answer = await bench.ask("call", "pump", **args)
    assert (answer["state"], answer["code"]) == ("rejected", code), answer
    assert answer["text"]
    assert bench.writes() == []


async def test_maintenance_keeps_commands_from_afar_from_writing_and_lets_them_read(bench: Bench) -> None:
    await bench.ask("maintenance", "pump", on=True, **{"for": 60_000})
    refused = await bench.ask("call", "pump", method="speed")
    assert code_of(refused) == {"speed": 403, "mode": 403}
    assert bench.writes() == []
    assert (await bench.ask("call", "pump", method="Look"))["code"] == 200


async def test_the_list_of_a_device_names_what_can_be_called_but_what_is_hidden(bench: Bench) -> None:
    listed = await DeviceList(bench.node).devices({"device": "pump"})
    assert [row["device"] for row in listed["devices"]] == ["pump"]
    assert [row["command"] for row in listed["commands"]] == ["Look", "Wide", "Drive", "speed", "Bolted"]
    assert listed["commands"][2] == {
        "command": "Drive",
        "access": "rw",
        "description": "Fan and speed in one go",
        "tags": [
            {"tag": "mode", "default": 1, "labels": {"0": "Auto", "1": "Hand"}},
            {"tag": "fan"},
            {"tag": "light", "labels": {"0": "dark", "1": "bright"}},
            {"tag": "speed", "default": 500},
        ],
    }
    assert (await bench.ask("call", "pump", method="Secret"))["items"]["level"]["value"] == 1000
    with pytest.raises(OpError, match="there is no device"):
        await DeviceList(bench.node).devices({"device": "none"})
