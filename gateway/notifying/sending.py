"""The ways out: one message over MQTT, a webhook or mail."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.errors import GatewayError
from gateway.notifying import mail, wording
from gateway.notifying.ports import NotDelivered, Publishes
from gateway.notifying.wording import Fields
from gateway.rulebook import NotifySpec
from gateway.threads import Threads
from gateway.webhook import HttpRequest, WebhookFailed, host_of
from gateway.webhook import send as call

AT_ONCE = 32
"""Mails and webhooks on their way at one time."""
PUBLISH_S = 60.0
_MAY_PASS = frozenset((408, 429, 503, 504))


class Sender:
    """Delivers messages. `key` names one message."""

    def __init__(self, door: Publishes) -> None:
        self._door = door
        self._threads = Threads("notification", AT_ONCE)

    async def deliver(self, spec: NotifySpec, fields: Fields, key: str) -> None:
        """Returns when the other side has it. Raises NotDelivered."""
        options = dict(spec.options)
        text = wording.body(spec.text, fields, as_json=spec.kind != "smtp")
        if spec.kind == "mqtt":
            await self._publish(options, text)
        elif spec.kind == "webhook":
            await self._call(options, text)
        else:
            await self._mail(options, wording.subject(fields), text, key)

    async def _publish(self, options: dict[str, Any], text: str) -> None:
        try:
            async with asyncio.timeout(PUBLISH_S + 1.0):
                await self._door.publish(
                    options.get("uplink", ""),
                    options["topic"],
                    text.encode("utf-8", "replace"),
                    retain=options.get("retain", False),
                    expiry_s=PUBLISH_S,
                )
        except TimeoutError:
            raise NotDelivered("the uplink did not take it in time", again=True) from None
        except GatewayError as error:
            raise NotDelivered(str(error), again=getattr(error, "code", 500) in _MAY_PASS) from None

    async def _call(self, options: dict[str, Any], text: str) -> None:
        request = HttpRequest(
            options["url"],
            text.encode("utf-8", "replace"),
            options.get("method", "POST"),
            tuple(options.get("headers", ())),
            options.get("timeout_s", 10.0),
        )
        try:
            await call(request, self._threads)
        except WebhookFailed as failed:
            raise NotDelivered(f"{host_of(request.url)}: {failed}", again=failed.again) from None

    async def _mail(self, options: dict[str, Any], subject: str, text: str, key: str) -> None:
        server = mail.MailServer(
            options["host"],
            options["port"],
            options["from"],
            tuple(options["to"]),
            options.get("tls", mail.STARTTLS),
            options.get("username"),
            options.get("password"),
        )
        await mail.send(server, mail.Letter(subject, text, key), self._threads)
