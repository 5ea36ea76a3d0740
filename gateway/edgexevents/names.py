"""Names in EdgeX: what an event may hold, and how they stand in a topic."""

from __future__ import annotations

from urllib.parse import quote

_RESERVED = "/#+$"
"""Characters that EdgeX allows in no name (its rule `edgex-dto-no-reserved-chars`)."""
_PLAIN = "-_~:;="
"""What stands in a topic as it is, besides letters and digits (its rule `edgex-dto-rfc3986-unreserved-chars`)."""

COMMAND_NAME = "command."
"""In `meta` of a profile, before a command's name: what it was called where it was imported from."""
DEFAULT_TOPIC = "edgex/events/device/{service}/{profile}/{device}/{source}"
"""What device services of EdgeX 3 and 4 publish on, and its core-data subscribes to."""


def name_of(text: str) -> str:
    """`text` as a name: what EdgeX reserves is percent-encoded, `bearing1/temp` becomes `bearing1%2Ftemp`."""
    for char in _RESERVED:
        if char in text:
            text = text.replace(char, f"%{ord(char):02X}")
    return text


def topic_level(name: str) -> str:
    """`name` as one level of a topic; EdgeX undoes the percent-encoding before it compares."""
    return quote(name, safe=_PLAIN).replace(".", "%2E")
