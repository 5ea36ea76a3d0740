"""Listening for a time: which topics say something, with a sample, its format, and the tags it would make."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

from msgspec import Struct

from drivers.mqtt.formats import KEYED, BadPayload, decoder, guess
from drivers.mqtt.jsonpath import Step, write
from drivers.mqtt.session import Connect
from drivers.mqtt.session import options_of as options_for
from drivers.mqtt.settings import ChannelSettings
from drivers.mqtt.topics import covers, filter_fault
from gateway.clock import Clock
from gateway.errors import LinkLost
from gateway.mqttclient.connection import ConnectFailed, Connection, ConnectionLost, Inbound
from gateway.units import parse_seconds

_KNOWN = frozenset({"topics", "for", "most"})
_SAMPLE = 200
_MOST_TAGS = 50
_MOST_DEPTH = 8
_STEP_S = 0.5
_LONGEST_S = 3600.0
_MOST_TOPICS = 100_000
_TIME_NAMES = frozenset({"ts", "time", "timestamp", "last_seen", "datetime"})


class Options(Struct, frozen=True):
    """`topics`: filters to listen to; `for_s`: how long; `most`: topics that are shown."""

    topics: tuple[str, ...] = ("#",)
    for_s: float = 10.0
    most: int = 1000


def options_of(given: Mapping[str, Any]) -> Options:
    """Raises ValueError that says what is wrong."""
    unknown = sorted(set(given) - _KNOWN)
    if unknown:
        raise ValueError(f"a scan does not know `{unknown[0]}`: topics, for and most are known")
    topics = given.get("topics", "#")
    filters = tuple(topics.split(",")) if isinstance(topics, str) else tuple(str(each) for each in topics)
    for name in filters:
        if fault := filter_fault(name):
            raise ValueError(fault)
    given_for = given.get("for", 10.0)
    seconds = float(given_for) if isinstance(given_for, int | float) else float(parse_seconds(given_for))
    if not 0 < seconds <= _LONGEST_S:
        raise ValueError(f"a scan listens for 1s to {_LONGEST_S:g}s")
    most = int(given.get("most", 1000))
    if not 1 <= most <= _MOST_TOPICS:
        raise ValueError(f"`most` is 1 to {_MOST_TOPICS}")
    return Options(filters, seconds, most)


class Scan:
    """One scan. `heard` takes every message of the channel while it runs."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._fresh: list[Inbound] = []
        self._more = 0

    def heard(self, message: Inbound) -> None:
        """Remember the first message of each topic; beyond `most` topics they are counted only."""
        topic = message.topic
        if topic in self._counts:
            self._counts[topic] += 1
        elif not any(covers(name, topic) for name in self._options.topics):
            return
        elif len(self._counts) >= self._options.most:
            self._more += 1
        else:
            self._counts[topic] = 1
            self._fresh.append(message)

    async def run(self, settings: ChannelSettings, connect: Connect) -> AsyncIterator[Mapping[str, Any]]:
        """Findings as they come, progress in between, and at the end what was left out. Raises LinkLost, ValueError.

        On a connection of its own: with another subscription beside the channel's, messages would come twice.
        """
        options, clock = self._options, self._clock
        wanted = options_for(settings, f"fieldpost-look-{secrets.token_hex(4)}", keeps=False)
        try:
            connection: Connection = await connect(settings.url, wanted)
        except ConnectFailed as error:
            raise LinkLost(str(error)) from error
        connection.on_message(self.heard)
        begin = clock.mono()
        try:
            codes = await connection.subscribe(list(options.topics), qos=0)
            refused = [name for name, code in zip(options.topics, codes, strict=True) if code >= 0x80]
            if refused:
                raise ValueError(f"the broker refuses {', '.join(refused)}")
            while (passed := clock.mono() - begin) < options.for_s:
                await asyncio.sleep(min(_STEP_S, options.for_s - passed))
                fresh, self._fresh = self._fresh, []
                for message in fresh:
                    yield finding(message)
                if connection.closed.done():
                    raise connection.closed.result()
                yield {"done": round(min(passed + _STEP_S, options.for_s)), "of": round(options.for_s)}
        except ConnectionLost as error:
            raise LinkLost(str(error)) from error
        finally:
            await connection.close()
        counts = {topic: count for topic, count in self._counts.items() if count > 1}
        if counts:
            yield {"messages": counts}
        if self._more:
            yield {"text": f"{self._more} messages came on more topics than the {options.most} that are shown"}


def finding(message: Inbound) -> dict[str, Any]:
    """One topic: what it brought, and tags for it."""
    form = guess(message.payload)
    sample = message.payload[:_SAMPLE]
    found: dict[str, Any] = {
        "topic": message.topic,
        "format": form,
        "bytes": len(message.payload),
        "sample": sample.decode(errors="replace") if form in {"json", "plain"} else sample.hex(),
    }
    if message.retain:
        found["retained"] = True
    try:
        document = decoder(form)(message.payload)
    except (BadPayload, RuntimeError):
        return found
    tags, time = proposed(document, form)
    if tags:
        found["tags"] = tags
    if time:
        found["time"] = time
    return found


def proposed(document: Any, form: str) -> tuple[dict[str, dict[str, Any]], str]:
    """Tags that a payload would make, and the path of what looks like its time."""
    if form not in KEYED:
        kind = _plain_type(document)
        return {"value": {"format": form, "type": kind}}, ""
    tags: dict[str, dict[str, Any]] = {}
    time = ""
    for steps, value in _leaves(document, ()):
        if steps and str(steps[-1]).lower() in _TIME_NAMES:
            time = time or write(steps)
            continue
        if len(tags) < _MOST_TAGS:
            name = "_".join(_word(step) for step in steps) or "value"
            tags.setdefault(name, {"path": write(steps), "type": _type(value)})
    return tags, time


def _leaves(value: Any, steps: tuple[Step, ...]) -> list[tuple[tuple[Step, ...], Any]]:
    if len(steps) < _MOST_DEPTH and isinstance(value, dict) and value:
        return [leaf for key, item in value.items() if isinstance(key, str) for leaf in _leaves(item, (*steps, key))]
    if len(steps) < _MOST_DEPTH and isinstance(value, list) and 0 < len(value) <= 4:
        return [leaf for place, item in enumerate(value) for leaf in _leaves(item, (*steps, place))]
    return [(steps, value)]


def _word(step: Step) -> str:
    text = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in str(step))
    return text.strip("_") or "x"


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, dict | list):
        return "object"
    if isinstance(value, int | float):
        return "float64"
    return "bytes" if isinstance(value, bytes) else "string"


def _plain_type(text: Any) -> str:
    if isinstance(text, bytes):
        return "bytes"
    if str(text).lower() in {"on", "off", "true", "false"}:
        return "bool"
    try:
        float(text)
    except ValueError:
        return "string"
    return "float64"
