"""Topic filters (MQTT 5.0 section 4.7): which a topic matches, and which are unnecessary beside another one."""

from __future__ import annotations

from collections.abc import Iterable

MAX_BYTES = 65_535


def filter_fault(text: str) -> str:
    """What is wrong with a topic filter; empty when nothing is."""
    if not text:
        return "a topic is missing"
    if "\0" in text or len(text.encode()) > MAX_BYTES:
        return "a topic has at most 65535 bytes, none of them 0"
    levels = text.split("/")
    for place, level in enumerate(levels):
        if "#" in level and (level != "#" or place != len(levels) - 1):
            return f"`{text}`: # stands alone, as the last level"
        if "+" in level and level != "+":
            return f"`{text}`: + stands for a whole level"
    return ""


def topic_fault(text: str) -> str:
    """What is wrong with a topic to publish to; empty when nothing is."""
    if "+" in text or "#" in text:
        return f"`{text}` has a wildcard: a command goes to one topic"
    return filter_fault(text)


def is_wild(text: str) -> bool:
    return "+" in text or "#" in text


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic belongs to a filter. Topics that begin with $ match no wildcard at the first level (4.7.2)."""
    if pattern == topic:
        return True
    if topic.startswith("$") and pattern[:1] in {"+", "#"}:
        return False
    levels, parts = pattern.split("/"), topic.split("/")
    for place, level in enumerate(levels):
        if level == "#":
            return True
        if place >= len(parts) or (level not in {"+", parts[place]}):
            return False
    return len(levels) == len(parts)


def covers(wide: str, narrow: str) -> bool:
    """Whether every topic of `narrow` also matches `wide`."""
    if wide == narrow:
        return True
    if narrow.startswith("$") and wide[:1] in {"+", "#"}:
        return False
    outer, inner = wide.split("/"), narrow.split("/")
    for place, level in enumerate(outer):
        if level == "#":
            return True
        if place >= len(inner) or inner[place] == "#":
            return False
        if level not in {"+", inner[place]}:
            return False
    return len(outer) == len(inner)


def fewest(filters: Iterable[str]) -> list[str]:
    """The filters without those that another one covers: a broker may send a message once for each subscription."""
    wanted = sorted(set(filters))
    wild = [name for name in wanted if is_wild(name)]
    return [name for name in wanted if not any(other != name and covers(other, name) for other in wild)]


def share(pattern: str) -> str:
    """The filter of a discovery pattern: `{device}` stands for a level."""
    return "/".join("+" if level == "{device}" else level for level in pattern.split("/"))


def device_of(pattern: str, topic: str) -> str | None:
    """The device that a topic names by a discovery pattern, None when it does not match."""
    if not matches(share(pattern), topic):
        return None
    parts = topic.split("/")
    for place, level in enumerate(pattern.split("/")):
        if level == "{device}":
            return parts[place]
    return None
