"""What a device that was seen would be in the configuration. Pure.

What was seen is a stranger's text. It becomes data in a file that has no references; a text that would be one after an
export is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from gateway.discovery.row import Row
from gateway.errors import GatewayError
from gateway.settings.ids import ID_RULE, is_id
from gateway.watching import WatchSpec, device_id, filled


class Refused(GatewayError):
    """It cannot come in; the text says why. `code` as in protocol.md 1.3."""

    def __init__(self, text: str, code: int = 422) -> None:
        super().__init__(text)
        self.code = code


class Proposal(Struct, frozen=True):
    """A device as it would stand in its channel's file. `profile`: its name, or empty."""

    channel: str
    device: str
    keys: dict[str, Any]
    profile: str


def suggested(row: Row, rule: WatchSpec | None, taken: Collection[str]) -> str:
    """The id that the device would get."""
    template = rule.id if rule is not None else "{name}"
    return device_id(filled(template, row.matched()) or row.identity, taken)


def propose(row: Row, rule: WatchSpec | None, taken: Collection[str], *, name: str = "", profile: str = "") -> Proposal:
    """The device of a row by its rule, or by what it says itself. Raises Refused."""
    if name and not is_id(name):
        raise Refused(f"`{name}` is not an id: {ID_RULE}", 400)
    if name in taken:
        raise Refused(f"there is a device {name} already", 409)
    profile = profile or (rule.profile if rule is not None else "") or row.profile
    keys: dict[str, Any] = dict(row.keys)
    if profile:
        keys["profile"] = profile
    if rule is not None:
        properties = {key: text.replace("{", "{{").replace("}", "}}") for key, text in row.matched().items()}
        keys |= filled(rule.keys, properties)
    if not profile and row.tags:
        keys["tags"] = {**row.tags, **(keys.get("tags") or {})}
    if not profile and not keys.get("tags"):
        raise Refused(f"nothing says which tags {row.id} has: give it a profile")
    if _refers(keys):
        raise Refused(f"{row.id} says something of itself that holds `${{`: write it into the configuration by hand")
    return Proposal(row.channel, name or suggested(row, rule, taken), keys, profile)


def _refers(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_refers(key) or _refers(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return any(map(_refers, value))
    return isinstance(value, str) and "${" in value
