"""What a driver that pushes may be able to do besides: read when asked, show its tree, run methods, tell what it saw.

As all optional abilities they are Protocols: the kernel asks with isinstance and says of what is missing that the
driver cannot. The kernel limits each call to twice the channel's timeout; a stream, each step of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct, field

from gateway.driver import Columns
from gateway.model import Device, Tag, Value

LONGEST_IDENTITY = 200


class Sighting(Struct, frozen=True):
    """A device that was seen and is not configured.

    `identity`: the same each time it is seen (an address, a topic), unique on its channel, LONGEST_IDENTITY characters
    at most. `name`: how it calls itself. `properties`: what people know it by and rules match (name, address, maker,
    model, topic...). `keys`: its device keys as they are written in the channel's file. `tags`: its tags as a
    profile would hold them, where it describes itself; else `profile` may name one that fits.
    """

    identity: str
    name: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    profile: str = ""


@runtime_checkable
class Asking(Protocol):
    """A driver that pushes and can read when asked: a read on demand, an address without a tag, a read-back."""

    async def ask(self, device: Device, tags: Sequence[Tag]) -> Columns | Sequence[Columns]:
        """Values of these tags now, aligned with `tags` or with the columns' `index`; several columns where the values
        were true at different times. A tag that cannot be read alone
        has a bad quality. Raises DeviceUnavailable, LinkLost, or RequestRefused when nothing can be read.
        """
        ...


@runtime_checkable
class Echoing(Protocol):
    """A driver that pushes, cannot ask, and whose devices tell by themselves what a write made of a tag."""

    async def echoed(self, tag: Tag, fits: Callable[[Value], bool], within_s: float) -> tuple[bool, Value]:
        """After a write: the first value of `tag` that came since the write began and that `fits`, within that time.
        (True, value); (False, the last value) when others came only; (False, None) when none came.
        """
        ...


@runtime_checkable
class Browsing(Protocol):
    """A driver that can show what there is, as a tree."""

    def browse(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Items depth first, however many there are in bounded memory: `address` as it is written for a tag, `name`,
        `path` (folders joined by /), `kind` (folder, variable, method), `type` (a ValueType or empty), `access`,
        `keys` (a tag's keys, ready to be written), and `value` where it is known. Progress as `{"done": n}`.
        Raises ValueError for options it does not know, LinkLost.
        """
        ...


@runtime_checkable
class Calling(Protocol):
    """A driver whose devices have methods."""

    def methods(self, device: Device) -> Sequence[Mapping[str, Any]]:
        """What is known of them: `method`, `arguments`, `text`. May be empty although `call` finds one."""
        ...

    async def call(self, device: Device, method: str, args: Mapping[str, Any]) -> Any:
        """Run a method; its result is made of what JSON knows. Raises WriteRejected before anything reached the wire
        (404: there is no such method, 422: its arguments), RequestRefused when the device said no, DeviceUnavailable
        or LinkLost when the outcome is not known.
        """
        ...


__all__ = ["LONGEST_IDENTITY", "Asking", "Browsing", "Calling", "Echoing", "Sighting"]
