"""What a driver gives so that a profile can be tried without its device: what is on the wire in, values out.

A driver names it in its spec (`rehearsal`). Cases of profiles (`NAME.cases.yaml`, docs/reference/profiles.md) are
played with it. Nothing here touches a network, and nothing of it is used by a running gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.driver import Frame
from gateway.model import ChannelSpec, Value


class GivenError(ValueError):
    """Something that a case gives cannot be. `path`: where, below `given`; `hint`: the right form."""

    def __init__(self, path: tuple[str | int, ...], text: str, hint: str = "") -> None:
        super().__init__(text)
        self.path = path
        self.hint = hint


class Played(Struct, frozen=True):
    """What came of a case. `values`: value and quality code by the path of the tag; tags that nothing came for are not
    in it. `requests`: those that brought them, in words; empty for devices that speak by themselves.
    """

    values: Mapping[str, tuple[Value, int]]
    requests: tuple[str, ...] = ()


class Place(Struct, frozen=True):
    """Where a tag has its value. Two tags share something when `where` is equal and `first` to `end` (not included)
    meet. `bits`: a mask of what it takes of it, 0 for all; `form`: how it is read (type, order of words).
    """

    tag: str
    where: str
    first: int = 0
    end: int = 1
    bits: int = 0
    form: str = ""


def no_places(_channel: ChannelSpec) -> Iterable[Place]:
    """Nothing is known of where tags are."""
    return ()


class Rehearsal(Struct, frozen=True):
    """`channel`, `device`: keys that a profile needs besides itself to be loaded (an address that nobody has).

    `play`: the values of a channel's only device when `given` is on the wire, in the driver's own words. Raises
    GivenError; PermanentError when something is not installed. `places`: of the tags of that device. `recall`: what
    frames of such a device, as a trace shows them, give as `given`; frames that say nothing of it are left out. Its
    second argument is the id that the device had.
    """

    channel: Mapping[str, Any]
    device: Mapping[str, Any]
    play: Callable[[ChannelSpec, Mapping[str, Any]], Played]
    places: Callable[[ChannelSpec], Iterable[Place]] = no_places
    recall: Callable[[ChannelSpec, str, Sequence[Frame]], Mapping[str, Any]] | None = None


__all__ = ["GivenError", "Place", "Played", "Rehearsal", "no_places"]
