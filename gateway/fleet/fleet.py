"""The operator's side as a library: gateways, shadows and commands through any MQTT broker, with no service of ours.

    async with Fleet("mqtts://broker.example:8883", username="scada-1", password="...") as fleet:
        for gateway in await fleet.gateways():
            print(gateway.id, gateway.online)
        done = await fleet.set("plant-7", "pump", {"setpoints/temp": 21.5})
        print(done.ok, done.leaves)

A tag `setpoints/temp` may be written as in shadows, too: `setpoints.temp`. Every call ends: with an answer, or with a
FleetError that says why not. A connection that is lost ends all calls with BrokerAway; enter a new Fleet then.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec.structs import replace

from gateway.clock import Clock, SystemClock
from gateway.fleet.deploying import Deploying
from gateway.fleet.deployment import Record
from gateway.fleet.desired import Change as DesiredChange
from gateway.fleet.desired import Order, SetResult, View
from gateway.fleet.document import MAX_BYTES, checked_edits
from gateway.fleet.faults import FleetError, NoAnswer
from gateway.fleet.jobboard import JobBoard
from gateway.fleet.link import Link, Listening
from gateway.fleet.names import checked_id, shadow_path, tag_of
from gateway.fleet.patch import Patch
from gateway.fleet.planning import Intent, Plan, make_plan
from gateway.fleet.results import ACCEPTED, Result, parse_result
from gateway.fleet.rollout import Limits, Rollout
from gateway.fleet.roster import DeviceInfo, GatewayInfo, Roster
from gateway.fleet.selecting import named_alone, select
from gateway.fleet.shadows import Rejection, Shadow, differing, ends, parse_rejection
from gateway.fleet.watching import Change, Watch
from gateway.fleet.withdrawing import Withdrawing, Withdrawn, asked_again
from gateway.mqttclient.address import parse_address
from gateway.mqttclient.connection import ConnectOptions, Inbound
from gateway.tls import TlsSettings

TTL_S = 30.0
_ANSWER_S = 5.0
"""What an answer may take beyond the command's own time."""
_AT_ONCE = 1000


class Fleet:
    """One connection to a broker, as an operator. Use it with `async with`.

    `timeout_s` bounds each answer of the broker, `settle_s` is the silence after which retained messages count as all
    told. `origin` is who commands come from, for the gateway's audit log. `max_document`: bytes of a desired document.
    """

    def __init__(
        self,
        url: str,
        tenant: str = "default",
        *,
        username: str | None = None,
        password: str | None = None,
        tls: TlsSettings | None = None,
        origin: str = "",
        client_id: str | None = None,
        timeout_s: float = 10.0,
        settle_s: float = 0.5,
        max_document: int = MAX_BYTES,
        clock: Clock | None = None,
    ) -> None:
        """Raises ValueError for a wrong url, FleetError for a wrong tenant."""
        parse_address(url)
        self.tenant = self._tenant = checked_id("tenant", tenant)
        self._origin = origin or username or "fleet"
        self._timeout_s = timeout_s
        self._max_document = max_document
        self._clock = clock or SystemClock()
        self._url = url
        self._settle_s = settle_s
        self._options = options = ConnectOptions(
            client_id or _some_client(),
            username,
            password,
            tls,
            clean_start=True,
            session_expiry_s=0,
            connack_s=min(timeout_s, 3.0),
            receive_maximum=_AT_ONCE,
            ack_s=timeout_s,
        )
        self._link = Link(url, options, settle_s=settle_s, timeout_s=timeout_s)
        self.ignored = 0
        """Messages that were not what their topic says: somebody else publishes there."""

    async def __aenter__(self) -> Self:
        """Connect. Raises BrokerAway, BrokerRefuses."""
        await self._link.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._link.__aexit__(kind, error, trace)

    async def gateways(self, names: Sequence[str] = ()) -> list[GatewayInfo]:
        """The gateways of the tenant that the broker knows, by id, from their retained status and birth. `names`: only
        these, and only those of them that it knows.
        """
        roster = await self._roster(names or ["+"], lambda roster: bool(names) and all(map(roster.complete, names)))
        return roster.gateways()

    async def gateway(self, gateway: str) -> GatewayInfo:
        """One gateway. Raises FleetError 404 when the broker knows nothing of it."""
        info = (await self._known(gateway)).gateway(gateway)
        assert info is not None
        return info

    async def devices(self, gateway: str) -> list[DeviceInfo]:
        """The devices and tags of a gateway. Raises FleetError 404 without a birth."""
        devices = (await self._known(gateway)).devices(gateway)
        if devices is None:
            raise FleetError(f"the broker has no whole birth of {gateway}: ask for one with the op rebirth", code=404)
        return devices

    async def shadow(self, gateway: str, device: str) -> Shadow:
        """Both sides of a device, and where they differ."""
        heard: list[Rejection] = []
        async with self._device(gateway, device) as (view, listening):
            view.on_rejected = lambda payload: _keep(heard, payload)
            await listening.settled(view.complete, self._timeout_s)
        desired, reported = view.desired, view.reported
        return Shadow(
            gateway=gateway,
            device=device,
            desired=desired,
            reported=reported,
            delta=differing(desired, reported),
            rejections=(*ends(reported), *heard),
            unreadable=tuple(sorted(view.unreadable)),
        )

    async def set(
        self,
        gateway: str,
        device: str,
        values: Mapping[str, Any],
        *,
        wait_s: float | None = None,
        if_ver: int | None = None,
        fresh: bool = False,
        patch: bool = False,
        tolerance: float | None = None,
    ) -> SetResult:
        """Change what is desired of a device; None takes a leaf out. It waits at the broker for a gateway that is away.

        `wait_s`: how long to wait for what the device makes of it (10 s, none where the gateway is known to be
        offline). `if_ver`: only if the document is at this version, else Conflict. `fresh`: begin a new document over
        one that is lost or unreadable. `patch`: send the change alone, for gateways with `authority: gateway`; it is
        not kept by the broker. `tolerance`: for gateways that do not say themselves what became of a leaf.
        """
        edits = checked_edits(values)
        order = Order(
            wait_s=wait_s,
            if_ver=if_ver,
            fresh=fresh,
            tolerance=tolerance,
            limit=self._max_document,
            within_s=self._timeout_s,
        )
        async with self._device(gateway, device) as (view, listening):
            await listening.settled(view.complete, self._timeout_s)
            if patch:
                return await Patch(self._link, view, edits, order).make(listening)
            return await DesiredChange(self._link, view, self._clock, edits, order).make(listening)

    async def delete(self, gateway: str, device: str, tags: Iterable[str], **options: Any) -> SetResult:
        """Take leaves out of what is desired; options as for `set`. The device keeps its values. Raises FleetError 404
        for a leaf that is not there.
        """
        return await self.set(gateway, device, dict.fromkeys(tags), **options)

    async def adopt(self, gateway: str, device: str, tags: Iterable[str] = (), **options: Any) -> SetResult:
        """Make values that were set at the gateway (all, or of `tags`) the desired ones; options as for `set`."""
        shadow = await self.shadow(gateway, device)
        local = shadow.reported.local if shadow.reported is not None else {}
        paths = [shadow_path(tag) for tag in tags] or list(local)
        missing = [tag_of(path) for path in paths if path not in local]
        if missing or not paths:
            what = ", ".join(missing) or "anything"
            raise FleetError(f"nobody has set {what} of {device} at the gateway", code=404)
        return await self.set(gateway, device, {path: local[path].value for path in paths}, **options)

    async def command(
        self,
        gateway: str,
        op: str,
        device: str | None = None,
        args: Mapping[str, Any] | None = None,
        *,
        ttl_s: float = TTL_S,
        rid: str | None = None,
    ) -> Result:
        """Have a gateway do something once, within `ttl_s`, and return its answer, whatever it is.

        The same `rid` again has no second effect and brings the same answer. Raises NoAnswer when none came: then it
        is not known whether it was done, and asking again with the same `rid` (`NoAnswer.rid`) tells.
        """
        rid = checked_id("command", rid or secrets.token_hex(8))
        root = self._root(gateway)
        body = {"v": 1, "rid": rid, "op": op, "args": dict(args or {}), "origin": self._origin}
        body |= {"ttl": max(1, round(ttl_s * 1000)), "exp": self._clock.wall_ms() + round(ttl_s * 1000)}
        if device is not None:
            body["device"] = checked_id("device", device)
        answers: list[Result] = []
        async with self._link.listen([f"{root}/result/{rid}"], lambda message: _answer(answers, message)) as listening:
            payload = _json(body)
            heard = await self._link.publish(f"{root}/down/command/{rid}", payload, expiry_s=max(1, round(ttl_s)))
            if not heard:
                raise NoAnswer(f"{gateway} does not listen: nobody is subscribed to its commands", rid=rid)
            try:
                async with asyncio.timeout(ttl_s + _ANSWER_S):
                    await listening.until(lambda: bool(answers) and answers[-1].code != ACCEPTED)
            except TimeoutError:
                raise NoAnswer(self._silence(gateway, rid, accepted=bool(answers)), rid=rid) from None
        return answers[-1]

    async def read(self, gateway: str, device: str, tags: Iterable[str] = (), *, ttl_s: float = TTL_S) -> Result:
        """Read tags (default all) of a device now."""
        names = [tag_of(shadow_path(tag)) for tag in tags]
        return await self.command(gateway, "read", device, {"tags": names} if names else {}, ttl_s=ttl_s)

    async def write(
        self, gateway: str, device: str, values: Mapping[str, Any], *, ttl_s: float = TTL_S, rid: str | None = None
    ) -> Result:
        """Write tags of a device once, now; what it has then is in the answer. Not for what shall stay so: `set`."""
        named = {tag_of(shadow_path(tag)): value for tag, value in values.items()}
        return await self.command(gateway, "write", device, {"values": named}, ttl_s=ttl_s, rid=rid)

    async def watch(
        self, gateway: str | None = None, device: str | None = None, *, telemetry: bool = False
    ) -> AsyncGenerator[Change, None]:
        """What happens, beginning with what is so (use aclosing). Raises BrokerAway when the connection is lost."""
        if device is not None:
            checked_id("device", device)
        watch = Watch(device)
        filters = Watch.filters(self._root(gateway or "+", any_=gateway is None), device, telemetry=telemetry)
        async with self._link.listen(filters, watch.take) as listening:
            while True:
                await listening.until(lambda: watch.ready)
                yield watch.next()

    async def jobs(self, gateways: Sequence[str] = ()) -> JobBoard:
        """What stands on the `job/next` of gateways, or of all, and who is online."""
        board = JobBoard()
        filters = JobBoard.filters(self._tenant, [checked_id("gateway", name) for name in gateways])
        async with self._link.listen(filters, lambda message: _look(board, message)) as listening:
            await listening.settled(lambda: False, self._timeout_s)
        self.ignored += board.ignored
        return board

    async def withdraw(self, jobs: Mapping[str, str], wait_s: float = TTL_S) -> list[Withdrawn]:
        """Take jobs (gateway to job id) out of the broker, and hear what the gateways say to it."""
        return await Withdrawing(self._link, self._tenant, jobs).run(self._timeout_s, wait_s)

    async def ask_again(self, jobs: Mapping[str, bytes], wait_s: float = TTL_S) -> JobBoard:
        """Have gateways tell how their jobs stand, by publishing what stands on their `job/next` (`jobs`) once more."""
        return await asked_again(self._link, self._tenant, jobs, self._timeout_s, wait_s)

    async def plan(self, intent: Intent) -> Plan:
        """A deployment of what is wanted, from what the broker shows now; nothing is sent. Raises FleetError."""
        chosen = select(await self.gateways(named_alone(intent.to)), intent.to, intent.but)
        board = await self.jobs([info.id for info in chosen])
        return make_plan(intent, self._tenant, chosen, board, self._clock.wall_ms())

    def deploying(self, record: Record, rollout: Rollout, **options: Any) -> Deploying:
        """A deployment, to be `run`: on connections of its own, which are made anew when they are lost. Options are
        those of Deploying.
        """
        return Deploying(self.another, record, rollout, self._clock, timeout_s=self._timeout_s, **options)

    async def deploy(self, plan: Plan, records: Path, limits: Limits, **options: Any) -> Rollout:
        """Do what was planned, and return how it ended. It is noted in the folder `records`, from where
        `fieldpost fleet deploy --resume` goes on with it. Options are those of Deploying.
        """
        if not options.get("replace"):
            plan.refuse_occupied(self._clock.wall_ms())
        rollout = Rollout(plan.deployment.division, limits)
        await self.deploying(Record.create(records, plan.deployment), rollout, **options).run()
        return rollout

    def another(self) -> Link:
        """Another connection as the same user."""
        options = replace(self._options, client_id=_some_client())
        return Link(self._url, options, settle_s=self._settle_s, timeout_s=self._timeout_s)

    def _root(self, gateway: str, *, any_: bool = False) -> str:
        name = gateway if any_ else checked_id("gateway", gateway)
        return f"fp/1/{self._tenant}/{name}"

    async def _known(self, gateway: str) -> Roster:
        checked_id("gateway", gateway)
        roster = await self._roster([gateway], lambda roster: roster.complete(gateway))
        if roster.gateway(gateway) is None:
            raise FleetError(
                f"the broker knows no gateway {gateway} of tenant {self._tenant}, or this user may not read it",
                code=404,
            )
        return roster

    async def _roster(self, gateways: Iterable[str], complete: Any) -> Roster:
        roots = [f"fp/1/{self._tenant}/{gateway}" for gateway in gateways]
        roster = Roster()
        filters = [f"{root}/{topic}" for root in roots for topic in ("status", "birth/#")]
        async with self._link.listen(filters, lambda message: _take(roster, message)) as listening:
            await listening.settled(lambda: complete(roster), self._timeout_s)
        self.ignored += roster.ignored
        return roster

    @asynccontextmanager
    async def _device(self, gateway: str, device: str) -> AsyncIterator[tuple[View, Listening]]:
        view = View(self._root(gateway), checked_id("device", device))
        async with self._link.listen(view.filters, view.take) as listening:
            yield view, listening

    def _silence(self, gateway: str, rid: str, *, accepted: bool) -> str:
        text = f"{gateway} gave no answer in time to command {rid}"
        if accepted:
            return f"{text}: it was accepted and is still under way"
        if self._link.limited:
            return f"{text}; over MQTT 3.1.1 a broker does not say when it refuses a publish: see its access list, too"
        return f"{text}: it is offline, or this user may not read its results"


def _some_client() -> str:
    return f"fieldpost-fleet-{secrets.token_hex(6)}"


def _look(board: JobBoard, message: Inbound) -> None:
    board.take(message)


def _take(roster: Roster, message: Inbound) -> None:
    roster.take(message.topic, message.payload)


def _keep(heard: list[Rejection], payload: bytes) -> None:
    rejection = parse_rejection(payload)
    if rejection is not None and len(heard) < _AT_ONCE:
        heard.append(rejection)


def _answer(answers: list[Result], message: Inbound) -> None:
    result = parse_result(message.payload)
    if result is not None and message.topic.endswith(f"/{result.rid}"):
        answers.append(result)


def _json(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError) as error:
        raise FleetError(f"the arguments are not JSON: {error}", code=400) from error
