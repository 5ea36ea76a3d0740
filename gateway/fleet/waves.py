"""How a fleet is divided: canaries first, then waves. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from msgspec import Struct

from gateway.fleet.faults import FleetError
from gateway.fleet.roster import GatewayInfo
from gateway.fleet.selecting import Selector

_AMOUNT = re.compile(r"(\d{1,9})(%?)\Z")


class Amount(Struct, frozen=True):
    """A count, or a percentage of something."""

    number: int
    percent: bool = False

    def of(self, total: int) -> int:
        """Of so many. A percentage is rounded up: 1 % of 20 is 1."""
        return min(total, math.ceil(total * self.number / 100) if self.percent else self.number)


def parse_amount(text: str) -> Amount | None:
    """`5` or `10%`; None for anything else."""
    match = _AMOUNT.match(text)
    if match is None or (match[2] and int(match[1]) > 100):
        return None
    return Amount(int(match[1]), bool(match[2]))


class Waves(Struct, frozen=True):
    """Gateways in the order in which they get their job. With `canaries` the first wave has to succeed as a whole."""

    waves: tuple[tuple[str, ...], ...]
    canaries: bool

    @property
    def gateways(self) -> list[str]:
        return [name for wave in self.waves for name in wave]


def divide(chosen: Sequence[GatewayInfo], canary: str | None = None, batch: Amount | None = None) -> Waves:
    """`canary`: how many, or a selector of them; `batch`: how many in each wave after that, all at once if None.

    Canaries are online: one that is away proves nothing. Raises FleetError 400, 409.
    """
    first = _canaries(chosen, canary) if canary is not None else []
    rest = [info.id for info in sorted(chosen, key=lambda info: (info.online is not True, info.id))]
    rest = [name for name in rest if name not in set(first)]
    size = max(1, batch.of(len(chosen)) if batch is not None else len(rest))
    waves = [tuple(rest[at : at + size]) for at in range(0, len(rest), size)]
    return Waves(((tuple(first),) if first else ()) + tuple(waves), bool(first))


def _canaries(chosen: Sequence[GatewayInfo], canary: str) -> list[str]:
    online = [info for info in chosen if info.online is True]
    amount = parse_amount(canary)
    if amount is None:
        selector = Selector(canary)
        found = [info for info in chosen if selector.matches(info)]
        away = [info.id for info in found if info.online is not True]
        if away or not found:
            told = f"{', '.join(away)} is not online" if away else "none of the selected gateways is meant by it"
            raise FleetError(f"--canary {canary}: {told}", code=409)
        return [info.id for info in found]
    count = amount.of(len(chosen))
    if count < 1:
        raise FleetError(f"--canary {canary}: at least one is needed", code=400)
    if len(online) < count:
        told = f"{count} of the selected gateways have to be online, {len(online)} are"
        raise FleetError(f"--canary {canary}: {told}", code=409)
    return [info.id for info in online[:count]]
