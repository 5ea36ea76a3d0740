"""Bytes on the wire per reading at 10 x 100 registers and 1 Hz, payloads with all headers, per codec and compression.

The size bars of protocol.md 4.7 have a reference load of their own, which a unit test rebuilds.
"""

import time

from benchmarks.report import Row, main
from benchmarks.rig import rig


def measure() -> list[Row]:
    rows = []
    for codec, compress in (("json", "none"), ("json", "zlib"), ("native", "none"), ("native", "zlib")):
        with rig() as parts:
            plant, broker = parts.plant(10), parts.broker()
            arrivals = parts.arrivals(broker, "fp/1/default/gw/up/telemetry")
            gateway = parts.gateway(plant, broker, codec=codec, uplink={"compress": compress})
            time.sleep(3)
            arrivals.clear()
            time.sleep(10)
            gateway.stop()
            got = arrivals.telemetry()
            size = sum(length for _, _, length in got) / sum(body["n"] for _, body, _ in got)
        rows.append(
            Row(f"bytes on the wire per reading, {codec}, compress {compress}", f"{size:.2f} B", "protocol.md 4.7")
        )
    return rows


if __name__ == "__main__":
    main(measure)
