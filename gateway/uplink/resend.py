"""Sends held numbers once more, beside delivery: as historical, without moving the cursor (op `resend`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from gateway.journal import AliasRow, Segment
from gateway.mqttclient.connection import REFUSED, Connection
from gateway.uplink.slices import cut
from gateway.uplink.sources import Sources


class Resent(Struct):
    """What became of it: ranges that the broker took, and whether it refused one and the rest was not tried."""

    sent: list[list[int]] = field(default_factory=list)
    refused: int = 0

    def add(self, first: int, last: int) -> None:
        if self.sent and self.sent[-1][1] + 1 == first:
            self.sent[-1][1] = last
        else:
            self.sent.append([first, last])


async def send_again(
    connection: Connection, sources: Sources, parts: Iterable[Segment], aliases: Mapping[int, AliasRow], resent: Resent
) -> None:
    """One message after the other; `resent` grows with each PUBACK. Raises ConnectionLost."""
    names = sources.carried(aliases)
    for part in parts:
        rest: Segment | None = part
        while rest is not None:
            sent, messages = sources.again(rest, names)
            _, rest = cut(rest, sent.n) if sent.n < rest.n else (rest, None)
            if not messages:
                continue  # what no message can carry was told as a gap when its turn came
            for message in messages:
                code = await connection.publish(message)
                if code >= REFUSED:
                    resent.refused = code
                    return
            resent.add(sent.first, sent.last)
