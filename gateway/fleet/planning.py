"""Making a deployment of what is wanted, for whom, and what the broker shows. Pure, but for its name."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.fleet.deployment import Deployment
from gateway.fleet.faults import FleetError
from gateway.fleet.jobboard import JobBoard, Retained
from gateway.fleet.names import checked_id
from gateway.fleet.roster import GatewayInfo
from gateway.fleet.selecting import Selector
from gateway.fleet.targets import Target
from gateway.fleet.waves import Amount, divide

EXPIRES_S = 7 * 86_400.0


class Intent(Struct, frozen=True, kw_only=True):
    """What an operator wants. `to` and `but`: selectors; `canary`: how many, or a selector; `batch`: how many in each
    wave after that. `name`: of the deployment, made of the time if empty. `expires_s`: the job is not begun later.
    """

    target: Target
    to: Sequence[Selector]
    but: Sequence[Selector] = ()
    canary: str | None = None
    batch: Amount | None = None
    name: str = ""
    expires_s: float = EXPIRES_S
    url: str = ""


class Plan(Struct, frozen=True):
    """A deployment, and what is known of its gateways. `standing`: what stands on their `job/next`."""

    deployment: Deployment
    known: Mapping[str, GatewayInfo]
    standing: Mapping[str, Retained]

    def refuse_occupied(self, now_ms: int) -> None:
        """Raises FleetError 409 where jobs of others stand in the way."""
        deployment = self.deployment
        there = (
            (name, foreign(self.standing.get(name), deployment.id, now_ms)) for name in deployment.division.gateways
        )
        found = [f"{name} ({next_.name})" for name, next_ in there if next_ is not None]
        if found:
            told = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
            text = f"jobs of others stand at {told}: wait (`fleet jobs --ask` tells how they are), cancel them,"
            raise FleetError(f"{text} or --replace", code=409)


def foreign(next_: Retained | None, deployment: str, now_ms: int) -> Retained | None:
    """`next_`, if it is somebody else's and a gateway may still act on it."""
    if next_ is None or next_.over(now_ms) or (next_.job is not None and next_.job.id == deployment):
        return None
    return next_


def make_plan(intent: Intent, tenant: str, chosen: Sequence[GatewayInfo], board: JobBoard, now_ms: int) -> Plan:
    """Raises FleetError: no such canaries, a name that is none, 413 for a job that is too large; what the documents of
    a target raise.
    """
    waves = divide(chosen, intent.canary, intent.batch)
    target = intent.target
    deployment = Deployment(
        id=checked_id("deployment", intent.name or _some_name(now_ms)),
        tenant=tenant,
        op=target.op,
        label=target.label,
        docs=_docs(target, waves.gateways),
        waves=waves.waves,
        canaries=waves.canaries,
        made=now_ms,
        exp=now_ms + round(intent.expires_s * 1000),
        url=intent.url,
    )
    for gateway in waves.gateways:
        deployment.payload(gateway)  # its size is told before anything is sent
    return Plan(deployment, {info.id: info for info in chosen}, dict(board.next))


def _docs(target: Target, gateways: Sequence[str]) -> dict[str, dict[str, Any]]:
    """One for all where all are the same."""
    docs = {gateway: target.doc_of(gateway) for gateway in gateways}
    first = next(iter(docs.values()))
    return {"": first} if all(doc == first for doc in docs.values()) else docs


def _some_name(now_ms: int) -> str:
    return f"d-{time.strftime('%Y%m%d-%H%M', time.gmtime(now_ms / 1000))}-{secrets.token_hex(2)}"
