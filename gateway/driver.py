"""THE driver contract: what a protocol driver gives, and all it may rely on.

A driver is a folder with a SPEC and a class. A new object is made for each attempt to run; there is no reset.
Checking settings never touches the network; connecting happens in `run` only. Optional abilities are Protocols of
their own: the kernel asks with isinstance.
"""

from __future__ import annotations

import abc
import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from msgspec import Struct

from gateway.clock import Clock
from gateway.model import Block, ChannelSpec, Device, Tag, Value

if TYPE_CHECKING:
    from gateway.abilities import Sighting
    from gateway.rehearsal import Rehearsal

CONTRACT = 1
"""Version of this contract. A third-party driver names the version it was written for."""


class Fault(Struct, frozen=True):
    """Something wrong in a channel's settings that only the driver can see.

    `path` is the field path below the channel (`devices.pump.tags.speed.address`); the loader adds file and line.
    """

    path: str
    message: str
    hint: str = ""


class NoKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a level at which a driver has no keys of its own."""


def no_faults(_channel: ChannelSpec) -> Iterable[Fault]:
    """Nothing beyond the types to check."""
    return ()


class Endpoint(Struct, frozen=True):
    """What a channel holds while it runs: a serial port, a server's socket. `channels`: how many may hold it at once.

    `name` is equal for two channels that would use the same thing (`serial:/dev/ttyUSB0`, `tcp:192.0.2.10:502`);
    `path` is the field to blame when there are too many (`url`).
    """

    name: str
    channels: int
    path: str


def no_endpoint(_settings: Any) -> Endpoint | None:
    """The channel holds nothing that could be held twice."""
    return None


Simulate = Callable[[ChannelSpec, Mapping[str, Any], Callable[[str], None]], Coroutine[Any, Any, None]]
"""Serves a channel's devices as a simulation until cancelled; tells people what it does. Options are the driver's."""


class DriverSpec(Struct, frozen=True):
    """What the kernel must know of a driver before it runs one.

    `channel`, `device`, `tag`: frozen msgspec Structs for the driver's own keys at each level; the loader refuses
    unknown keys. A class attribute IDENTITY of `device` names the keys that say which device it is: when one of them
    changes, values under the old names are no longer shown. `check` finds what types cannot express. `create` makes a
    driver for one attempt. `endpoint` says what a channel with these settings holds. `simulate` is for people without
    the hardware.
    `rehearsal`: how profiles are tried without a device, imported when somebody does (gateway/rehearsal.py).
    `scans_alone`: a scan opens what it needs itself, the channel's own link may be down. `imports`: modules that take
    long to import and are imported in a thread before the first `create`. `needs`: modules of other libraries and how
    to get each, as (asyncua, pip install ...); a configuration that wants one that is not there is warned of.
    """

    name: str
    channel: type[Any]
    device: type[Any]
    tag: type[Any]
    create: Callable[[], Driver]
    check: Callable[[ChannelSpec], Iterable[Fault]] = no_faults
    endpoint: Callable[[Any], Endpoint | None] = no_endpoint
    simulate: Simulate | None = None
    rehearsal: Callable[[], Rehearsal] | None = None
    scans_alone: bool = False
    imports: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    contract: int = CONTRACT


def wire_of(spec: DriverSpec, settings: Any) -> str | None:
    """What two channels on one wire have in common: the endpoint's name, or the url of a server that takes any number
    of sessions. None where nothing can be told.
    """
    endpoint = spec.endpoint(settings)
    if endpoint is not None:
        return endpoint.name
    url = getattr(settings, "url", None)
    return str(url).rstrip("/") if url else None


class Memory(Protocol):
    """A small persisted table of one channel (learned plans, counters). Values are msgpack-able."""

    def get(self, key: str) -> Any:
        """The stored value or None."""
        ...

    def put(self, key: str, value: Any) -> None:
        """Kept with the next group commit."""
        ...

    def delete(self, key: str) -> None: ...

    def items(self) -> Mapping[str, Any]: ...


class DriverContext(Protocol):
    """A driver's only way to the world."""

    channel: ChannelSpec
    devices: tuple[Device, ...]
    clock: Clock
    log: logging.LoggerAdapter[logging.Logger]
    memory: Memory
    task_group: asyncio.TaskGroup
    """Every task of a driver is born here."""

    def publish(
        self,
        block: Block,
        values: Sequence[Value],
        *,
        ts: int | None = None,
        index: Sequence[int] | None = None,
        quality: Sequence[int] | None = None,
        on_durable: Callable[[], None] | None = None,
    ) -> None:
        """Hand over readings; `ts` None means now. Synchronous and cheap; `on_durable` is called after the commit."""
        ...

    def hurry(self) -> None:
        """Somebody waits for `on_durable`: what was published so far is committed soon, not at the interval's end. Each
        commit wears flash: for a sender that gives no more before it has its acknowledgements.
        """
        ...

    def online(self, device: str) -> None:
        """The device answers."""
        ...

    def offline(self, device: str, reason: str) -> None:
        """The device is away: each of its tags turns bad/comm once. Repeating it does nothing."""
        ...

    def issue(self, key: str, text: str, repair: str = "", device: str = "") -> None:
        """Raise or refresh a condition that a person should see."""
        ...

    def clear(self, key: str, device: str = "") -> None: ...

    def link(self, *, up: bool, why: str = "") -> None:
        """A driver that pushes: the wire is up, or down again (`why`), whether or not a device has spoken."""
        ...

    def fresh(self, device: str, tags: Sequence[Tag] | None = None) -> None:
        """What the device's tags show is still true now (a keep-alive of a subscription): renews their age only.
        `tags`: the device spoke of these alone; from then on no tag's age is renewed by another's value.
        """
        ...

    def explain(self, tag: Tag, why: str) -> None:
        """Say why a tag is bad, in the protocol's words, for people who look at it; empty takes it back."""
        ...

    def event(self, device: str, what: str, fields: Mapping[str, Any]) -> None:
        """Something that happened and is no value (a button, an alarm of the device's own): an entry of the event
        stream, kind `device_event`. `fields` are what JSON knows; beyond a rate they are counted and left out.
        """
        ...

    def sighted(self, sighting: Sighting) -> None:
        """A device was seen that is not configured. Cheap; seeing it again is no news."""
        ...

    async def poll(self, driver: PollingDriver) -> None:
        """Run a polling driver: the kernel's schedule, arbiter, states and statistics. Returns only by an exception."""
        ...


class Driver(Protocol):
    """A running channel. `run` does not return by itself; an exception says what next (gateway/errors.py)."""

    async def run(self, ctx: DriverContext) -> None: ...


class Columns:
    """What one request brought: values aligned with the request's tags, or with `index` where only some came.

    `quality` None means all good. `ts` None means that the values were true when the answer came.
    """

    __slots__ = ("index", "quality", "ts", "values")

    def __init__(
        self,
        values: Sequence[Value],
        quality: Sequence[int] | None = None,
        index: Sequence[int] | None = None,
        ts: int | None = None,
    ) -> None:
        self.values = values
        self.quality = quality
        self.index = index
        self.ts = ts


class Request:
    """One transaction on the wire that brings a block of tags. `detail` is the driver's own (table, address, decoder).

    `text` is for people: `holding/100 x 25`.
    """

    __slots__ = ("block", "detail", "text")

    def __init__(self, block: Block, detail: Any, text: str) -> None:
        self.block = block
        self.detail = detail
        self.text = text


class PollingDriver(abc.ABC):
    """Base of drivers that ask. The kernel owns the schedule and the wire: one call of connect, read or write at a
    time, ever. A call that takes longer than the channel's timeout is the driver's to end; the kernel ends it after
    twice that time.
    """

    async def run(self, ctx: DriverContext) -> None:
        await ctx.poll(self)

    @abc.abstractmethod
    async def connect(self, ctx: DriverContext) -> None:
        """Open the wire. Raises LinkLost when that fails; called again with back-off."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Close the wire. Must not raise; called after every connect, and again is harmless."""

    @abc.abstractmethod
    def plan(self, device: Device, tags: Sequence[Tag]) -> Sequence[Request]:
        """The fewest requests that bring `tags` of one device and one schedule. Pure and repeatable; a list of one
        tag gives the request for a read-back. Tags with access `w` are never passed.
        """

    @abc.abstractmethod
    async def read(self, request: Request) -> Columns:
        """Do one transaction. Raises DeviceUnavailable, LinkLost, RequestRefused or BadFrame."""


@runtime_checkable
class Writer(Protocol):
    """A driver that can write."""

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        """Put `value` (engineering units) into the tag; one or few transactions. The kernel verifies by reading.

        Raises WriteRejected before anything reached the wire, RequestRefused when the device said no,
        DeviceUnavailable or LinkLost when the outcome is not known.
        """
        ...


@runtime_checkable
class Splitting(Protocol):
    """A polling driver that can cut a refused request into smaller ones to keep the good tags."""

    def split(self, request: Request, error: Exception) -> Sequence[Request]:
        """Smaller requests that replace `request`, or an empty sequence when it cannot be cut further."""
        ...


Ask = Callable[[Request], Awaitable[Columns]]
"""Does one request as a poll would, with states, statistics and publishing. Raises what the driver's read raises."""


@runtime_checkable
class Learning(Protocol):
    """A polling driver that finds out what a device can do and keeps it in `ctx.memory`.

    Its `plan` may leave out tags that the device is known to refuse: the kernel makes them bad/config.
    """

    async def investigate(self, device: Device, request: Request, error: Exception, ask: Ask) -> bool:
        """Find out why `request` fails. True: something was learned, plan the device anew. Raises LinkLost."""
        ...

    def learned(self, device: Device) -> Sequence[Mapping[str, Any]]:
        """What is known of a device: `what`, `reason`, `ts` (UTC ms)."""
        ...

    def forget(self, device: Device) -> int:
        """Drop what is known. Returns how many facts."""
        ...


@runtime_checkable
class Describing(Protocol):
    """A polling driver that can show its requests as data for `fieldpost reads`."""

    def describe(self, request: Request) -> Mapping[str, Any]: ...


class Frame(Struct, frozen=True):
    """Bytes that went over the wire, for `fieldpost trace`. `ts`: UTC ms; `text`: what they mean, for people.

    `unit`: the protocol's own number of the device they belong to, -1 where that cannot be told.
    """

    ts: int
    sending: bool
    data: bytes
    text: str
    unit: int = -1


@runtime_checkable
class Tracing(Protocol):
    """A driver whose frames can be watched."""

    def trace(self, listener: Callable[[Frame], None] | None) -> None:
        """Call `listener` for every frame from now on; None ends it. Costs nothing while there is no listener."""
        ...

    def owns_frame(self, device: Device, frame: Frame) -> bool:
        """Whether a frame belongs to a device of the channel."""
        ...


@runtime_checkable
class Scanning(Protocol):
    """A driver that can look for what is there."""

    def scan(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Findings, and progress as `{"done": n, "of": m}`. On a polled wire each step of the iterator is one
        transaction at most, so that the kernel can let writes and polls pass in between. Raises ValueError for options
        it does not know, LinkLost when the wire is gone; devices that stay silent are findings, not errors.
        """
        ...


@runtime_checkable
class Costing(Protocol):
    """A driver that knows what a request costs on its wire before it was ever sent."""

    def cost(self, request: Request) -> float:
        """Seconds on the wire by its settings alone: what the device needs to answer comes on top."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A driver with counters of its own (frames that belong to nobody...), shown beside the channel's statistics."""

    def counters(self) -> Mapping[str, int]: ...


__all__ = [
    "CONTRACT",
    "Ask",
    "Columns",
    "Costing",
    "Counting",
    "Describing",
    "Driver",
    "DriverContext",
    "DriverSpec",
    "Endpoint",
    "Fault",
    "Frame",
    "Learning",
    "Memory",
    "NoKeys",
    "PollingDriver",
    "Request",
    "Scanning",
    "Splitting",
    "Tracing",
    "Writer",
    "no_endpoint",
    "no_faults",
    "wire_of",
]
