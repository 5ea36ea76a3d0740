"""What an uplink needs from the rest of the gateway, as contracts. The composition root implements them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgspec import Struct

from gateway.shadows.reporting import Document
from gateway.shadows.values import Rejection
from gateway.uplink.commandrow import CommandRow

if TYPE_CHECKING:
    from gateway.uplink.joblink import JobBox


class Identity(Struct, frozen=True):
    """Who is speaking. `boot` names this boot of the machine (gateway.clock.boot_id); `release` is the slot that runs,
    empty where there are none.
    """

    id: str
    tenant: str
    version: str
    boot: str
    release: str = ""

    @property
    def root(self) -> str:
        """Root of the topic tree, without a slash at the end (protocol.md 1.1)."""
        return f"fp/1/{self.tenant}/{self.id}"


class TagRow(NamedTuple):
    """A row of the birth's `tags`. `access` is empty for a tag that was removed and still has readings to deliver."""

    alias: int
    device: str
    tag: str
    type: str
    unit: str
    access: str


class DeviceRow(NamedTuple):
    """A row of the birth's `devices`."""

    device: str
    driver: str
    profile: str


class ModelView(Protocol):
    """The gateway's model at one moment: what a birth says. Treat as frozen; a change is a new view."""

    @property
    def rows(self) -> Sequence[TagRow]:
        """All tags that may leave over an uplink, those included that were removed while an alias of theirs is still
        held in the journal. What has no row here is not carried.
        """
        ...

    @property
    def devices(self) -> Sequence[DeviceRow]: ...

    @property
    def dict_no(self) -> int:
        """Number of the alias dictionary these rows belong to (Consumer.dict_no)."""
        ...


class Latest(Struct, frozen=True):
    """The current value of one tag. `ts` is UTC ms when it was true; `quality` is a gateway.model.Quality number."""

    slot: int
    channel: str
    device: str
    tag: str
    value: Any
    quality: int
    ts: int


class LatestView(Protocol):
    """Current values, for the codec `flat`."""

    def current(self) -> Iterable[Latest]:
        """All current values: those of configured tags that have one."""
        ...

    def get(self, slot: int) -> Latest | None:
        """The current value of a slot; None when its tag was removed or has no value yet."""
        ...

    def subscribe(self, listener: Callable[[Sequence[int]], None]) -> Callable[[], None]:
        """Call `listener(slots)` on the event loop whenever the value or quality of these slots changed, or their
        tags were removed, and the change is on disk (invariant J13). The listener is short and never raises.
        Returns what ends the subscription.
        """
        ...


class ShadowPort(Protocol):
    """The shadows, as an uplink sees them. What returns is on disk."""

    def knows(self, device: str) -> bool:
        """Whether a device is configured."""
        ...

    def devices(self) -> list[str]:
        """Configured devices that have a shadow."""
        ...

    async def desired(self, device: str, payload: bytes) -> Rejection | None:
        """Take a whole desired document; why nothing of it was taken, if so."""
        ...

    async def patch(self, device: str, payload: bytes) -> tuple[Rejection | None, dict[str, Any] | None]:
        """Take a patch; why nothing of it was taken, if so, and the answer to its rid if it has one."""
        ...

    async def prepare(self) -> None:
        """Before the first documents: what all of them need of the disk, in one commit."""
        ...

    async def document(self, device: str) -> Document | None:
        """The reported document now."""
        ...

    def acked(self, url: str, device: str) -> str:
        """Hash of the reported document that the broker at this address has."""
        ...

    def ack(self, url: str, device: str, document_hash: str) -> None: ...

    def untold(self, device: str) -> list[Rejection]:
        """What is to be published on `rejected`."""
        ...

    async def told(self, device: str, rejection: Rejection) -> None: ...

    async def exchanged(self) -> None:
        """Desired documents were taken and reported ones given, over a new connection."""
        ...

    def listen(self, listener: Callable[[str, float], None]) -> None:
        """Call `listener(device, within)` when a reported document should go out within so many seconds."""
        ...

    def unlisten(self, listener: Callable[[str, float], None]) -> None: ...


CLOUD = "command"
LOCAL = "local"
RULE = "rule"
"""Ways on which a command comes: over an uplink, over the local socket, from a rule. They stand in audit entries as
`via`.
"""


class Caller(Struct, frozen=True):
    """Who asks for an op. `scope` is what a local caller has (read, operate, admin); what the cloud may do is decided
    where the op is served. `uplink` is the one it came over. `within_s`: nothing of it may begin later.
    """

    who: str
    via: str = CLOUD
    scope: str = ""
    rid: str = ""
    uplink: str = ""
    within_s: float = 60.0


class OpHandler(Protocol):
    """Serves the ops of protocol.md 1.5 that came as a command."""

    async def __call__(self, op: str, device: str | None, args: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """Do it and return the body of the result: `code` (default 200), and `items` or `out` or `text`.

        Raises GatewayError with an attribute `code` for what is not done (WriteRejected, 404 for an unknown op).
        """
        ...


class Look(Protocol):
    """What a device shows now of the tags that an interrupted command named."""

    async def __call__(self, device: str, tags: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Items with `value` and `quality` by tag; those that cannot be read are left out. Never raises."""
        ...


class CommandTable(Protocol):
    """The table `command`: known rids on disk."""

    def rows(self) -> list[CommandRow]:
        """All rows, for a start."""
        ...

    def get(self, rid: str) -> CommandRow | None:
        """The committed row."""
        ...

    async def put(self, row: CommandRow, forget: Sequence[str] = ()) -> None:
        """Returns when the row is on disk and those of `forget` are not, in one transaction. Raises GatewayError."""
        ...

    def told(self, rid: str, uplink: str) -> None:
        """An uplink's broker has the result: its replies go from the row with the next commit."""
        ...


class JobStatus(NamedTuple):
    """A message of `job/{id}/status`. `final`: the end of the job, told until the broker has it."""

    id: str
    ver: int
    body: dict[str, Any]
    final: bool

    @property
    def key(self) -> str:
        """Names this version of the job."""
        return f"{self.id}/{self.ver}"


class JobPort(Protocol):
    """The gateway's jobs, as an uplink sees them."""

    async def take(self, uplink: str, ops: Sequence[str], payload: bytes) -> None:
        """What stands on an uplink's `job/next` now; empty when nothing does. `ops`: what it may ask for. Returns when
        it is on disk, or answered through the box. Raises GatewayError when there is no room on the disk.
        """
        ...

    def box(self, uplink: str) -> JobBox:
        """What an uplink has to tell."""
        ...

    def reconnected(self, uplink: str) -> None:
        """Put into its box again what an uplink's broker may have missed."""
        ...

    def told(self, uplink: str, status: JobStatus) -> None:
        """An uplink's broker has a status."""
        ...
