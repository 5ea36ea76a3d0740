"""What a broker says about jobs and gateways: retained jobs, and what gateways say of them while one listens. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from gateway.fleet.jobwire import JobStatus, JobWanted, parse_job, parse_status
from gateway.fleet.roster import GatewayInfo, Roster
from gateway.mqttclient.connection import Inbound

_FEW = 20
"""Gateways up to which each is subscribed to: what the rest of the fleet says is left out, and a broker that gives
nothing retained to wildcards will do.
"""
_MOST_KNOWN = 20
"""Jobs of one gateway whose last status is remembered."""


class Retained(Struct, frozen=True):
    """What stands on a `job/next`. `job` is None for what is no job."""

    payload: bytes
    job: JobWanted | None

    @property
    def name(self) -> str:
        return self.job.id if self.job is not None else "something that is no job"

    def over(self, now_ms: int) -> bool:
        """Whether no gateway begins it any more."""
        return self.job is not None and self.job.exp is not None and self.job.exp < now_ms


class JobBoard:
    """Fed with the messages of `filters`. `ignored` counts what was not what its topic says."""

    def __init__(self) -> None:
        self.roster = Roster()
        self.next: dict[str, Retained] = {}
        self.statuses: dict[str, dict[tuple[str, int], JobStatus]] = {}
        """By gateway, then by id and version of the job."""
        self._ignored = 0

    @staticmethod
    def filters(tenant: str, gateways: Sequence[str] = ()) -> list[str]:
        """What to subscribe to, for all gateways if none is named."""
        names = gateways if 0 < len(gateways) <= _FEW else ["+"]
        roots = [f"fp/1/{tenant}/{name}" for name in names]
        return [f"{root}/{topic}" for root in roots for topic in ("status", "job/next", "job/+/status")]

    @property
    def ignored(self) -> int:
        return self._ignored + self.roster.ignored

    def take(self, message: Inbound) -> tuple[str, JobStatus | Retained | GatewayInfo | None] | None:
        """The gateway that this is about and what is new of it: a status of a job, what stands on `job/next` (None:
        nothing), or the gateway itself. None for what is no news.
        """
        _, _, _, gateway, kind, *rest = (*message.topic.split("/"), "", "")
        if kind == "status":
            self.roster.take(message.topic, message.payload)
            info = self.roster.gateway(gateway)
            return None if info is None else (gateway, info)
        if rest[:1] == ["next"]:
            return gateway, self._next(gateway, message.payload)
        status = parse_status(message.payload)
        if status is None or rest[0] != status.id:
            self._ignored += 1
            return None
        known = self.statuses.setdefault(gateway, {})
        known.pop((status.id, status.ver), None)
        known[status.id, status.ver] = status
        while len(known) > _MOST_KNOWN:
            del known[next(iter(known))]
        return gateway, status

    def said(self, gateway: str) -> JobStatus | None:
        """How the job that stands there is, by its gateway; words about other versions of it do not count."""
        there = self.next.get(gateway)
        if there is None or there.job is None:
            return None
        return self.statuses.get(gateway, {}).get((there.job.id, there.job.ver))

    def _next(self, gateway: str, payload: bytes) -> Retained | None:
        if not payload:
            self.next.pop(gateway, None)
            return None
        self.next[gateway] = Retained(payload, parse_job(payload))
        return self.next[gateway]
