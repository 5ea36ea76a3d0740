"""What a protocol makes of a device and of a property; each protocol has a module of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from gateway.importing.draft import Draft
from gateway.importing.kubeedge.model import Property
from gateway.importing.views import View

_PLAIN = re.compile(r"[^\s{}$\"'\\\x00-\x1f\x7f]+")
_LONGEST = 50
_NOT_ID = re.compile(r"[^A-Za-z0-9]+")


class Connection(Struct, frozen=True):
    """The channel of a device. `id`: its name here. `data`: keys of the channel; two devices with the same id and data
    share it. `device`: keys of the device. `ready`: whether the device can be started as it is.
    """

    id: str
    data: dict[str, Any]
    device: dict[str, Any] = {}
    ready: bool = True
    scheduled: bool = True
    """Whether its tags are read in a rhythm."""
    shares: bool = True
    """Whether another device with other data under the same id gets a channel of its own; else that is wrong."""


class Bound(Struct):
    """Keys of a tag by its protocol. `writable` false: it cannot be written there, whatever the model says.

    `words`: texts that are values of it. `low`, `high`: bounds that the visitor has.
    """

    keys: dict[str, Any]
    writable: bool = True
    low: float | None = None
    high: float | None = None
    meta: dict[str, str] = {}


class Secrets:
    """Passwords of an import by reference: devices that log in alike share one, and with it their channel."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._names: dict[tuple[str, str, str], str] = {}

    def password(self, device: str, place: str, user: str, view: View) -> str:
        """A reference to the password of `user` at `place`; it is named after the first device that needs it."""
        key = (place, user, view.text)
        if key not in self._names:
            base = _NOT_ID.sub("_", device).strip("_")[:_LONGEST] or "device"
            name, number = f"{base}_password", 2
            while name in self._draft.credentials:
                name, number = f"{base}_{number}_password", number + 1
            self._names[key] = name
        return self._draft.credential(self._names[key], f"password of {user} at {place}", view.place)


class Context(Struct, frozen=True):
    """What a protocol may look at: `config` of the device, `common` (v1alpha2), and its name."""

    draft: Draft
    name: str
    view: View
    config: View | None
    common: View | None
    meta: dict[str, str]
    secrets: Secrets
    protocol: str = ""


Connect = Callable[[Context], Connection | None]
Bind = Callable[[Property, View | None, View, Context], Bound | None]
"""Property, the visitor's configuration, the place to blame; None when no value can be found so (told)."""


class Binding(Struct, frozen=True):
    """How devices and properties of one protocol are drawn."""

    connect: Connect
    bind: Bind


def plain(view: View) -> str | None:
    """A text for a host, port or URL: no blanks, braces or references in it; told where it is none."""
    text = view.as_text()
    if text is None:
        return None
    if not _PLAIN.fullmatch(text):
        view.report.error(view.place, f"`{text[:60]}` cannot be an address", "no blanks, quotes, braces or $ in it")
        return None
    return text


def id_from(*parts: object) -> str:
    """A channel's id from what it is connected to."""
    text = "-".join(_NOT_ID.sub("-", str(part)).strip("-") for part in parts)
    return text if text[:1].isalnum() else f"x{text}"
