"""A device with a limit, a hole and an illegal register, read by the installed gateway over a kill."""

from __future__ import annotations

import asyncio

from tests.drivers.modbus.fault_server import FaultServer
from tests.support.eventually import eventually

REGISTERS, ILLEGAL, FORBIDDEN = 250, 137, range(180, 190)
SAME = {"classic": "40101", "decimal": "holding/100", "hex": "holding/0x64"}


def channel(port):
    tags = {
        f"r{n}": {"address": f"holding/{n}", "type": "uint16"}
        for n in range(REGISTERS)
        if n not in FORBIDDEN and n != 100
    }
    tags |= {name: {"address": address, "type": "uint16"} for name, address in SAME.items()}
    return {
        "driver": "modbus",
        "url": f"tcp://127.0.0.1:{port}",
        "interval": "200ms",
        "devices": {"m": {"forbidden": ["holding/180-189"], "tags": tags}},
    }


def covers(requests, register):
    return [row for row in requests if row[2] <= register < row[2] + row[3]]


async def ask(gateway, *arguments):
    return await asyncio.to_thread(gateway.ask, *arguments)


async def values(gateway):
    return {row["tag"]: (row["value"], row["quality"]) for row in (await ask(gateway, "tags"))["tags"]}


async def settled(gateway):
    """All tags but the illegal one are good."""

    async def is_so():
        rows = await values(gateway)
        return all(quality == "good" for tag, (_, quality) in rows.items() if tag != f"r{ILLEGAL}")

    for _ in range(60):
        if await is_so():
            return
        await asyncio.sleep(0.25)
    raise AssertionError(await values(gateway))


async def test_fl_25_fl_26_one_illegal_register_a_limit_and_a_hole_are_learned_once_and_for_all(make_gateway):
    async with FaultServer().running() as device:
        device.forbidden, device.max_registers = {ILLEGAL}, 64
        gateway = make_gateway()
        gateway.write_main(uplinks={})
        gateway.write("channels/line1.yaml", channel(device.port))
        await asyncio.to_thread(gateway.start)
        await settled(gateway)
        rows = await values(gateway)
        oracle = {f"r{n}": n + 1000 for n in range(REGISTERS) if n not in FORBIDDEN and n not in {100, ILLEGAL}}
        assert {tag: value for tag, (value, _) in rows.items() if tag in oracle} == oracle
        assert [rows[name] for name in SAME] == [(1100, "good")] * 3
        assert rows[f"r{ILLEGAL}"] == (None, "bad/config")
        assert not any(covers(device.requests, n) for n in FORBIDDEN), "forbidden registers were asked"
        plan = (await ask(gateway, "reads"))["devices"]["m"]
        assert sorted(row["what"].split(" (")[0] for row in plan["learned"]) == [
            "at most 64 registers a request",
            f"holding/{ILLEGAL}",
        ]
        assert max(row["count"] for row in plan["requests"]) == 64
        assert any(issue["id"] == "device_refuses" for issue in (await ask(gateway, "status"))["issues"])

        await asyncio.sleep(1.2)  # what is learned is on disk with the next commit
        await asyncio.to_thread(gateway.kill)
        device.requests.clear()
        await asyncio.to_thread(gateway.start)
        await settled(gateway)
        assert not covers(device.requests, ILLEGAL), "a read covered the illegal register after the restart"
        assert max(count for _, _, _, count in device.requests) <= 64

        device.forbidden = set()
        await ask(gateway, "reads", "m", "--forget")
        for _ in range(60):
            if (await values(gateway))[f"r{ILLEGAL}"] == (ILLEGAL + 1000, "good"):
                break
            await asyncio.sleep(0.25)
        else:
            raise AssertionError("the register that became legal is still bad")
        await eventually(lambda: covers(device.requests, ILLEGAL))
