"""Ops `ota` and `driver` of jobs: a signed target is fetched into the inbox, staged by the updater, tried, and kept or
taken back. What counts from the request on is the state of the slots; a job that met a restart looks there first.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway.backoff import Backoff
from gateway.errors import GatewayError
from gateway.jobs.work import Ended, Job, JobCancelled, JobRefused, JobState, Running
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused
from gateway.ota.slots import look, own_slot
from gateway.runtime.fetching import FetchFailed, Fetching, Parts, Plan
from gateway.runtime.otadoc import OtaDoc, parse_doc
from gateway.runtime.otafollow import Follow
from gateway.runtime.otawaits import Limits, NotNow, WaitedTooLong, Waits

if TYPE_CHECKING:
    from gateway.runtime.node import Node

OPS = ("ota", "driver")
_MISSING_TRIES = 3
"""A mirror may be a moment behind."""
_LIBRARIES = ("tuf", "installer")

_log = logging.getLogger("fieldpost.update")


class _Known(GatewayError):
    """The plan says how it ends: nothing has to be fetched."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.text)
        self.ended = ended


class OtaWork:
    """Of one gateway. `parts`: brings files over the broker of an uplink, for a job."""

    def __init__(
        self,
        node: Node,
        parts: Callable[[str, str], Parts | None] = lambda _via, _job: None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        own: tuple[Places, str] | None = None,
    ) -> None:
        self._node = node
        self._parts = parts
        self._limits = limits
        self._own = own or own_slot()

    def check(self, job: Job) -> None:
        settings = self._node.settings.ota
        parse_doc(job, settings)
        self._check_able()
        if not settings.url and not (settings.parts and self._node.settings.uplinks):
            raise JobRefused("this gateway has no `ota.url`, and no uplink to fetch it through", code=409)

    async def run(self, running: Running) -> Ended:
        places, slot = self._check_able()
        job = running.job
        follow = Follow(self._node, places, running, self._limits.look_s)
        view = await asyncio.to_thread(look, places)
        row = view.job(job.id)
        if row is not None:
            return follow.ended(row)
        tried = view.trial is not None and view.trial.job == job.id
        if not tried and not await asyncio.to_thread(follow.is_asked):
            try:
                await self._ask(running, places, slot, follow)
            except _Known as known:
                return known.ended
            except (FetchFailed, WaitedTooLong) as failed:
                return self._failed(failed.reason, str(failed))
        ended = await follow.run()
        self._tell_expired(str(ended.detail.get("reason", "")), ended.text)
        return ended

    def _check_able(self) -> tuple[Places, str]:
        if self._own is None:
            raise JobRefused("this gateway does not run from a release slot: nothing can take its place", code=409)
        if any(importlib.util.find_spec(name) is None for name in _LIBRARIES):
            text = "the release that runs cannot install others: it was made without the extra `ota`"
            raise JobRefused(text, code=409)
        return self._own

    async def _ask(self, running: Running, places: Places, slot: str, follow: Follow) -> None:
        """Until the updater is asked. Somebody at the machine may come first, and with another inbox. Raises _Known,
        FetchFailed, WaitedTooLong, JobRefused, JobCancelled.
        """
        doc = parse_doc(running.job, self._node.settings.ota)
        waits = Waits(self._node, places, doc, running, self._limits)
        while True:
            await self._prepare(running, places, slot, doc, waits)
            try:
                return await follow.ask(doc.target)
            except ReleaseRefused as busy:
                await waits.others(str(busy))

    async def _prepare(self, running: Running, places: Places, slot: str, doc: OtaDoc, waits: Waits) -> None:
        """Until all of it is in the inbox and it may be staged."""
        backoff = Backoff(self._limits.retry_s, self._limits.retry_cap_s)
        missing = 0
        while True:
            await waits.turn()
            try:
                await self._fetch(running, places, slot, doc, waits)
                break
            except NotNow as what:
                await waits.later(what)
            except FetchFailed as failed:
                missing += failed.reason == "missing"
                if failed.reason == "unknown":
                    raise JobRefused(f"doc.target: {failed}", code=404, detail={"reason": "unknown"}) from None
                if failed.reason == "clock":
                    await waits.clock(str(failed), backoff.next())
                elif failed.reason == "hash":
                    await waits.wrong(failed, backoff.next())
                elif failed.reason == "link" or (failed.reason == "missing" and missing < _MISSING_TRIES):
                    await waits.line(str(failed), backoff.next())
                else:
                    raise
        await waits.turn()

    async def _fetch(self, running: Running, places: Places, slot: str, doc: OtaDoc, waits: Waits) -> None:
        """From the address that is set, else in parts."""
        settings = self._node.settings.ota
        order: dict[str, Any] = {"target": doc.target, "root": str(places.root), "rate": settings.max_rate}
        web = {"url": settings.url, "ca": str(settings.ca or ""), "token": settings.token or ""}
        parts = self._parts(running.job.via, running.job.id) if settings.parts and not settings.metered else None
        before = ""
        if settings.url:
            try:
                await self._one(running, places, slot, {**order, **web}, None, waits)
            except FetchFailed as failed:
                if failed.reason != "link" or parts is None:
                    raise
                _log.info("update job %s: %s; its files are asked for over the uplink", running.job.id, failed)
                before = f"{failed}; over the uplink: "
            else:
                return
        if parts is None:
            raise FetchFailed("link", "there is no address of a repository, and no uplink that could bring it")
        try:
            await self._one(running, places, slot, order, parts, waits)
        except FetchFailed as failed:
            raise FetchFailed(failed.reason, f"{before}{failed}", failed.file) from None
        finally:
            await parts.close()

    async def _one(
        self, running: Running, places: Places, slot: str, order: dict[str, Any], parts: Parts | None, waits: Waits
    ) -> None:
        """One attempt."""

        async def may(plan: Plan) -> None:
            view = await asyncio.to_thread(look, places)
            going = {"from": slot.partition("-")[0], "to": plan.version}
            if plan.slot and plan.slot == view.good:
                detail = {**going, "slot": plan.slot, "reason": "installed", "rolled_back": False}
                raise _Known(Ended(JobState.SUCCEEDED, f"{plan.slot} runs already", detail=detail))
            if plan.slot and plan.slot in view.bad:
                raise FetchFailed("bad", f"{plan.slot} was tried here and failed")
            waits.check(plan)
            self._node.health.clear("update_metadata_stale", "update")
            await running.step("download", percent=0, keep=going, bytes=0, total=plan.bytes, **going)

        async def progress(have: int, total: int) -> None:
            await running.step("download", percent=have * 100 // max(total, 1), bytes=have, total=total)

        await running.step("metadata")
        await unless_cancelled(running, Fetching(order, may, progress, parts).run())

    def _failed(self, reason: str, text: str) -> Ended:
        self._tell_expired(reason, text)
        return Ended(JobState.FAILED, text, 500, {"reason": reason, "rolled_back": False})

    def _tell_expired(self, reason: str, text: str) -> None:
        """Expiry never stops a gateway; that nothing can be installed is an issue until a repository's plan holds."""
        if reason == "expired":
            repair = "publish new metadata (`fieldpost bundle refresh`), or see who keeps it from this gateway"
            self._node.health.set("update_metadata_stale", "update", text, repair)


async def unless_cancelled(running: Running, work: Any) -> None:
    """Do it, and end it when nobody wants the job any more. Raises JobCancelled then, else what it raises."""
    task = asyncio.ensure_future(work)
    wish = asyncio.ensure_future(running.cancelled.wait())
    try:
        await asyncio.wait({task, wish}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise JobCancelled("cancelled while it was fetched")
    finally:
        wish.cancel()
        if not task.done():
            task.cancel()
        await asyncio.wait({task, wish})
    task.result()
