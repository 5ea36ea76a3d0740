"""Where rules and notifications send to: topics, URLs, headers. The same rules for both."""

from __future__ import annotations

import urllib.parse
from typing import Any

from gateway.settings.convert import show
from gateway.settings.expression_places import known_names
from gateway.settings.positions import Origin, Problems

MAX_TIMEOUT_S = 60.0
MAX_TOPIC = 256
_HEADER = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~")


def check_topic(topic: str, origin: Origin, problems: Problems) -> None:
    """Refuse a topic that a broker would refuse, or that belongs to the protocol."""
    if not topic or len(topic.encode()) > MAX_TOPIC or "\0" in topic:
        problems.at(origin, f"a topic has 1 to {MAX_TOPIC} bytes", "write plant/alarms")
    if topic.startswith(("fp/", "$")):
        whose = "the protocol" if topic.startswith("fp/") else "the broker"
        problems.at(origin, f"topics below {topic.partition('/')[0]}/ belong to {whose}", "write plant/alarms")
    if "+" in topic or "#" in topic:
        problems.at(origin, "a topic cannot hold the wildcards + and #", "write plant/alarms")


def uplink_name(given: str | None, uplinks: list[str], origin: Origin, problems: Problems) -> str:
    """The uplink that is meant: the first one unless it is named."""
    if given is not None:
        known_names(given, origin.child("uplink"), uplinks, problems, what="uplink")
        return given
    if not uplinks:
        problems.at_key(
            origin, "there is no uplink to publish to", "add `uplinks: {local: {urls: [...]}}`", spoils=True
        )
    return next(iter(uplinks), "")


def check_url(text: str, origin: Origin, problems: Problems) -> None:
    """Refuse what is no http or https URL. It may be a secret: no message shows it."""
    try:
        url = urllib.parse.urlsplit(text)
        good = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        good = False
    if not good:
        problems.at(origin, "a webhook needs a URL of http or https", "write https://example.org/hook")
    elif url.username is not None or url.password is not None:
        problems.at(origin, "a URL carries no user name or password", "use a header: {Authorization: ...}")
    elif " " in text or not text.isprintable():
        problems.at(origin, "a URL has no spaces or control characters", "write %20 for a space")


def check_timeout(seconds: float, origin: Origin, problems: Problems) -> None:
    if not 0 < seconds <= MAX_TIMEOUT_S:
        problems.at(origin, f"a webhook is given up after {MAX_TIMEOUT_S:g}s at most", "write 10s")


def headers_of(headers: dict[str, Any], origin: Origin, problems: Problems) -> tuple[tuple[str, str], ...]:
    """HTTP headers, checked."""
    for name, value in headers.items():
        place = origin.child(name)
        if not name or not set(name) <= _HEADER:
            problems.at_key(place, f"`{name}` is no name of an HTTP header", "write Content-Type")
        if isinstance(value, dict | list) or value is None:
            problems.at(place, f"a header is a text, not {show(value) if value is not None else 'nothing'}")
        elif isinstance(value, str) and not value.isprintable():
            problems.at(place, "a header is one line")
    return tuple((name, str(value)) for name, value in headers.items())
