"""Signed configurations of jobs: `configs/GATEWAY/REV.json` from the repository of updates, in parts over the uplink
where there is no other way. A process of its own fetches and proves it.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway.backoff import Backoff
from gateway.jobs.work import Job, JobRefused, Running
from gateway.ota.configs import MOST_CONFIG, SignedTree, parse_tree, target_of
from gateway.ota.files import regular
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused
from gateway.runtime.fetching import MOST_WRONG, FetchFailed, Fetching, Parts, Plan
from gateway.runtime.otajob import unless_cancelled

if TYPE_CHECKING:
    from gateway.runtime.node import Node

_RETRY_S, _RETRY_CAP_S = 10.0, 600.0
_LONGEST_S = 24 * 3600.0
_WAITED_FOR = frozenset({"link", "missing", "clock", "hash"})
"""What may be over by itself: no line, a mirror that is behind, a clock that is not set, a file that came damaged."""


class SignedConfigs:
    """Of one gateway. `parts` brings files over the uplink that a job came by."""

    def __init__(self, node: Node, parts: Callable[[str, str], Parts | None], places: Places) -> None:
        self._node = node
        self._parts = parts
        self._places = places

    def check(self, job: Job) -> None:
        """Raises JobRefused."""
        wanted = target_of(self._node.settings.id, int(job.doc["rev"]))
        if job.doc["target"] != wanted:
            raise JobRefused(f"doc.target: this revision of this gateway is {wanted}")
        if importlib.util.find_spec("tuf") is None:
            raise JobRefused("this gateway cannot check signatures: it was installed without the extra `ota`", code=409)
        if not self._places.factory_root.is_file():
            raise JobRefused(f"this gateway trusts nobody: there is no {self._places.factory_root}", code=409)
        settings = self._node.settings.ota
        if not settings.url and not settings.parts:
            raise JobRefused("this gateway has no `ota.url` to fetch it from, and no parts over MQTT", code=409)

    async def fetch(self, running: Running) -> SignedTree:
        """Raises JobRefused, JobCancelled and FetchFailed."""
        clock, backoff = self._node.clock, Backoff(_RETRY_S, _RETRY_CAP_S)
        until, wrong = clock.mono() + _LONGEST_S, 0
        while True:
            await running.step("metadata", percent=0)
            try:
                await unless_cancelled(running, self._from_somewhere(running.job))
                return await asyncio.to_thread(self._read)
            except FetchFailed as failed:
                if failed.reason == "unknown":
                    raise JobRefused(f"doc.target: {failed}", code=404, detail={"reason": "unknown"}) from None
                wrong += failed.reason == "hash"
                if failed.reason not in _WAITED_FOR or wrong >= MOST_WRONG or clock.mono() >= until:
                    raise
                await running.step("waiting", reason=failed.reason, text=str(failed))
            await unless_cancelled(running, clock.sleep(backoff.next()))

    async def _from_somewhere(self, job: Job) -> None:
        settings = self._node.settings.ota
        order: dict[str, Any] = {
            "target": job.doc["target"], "root": str(self._places.root), "rate": settings.max_rate,
        }  # fmt: skip
        parts = self._parts(job.via, job.id) if settings.parts else None
        if settings.url:
            web = {"url": settings.url, "ca": str(settings.ca or ""), "token": settings.token or ""}
            try:
                await Fetching({**order, **web}, _may, _progress).run()
            except FetchFailed as failed:
                if failed.reason != "link" or parts is None:
                    raise
            else:
                return
        if parts is None:
            raise FetchFailed("link", "there is no address of a repository, and no uplink that could bring it")
        try:
            await Fetching(order, _may, _progress, parts).run()
        finally:
            await parts.close()

    def _read(self) -> SignedTree:
        try:
            with regular(self._places.config_fetched) as file:
                return parse_tree(file.read(MOST_CONFIG + 1))
        except (ReleaseRefused, OSError) as error:
            raise FetchFailed("system", f"what was fetched cannot be read: {error}") from None


async def _may(_plan: Plan) -> None:
    """Nothing is asked: a configuration is small."""


async def _progress(_have: int, _total: int) -> None:
    """Nothing is told."""
