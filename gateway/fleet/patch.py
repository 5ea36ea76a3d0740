"""A patch: the change alone, for gateways that keep the desired document themselves (`authority: gateway`).

It carries no version, the gateway gives one. The broker does not keep it: for a gateway that is away it waits only as
long as that gateway's session.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from gateway.fleet.desired import WAIT_S, Order, SetResult, View
from gateway.fleet.document import HARD_BYTES, Document
from gateway.fleet.faults import FleetError, NoAnswer
from gateway.fleet.link import Link, Listening
from gateway.fleet.shadows import parse_rejection
from gateway.fleet.verdicts import Verdicts
from gateway.nesting import nest


class Patch:
    """One change of one device. `edits`: shadow path to value, None takes the leaf out."""

    def __init__(self, link: Link, view: View, edits: Mapping[str, Any], order: Order) -> None:
        self._link = link
        self._view = view
        self._edits = dict(edits)
        self._order = order

    async def make(self, listening: Listening) -> SetResult:
        """Send it, and wait for what becomes of it. `listening` is settled. Raises FleetError."""
        view = self._view
        if view.desired is not None and not self._outdated(view.desired):
            raise FleetError(
                f"the broker keeps a desired document of {view.device}: change that one (without --patch)", code=409
            )
        known = view.reported.desired_ver if view.reported is not None else 0
        verdicts = Verdicts(
            self._edits, dict.fromkeys(self._edits, known + 1), tolerance=self._order.tolerance, exact=False
        )
        view.on_reported = verdicts.reported

        def rejected(payload: bytes) -> None:
            if (rejection := parse_rejection(payload)) is not None:
                verdicts.rejected(rejection)

        view.on_rejected = rejected
        if not await self._link.publish(f"{view.desired_topic}/patch", self._payload()):
            raise NoAnswer(f"{view.gateway} does not listen: nobody is subscribed to its shadows")
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S if self._order.wait_s is None else self._order.wait_s):
                await listening.until(lambda: verdicts.complete)
        ver = view.reported.desired_ver if view.reported is not None else known
        return SetResult(view.gateway, view.device, ver, view.online, tuple(verdicts.results()))

    def _outdated(self, desired: Document) -> bool:
        """Whether the gateway knows a later document: then that of the broker is none to change."""
        return self._view.reported is not None and self._view.reported.desired_ver > desired.ver

    def _payload(self) -> bytes:
        body: dict[str, Any] = {"v": 1, "rid": f"p-{secrets.token_hex(8)}", "state": nest(self._edits)}
        if self._order.if_ver is not None:
            body["if_ver"] = self._order.if_ver
        payload = msgspec.json.encode(body)
        if len(payload) > HARD_BYTES:
            raise FleetError(f"the patch has {len(payload)} bytes; {HARD_BYTES} are allowed", code=413)
        return payload
