"""The OPC UA server to the plant against node-opcua's client: a second author."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from drivers.opcua.server import SPEC
from drivers.opcua.server.settings import ServerSettings, UserKeys
from gateway.model import Access, Quality, TagSpec, Transform, ValueType
from tests.support.parts import command, require
from tests.support.serving import Plant, device

TS = 1_795_000_000_007
SCRIPT = Path(__file__).parent / "opcua_client.js"


def plant() -> Plant:
    speed = TagSpec(
        "speed", ValueType.INT16, None, access=Access.READ_WRITE, transform=Transform(scale=0.1), range=(0.0, 150.0)
    )
    made = Plant(device("pump", speed, TagSpec("bearing1/temp", ValueType.FLOAT32, None, unit="°C")))
    made.show({"pump.speed": 21.5}, ts=TS)
    made.show({"pump.bearing1/temp": 61.25}, Quality.LOCAL_OVERRIDE, ts=TS + 1)
    return made


async def client(port: int, folder: Path, password: str = "pass word") -> Any:
    """What the client found, or its error."""
    words = [command("node"), str(SCRIPT), f"opc.tcp://127.0.0.1:{port}/", str(folder), "operator", password, "33.5"]
    done = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, env={**os.environ, "XDG_CONFIG_HOME": str(folder / "home")}
    )
    try:
        async with asyncio.timeout(50):
            out, _ = await done.communicate()
    finally:
        if done.returncode is None:
            done.kill()
            await done.wait()
    return json.loads(out.decode().strip().splitlines()[-1])


async def test_node_opcua_is_refused_until_it_is_trusted_and_then_reads_watches_and_writes(tmp_path):
    require("node", "node-opcua")
    behind, home = plant(), tmp_path / "client"
    settings = ServerSettings(users={"operator": UserKeys("pass word")})
    async with behind.served(SPEC, settings, tmp_path) as port:
        refused = await client(port, home)
        assert "error" in refused
        assert [issue.id for issue in behind.health.open()] == ["server_untrusted"]
        pki = tmp_path / "servers/hmi/pki"
        (rejected,) = (pki / "rejected").iterdir()
        rejected.rename(pki / "trusted" / rejected.name)
        assert "error" in await client(port, home, password="guess")
        found = await client(port, home)
    assert found["folders"] == ["1:pump", "Server"]
    assert found["pump"] == ["ns=1;s=pump.bearing1/", "ns=1;s=pump.speed"]
    assert found["before"] == {"value": 21.5, "type": "Double", "status": "Good", "source": TS}
    assert found["temp"] == {"value": 61.25, "type": "Double", "status": "GoodLocalOverride", "source": TS + 1}
    assert found["range"] == [0, 150]
    assert found["first"] == found["before"]
    assert found["written"] == "Good"
    assert (found["told"]["value"], found["told"]["status"]) == (33.5, "Good")
    assert (found["after"]["value"], found["after"]["status"]) == (33.5, "Good")
    assert (found["beyond"], found["text"]) == ("BadOutOfRange", "BadTypeMismatch")
    assert behind.writes == [("pump.speed", 33.5)]
    who = "operator@127.0.0.1 (opcua hmi)"
    assert behind.trail.entries == [(who, "plant", "speed", "ok"), (who, "plant", "speed", "rejected")]
