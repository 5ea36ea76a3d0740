"""What the twin topics need from the gateway, as a contract. The composition root implements it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from gateway.errors import GatewayError


class TwinError(GatewayError):
    """A message of which nothing was taken. `code`: 400, 404, 409, 429 or 500."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code = code


class Side(Struct, frozen=True):
    """A twin's wanted or actual value. `ts`: UTC ms; `ver`: our counter of this side."""

    value: str
    ts: int
    ver: int = 0


class Twin(Struct, frozen=True):
    """One tag as a twin. `optional`: what is wanted of it can be taken back. `differs`: it is not as it is wanted."""

    name: str
    type: str
    optional: bool
    expected: Side | None
    actual: Side | None
    differs: bool = False


class Wish(Struct, frozen=True):
    """What an update wants of one twin. `value` None: nothing any more. `ver`: the version that it was made over."""

    value: str | None
    ver: int | None = None


class TwinPort(Protocol):
    """The gateway's devices as twins."""

    def devices(self) -> Sequence[str]: ...

    def knows(self, device: str) -> bool: ...

    def twins(self, device: str) -> tuple[list[Twin], int]:
        """All twins of a device, and how many tags cannot be one: by name, value, or both."""
        ...

    def states(self) -> Mapping[str, str]:
        """online, offline, unhealthy or unknown, by device; one that is not at work is left out."""
        ...

    async def want(self, device: str, wishes: Mapping[str, Wish], who: str) -> list[Twin]:
        """Take wishes, all or none; on disk when it returns. All twins with what these wishes made of them, whatever
        others have wanted since. Raises TwinError.
        """
        ...

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call `listener(device)` when a value or a wish of a device has changed. Returns what ends that."""
        ...
