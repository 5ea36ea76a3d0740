"""The yardstick of rule_reaction: a loop that polls one register and writes a coil when it is above 80. pymodbus alone.

Run by the measurement:  python -m benchmarks.bare_reaction PORT
"""

from __future__ import annotations

import asyncio
import sys

from pymodbus.client import AsyncModbusTcpClient

_INTERVAL_S = 0.02


async def main(port: int) -> None:
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0)
    await client.connect()
    was_hot = False
    while True:
        answer = await client.read_holding_registers(0, count=1, device_id=1)
        is_hot = answer.registers[0] > 80
        if is_hot and not was_hot:
            await client.write_coil(0, True, device_id=1)
        was_hot = is_hot
        await asyncio.sleep(_INTERVAL_S)


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main(int(sys.argv[1])))
    else:
        uvloop.run(main(int(sys.argv[1])))
