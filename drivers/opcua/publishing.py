"""Publish requests that wait at the server, and what comes back: values, keep-alives, gaps, a subscription's end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from asyncua import ua

from drivers.opcua.decoding import Malformed, Publication, Refused, publication
from drivers.opcua.feed import Feed
from drivers.opcua.session import Session
from drivers.opcua.status import words
from gateway.errors import LinkLost

_SPARE = 1
_MOST_WAITING = 10
_LAST_NUMBER = 0xFFFFFFFF
_TOO_MANY_PUBLISH = 0x80780000  # BadTooManyPublishRequests
_TIMED_OUT = 0x800A0000  # BadTimeout


class Subscription:
    """A subscription as the server made it. `silence_s`: when even a keep-alive is overdue."""

    def __init__(self, number: int, interval_s: float, silence_s: float, now: float) -> None:
        self.number = number
        self.interval_s = interval_s
        self.silence_s = silence_s
        self.heard = now
        self.sequence = 0
        self.items = 0


class Publishing:
    """The publish loop of one session. `gaps`: messages that never came; `keep_alives`, `messages`: what came."""

    def __init__(
        self,
        session: Session,
        feed: Feed,
        *,
        heard: Callable[[], None] = lambda: None,
        events: Callable[[Any], None] = lambda _found: None,
    ) -> None:
        self._session = session
        self._feed = feed
        self._heard = heard
        self._events = events
        self._acknowledge: list[Any] = []
        self._waiting: set[asyncio.Future[Any]] = set()
        self._most = _MOST_WAITING
        self.subscriptions: dict[int, Subscription] = {}
        self.gaps = 0
        self.messages = 0
        self.keep_alives = 0

    async def run(self) -> None:
        """Until the link or a subscription is lost: raises LinkLost."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._ask()
                now = loop.time()
                left = min(s.heard + s.silence_s - now for s in self.subscriptions.values())
                if left <= 0:
                    raise LinkLost("the server has stopped publishing")
                done, _ = await asyncio.wait(self._waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                self._waiting -= done
                _look_at(done)
                for answer in done:
                    self._answered(answer, loop.time())
        finally:
            self._drop()

    def _ask(self) -> None:
        """Keep as many requests at the server as it needs to send at once."""
        protocol = self._session.client.uaclient.protocol
        while len(self._waiting) < min(len(self.subscriptions) + _SPARE, self._most):
            request = ua.PublishRequest()
            request.Parameters.SubscriptionAcknowledgements = self._acknowledge
            self._acknowledge = []
            if protocol is None:
                raise LinkLost("the connection is gone")
            try:
                # a future for each and no task: asyncua's own loop has one request at the server only
                self._waiting.add(protocol._send_request(request, 0))
            except OSError as error:
                raise LinkLost(f"the connection is gone: {error}") from error

    def _answered(self, answer: asyncio.Future[Any], now: float) -> None:
        try:
            data = bytes(answer.result())
            found = publication(data, self._feed.take)
        except Refused as error:
            self._refused(error.code)
            return
        except Malformed as error:
            raise LinkLost(str(error)) from error
        except (OSError, ua.UaError) as error:
            raise LinkLost(f"the connection is gone: {error}") from error
        finally:
            self._feed.flush()
        self._session.heard = now
        if self._session.tracer is not None:
            self._session.tracer.notified(found, data)
        self._note(found, now)

    def _note(self, found: Publication, now: float) -> None:
        subscription = self.subscriptions.get(found.subscription)
        if subscription is None:  # one of before, which the server has not given up yet
            return
        subscription.heard = now
        if found.acknowledge:
            self.messages += 1
            self._count_gap(subscription, found.sequence)
            item = ua.SubscriptionAcknowledgement()
            item.SubscriptionId, item.SequenceNumber = found.subscription, found.sequence
            self._acknowledge.append(item)
        else:
            self.keep_alives += 1
        for events in found.events:
            self._events(events)
        if found.status:
            raise LinkLost(f"the server ended the subscription: {words(found.status) or 'taken over'}")
        self._heard()

    def _count_gap(self, subscription: Subscription, sequence: int) -> None:
        last = subscription.sequence
        wanted = last % _LAST_NUMBER + 1  # after the last number comes 1 (OPC 10000-4, 7.37)
        if last and sequence > wanted:
            self.gaps += sequence - wanted
        subscription.sequence = sequence

    def _refused(self, code: int) -> None:
        if code == _TOO_MANY_PUBLISH and self._most > 1:
            self._most = max(len(self._waiting), 1)
        elif code != _TIMED_OUT:
            raise LinkLost(f"the server does not publish: {words(code)}")

    def _drop(self) -> None:
        _look_at(self._waiting)
        for answer in self._waiting:
            answer.cancel()
        self._waiting.clear()


def _look_at(answers: Iterable[asyncio.Future[Any]]) -> None:
    """Errors of all of them count as seen: the first one ends the loop."""
    for answer in answers:
        if answer.done() and not answer.cancelled():
            answer.exception()
