"""The one door of the shadows: desired documents and patches from the cloud, edits at the gateway, views for all.

Whoever calls here may rely on it: when a call returns, its effect is on disk; what is refused has changed nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

from gateway.audit import Audit
from gateway.clock import Clock
from gateway.errors import WriteRejected
from gateway.journal import Level, Producer, Tx
from gateway.model import Tag
from gateway.settings.types import ShadowSettings
from gateway.shadows import edits, messages, paths
from gateway.shadows.answers import Answers
from gateway.shadows.convert import from_person, is_state
from gateway.shadows.delta import delta
from gateway.shadows.judging import Judge
from gateway.shadows.keeper import Keeper
from gateway.shadows.merge import merge_document, merge_patch
from gateway.shadows.reporting import Document, Reporter
from gateway.shadows.values import Leaf, Origin, Phase, Policy, Rejection, Shadow, ShadowError
from gateway.shadows.views import leaf_views
from gateway.tags import TagTable

GATEWAY = "gateway"
"""`shadow.authority`: this gateway gives the versions of desired states; no service in the cloud is needed."""
ACKED = "shadow_acked"
"""Small table: hash of the reported document that a broker has."""
SETTLE_S = 0.25
"""A change of what is desired is told a little later: mostly its write has ended by then."""

Listener = Callable[[str, float], None]


class Desk:
    """`allows(tag, via)` raises WriteRejected when such a write is not allowed now.

    `online()`: whether an uplink is up.
    """

    def __init__(
        self,
        keeper: Keeper,
        reporter: Reporter,
        journal: Producer,
        tags: TagTable,
        clock: Clock,
        audit: Audit,
        *,
        settings: Callable[[], ShadowSettings],
        allows: Callable[[Tag, str], None],
        online: Callable[[], bool] = lambda: False,
        rids: Mapping[str, Any] | None = None,
        acked: Mapping[str, Any] | None = None,
    ) -> None:
        self.keeper = keeper
        self.reporter = reporter
        self._journal = journal
        self._tags = tags
        self._clock = clock
        self._audit = audit
        self._settings = settings
        self._judge = Judge(tags, clock, settings, allows)
        self._online = online
        self._answers = Answers(rids or {})
        self._acked: dict[str, Any] = dict(acked or {})
        self._listeners: list[Listener] = []
        keeper.listen(self._changed)

    # --- from the cloud

    async def desired(self, device: str, payload: bytes) -> Rejection | None:
        """Take a whole desired document; why nothing of it was taken, if so. Returns when it is on disk."""
        ver = self.keeper.get(device).meta.desired_ver
        try:
            whole = messages.parse_document(payload, self._clock.wall_ms())
            ver = whole.ver
            known = self._known(device)
            if ver < self.keeper.get(device).meta.full_ver:
                self._answer(device)
                return None
            await self._merge(
                known,
                "cloud",
                lambda shadow: merge_document(
                    shadow,
                    whole.ver,
                    whole.leaves,
                    self._judge.rules(device, "shadow"),
                    own_versions=whole.own_versions,
                ),
            )
        except ShadowError as error:
            return self._refused(device, error, ver)
        return None

    async def patch(self, device: str, payload: bytes) -> tuple[Rejection | None, dict[str, Any] | None]:
        """Take a patch: why nothing of it was taken, if so, and the answer to its rid if it has one."""
        rid: str | None = None
        ver = self.keeper.get(device).meta.desired_ver
        try:
            patch = messages.parse_patch(payload)
            rid, ver = patch.rid, ver if patch.ver is None else patch.ver
            answer = await self._patch(device, patch, origin=Origin.CLOUD, who="cloud", via="shadow")
        except ShadowError as error:
            refused = self._refused(device, error, ver)
            return refused, None if rid is None else {"rid": rid, **_rejected(error)}
        return None, None if rid is None else {"rid": rid, **answer}

    async def _patch(self, device: str, patch: messages.Patch, *, origin: Origin, who: str, via: str) -> dict[str, Any]:
        known = self._known(device)
        own = self._settings().authority == GATEWAY
        if own and patch.ver is not None:
            raise ShadowError("this gateway gives the versions (shadow.authority): leave `ver` out", code=400)
        if not own and patch.ver is None:
            raise ShadowError("a patch has a `ver`", code=400)
        if patch.rid is not None:
            return await self._patch_once(known, patch, patch.rid, origin, who, via)
        ver = 0

        def change(shadow: Shadow) -> Shadow:
            nonlocal ver
            ver, after = self._patched(shadow, patch, origin, via)
            return after

        await self._merge(known, who, change)
        return _done(ver)

    async def _patch_once(
        self, device: str, patch: messages.Patch, rid: str, origin: Origin, who: str, via: str
    ) -> dict[str, Any]:
        """A patch with a rid: what became of it, refusals too, is kept in the same transaction and stays so."""
        key, old = f"{device}/{rid}", self._answers.too_many()
        known: dict[str, Any] | None = None
        made: dict[str, Any] | None = None

        def change(shadow: Shadow) -> Shadow:
            nonlocal known, made
            known = self._answers.get(key)
            if known is not None:
                return shadow
            try:
                ver, after = self._patched(shadow, patch, origin, via)
            except ShadowError as error:
                made = _rejected(error)
                return shadow
            made = _done(ver)
            return after

        def also(tx: Tx) -> None:
            if made is not None:
                self._answers.store(tx, key, made, self._clock.wall_ms(), old)

        try:
            await self._merge(device, who, change, also, once=key)
        except asyncio.CancelledError:
            if made is not None:  # a cancellation waits for the commit: it is on disk
                self._answers.stored(key, made, old)
            raise
        if made is not None:
            self._answers.stored(key, made, old)
        answer = known or made or {}
        if answer["state"] == Phase.REJECTED:
            raise ShadowError(answer["text"], code=answer["code"], path=answer.get("path", ""))
        return answer

    def _patched(self, shadow: Shadow, patch: messages.Patch, origin: Origin, via: str) -> tuple[int, Shadow]:
        """The version of a patch and the shadow with it. Raises ShadowError."""
        if patch.if_ver is not None and patch.if_ver != shadow.meta.desired_ver:
            text = f"the desired version is {shadow.meta.desired_ver}, not {patch.if_ver}"
            raise ShadowError(text, code=409)
        ver = patch.ver if patch.ver is not None else shadow.meta.desired_ver + 1
        now = self._clock.wall_ms()
        leaves = {
            path: Leaf(value, ver, now, origin, ver if value is not None else 0) for path, value in patch.values.items()
        }
        return ver, merge_patch(shadow, ver, leaves, self._judge.rules(shadow.device, via))

    async def exchanged(self) -> None:
        """An uplink has taken the desired documents and given the reported ones."""
        for device in self.keeper.devices():
            if self.keeper.get(device).edits:
                rules = self._judge.rules(device, "shadow")
                await self.keeper.change(device, partial(edits.exchanged, rules=rules))

    # --- at the gateway

    async def set(
        self, device: str, values: dict[str, Any], *, who: str, origin: Origin = Origin.LOCAL, via: str = ""
    ) -> Shadow:
        """Set values at the gateway: desired ones where the gateway gives the versions, else local edits. `via`: the
        way they came, as in `write.allow`, where it is not that of `origin`.

        All or none; returns the shadow as this change made it. Raises ShadowError.
        """
        self._known(device)
        named = {paths.check_path(path): value for path, value in values.items()}
        leaves = {path: self._from_person(device, path, value) for path, value in named.items()}
        via = via or ("rule" if origin is Origin.RULE else "local")
        if self._settings().authority == GATEWAY:
            return await self._own(device, leaves, origin, who, via)
        rules = self._judge.rules(device, via)

        def change(shadow: Shadow) -> Shadow:
            for path, value in leaves.items():
                if rules.policy(path) is Policy.LOCAL_UNTIL_ONLINE and self._online():
                    text = f"{path} is set in the cloud while the uplink is online (local_until_online)"
                    raise ShadowError(text, code=409, path=path)
                shadow = edits.set_edit(shadow, path, value, who, rules)
            return shadow

        made = await self.keeper.change(device, change)
        for path, value in leaves.items():
            self._audit.record(who, via, "shadow_set", device=device, path=path, new=value)
        return made

    def _from_person(self, device: str, path: str, value: Any) -> Any:
        tag = self._tags.get(device, paths.tag_path(path))
        try:
            return value if tag is None else from_person(tag, value)
        except WriteRejected as error:
            raise ShadowError(str(error), code=error.code, path=path) from None

    async def delete(self, device: str, path: str, *, who: str, via: str = "local") -> Shadow:
        """Take a local edit back, or delete a desired leaf where the gateway gives the versions; the shadow as this
        made it. Raises ShadowError.
        """
        path = paths.check_path(path)
        if self._settings().authority == GATEWAY:
            if path not in self.keeper.get(device).live():
                raise ShadowError(f"{device} has no desired {path!r}", code=404, path=path)
            return await self._own(device, {path: None}, Origin.LOCAL, who, via)
        made = await self.keeper.change(device, partial(edits.drop_edit, path=path))
        self._audit.record(who, via, "shadow_delete", device=device, path=path)
        return made

    async def _own(self, device: str, values: dict[str, Any], origin: Origin, who: str, via: str) -> Shadow:
        """A change of desired leaves whose version the gateway gives."""
        patch = messages.Patch(values, None, None, None)
        return await self._merge(device, who, lambda shadow: self._patched(shadow, patch, origin, via)[1])

    # --- views

    async def view(self, device: str) -> dict[str, Any]:
        """Everything that is known of a device's shadow. Raises ShadowError 404."""
        self._known(device)
        await self.reporter.look(device)
        shadow, reported = self.keeper.get(device), self.reporter.leaves(device)
        return {
            "device": device,
            "desired_ver": shadow.meta.desired_ver,
            "reported_ver": self.reporter.version(device),
            **leaf_views(shadow, reported),
            "delta": self.delta(device),
            "revision": self.keeper.feed.token(),
        }

    def delta(self, device: str) -> dict[str, Any]:
        """Desired leaves that differ from what was reported at the last look."""
        return delta(self.keeper.get(device), self.reporter.leaves(device), self._tags.device(device))

    async def watch(self, token: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Changes after a revision; without one, or when it is too old, first all shadows as they are.

        Items: {"revision", "device", "changes"} and {"revision", "device", "shadow"}.
        """
        feed = self.keeper.feed
        rev = feed.since(token) if token is not None else None
        if rev is None:
            rev = feed.rev
            async for item in self._list():
                yield item
        async for change in feed.after(rev):
            if change is None:
                async for item in self._list():
                    yield item
            else:
                yield {"revision": feed.token(change.rev), "device": change.device, "changes": list(change.items)}

    async def _list(self) -> AsyncIterator[dict[str, Any]]:
        for device in self.devices():
            view = await self.view(device)
            yield {"revision": view.pop("revision"), "device": device, "shadow": view}

    async def prepare(self) -> None:
        """Before the first reported documents of an uplink."""
        await self.reporter.prepare(self.devices())

    def knows(self, device: str) -> bool:
        return self._tags.device(device) is not None

    def devices(self) -> list[str]:
        """Configured devices that have a shadow: something desired, or something to report."""
        return [device.id for device in self._tags.devices() if self._has_shadow(device.id)]

    def _has_shadow(self, device: str) -> bool:
        known = self._tags.device(device)
        return bool(self.keeper.get(device).meta.desired_ver) or (
            known is not None and any(is_state(tag) or tag.spec.shadow for tag in known.tags)
        )

    async def document(self, device: str) -> Document | None:
        return await self.reporter.document(device)

    def untold(self, device: str) -> list[Rejection]:
        """Ends of desired leaves that nobody was told yet."""
        return edits.untold(self.keeper.get(device))

    def listen(self, listener: Listener) -> None:
        """Call `listener(device, within)` when the reported document should go out within so many seconds."""
        self._listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def ended(self, device: str) -> None:
        """A write of the device has ended: what was read goes out at once."""
        for listener in self._listeners:
            listener(device, 0.0)

    def _changed(self, device: str, before: Shadow, after: Shadow) -> None:
        wished = before.meta.desired_ver != after.meta.desired_ver or before.edits.keys() != after.edits.keys()
        if wished or edits.untold(after) != edits.untold(before):
            for listener in self._listeners:
                listener(device, SETTLE_S)

    def _answer(self, device: str) -> None:
        """Whoever sends an old document is shown the reported one, known or not."""
        for key in [key for key in self._acked if key.endswith(f" {device}")]:
            self._acked[key] = ""
        self.ended(device)

    def acked(self, url: str, device: str) -> str:
        """Hash of the reported document that the broker at this address acknowledged last."""
        return str(self._acked.get(f"{url} {device}", ""))

    def ack(self, url: str, device: str, document_hash: str) -> None:
        """A reported document was acknowledged. Kept with the next commit: at worst it is sent once more."""
        key = f"{url} {device}"
        self._acked[key] = document_hash

        def work(tx: Tx) -> None:
            tx.put(ACKED, key, document_hash)

        future = self._journal.submit(work, Level.LAZY)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def told(self, device: str, rejection: Rejection) -> None:
        """A rejection was acknowledged."""
        await self.keeper.change(device, partial(edits.told, rejection=rejection), Level.LAZY)

    # --- inside

    async def _merge(
        self,
        device: str,
        who: str,
        change: Callable[[Shadow], Shadow],
        also: Callable[[Tx], None] | None = None,
        once: str = "",
    ) -> Shadow:
        known = self.keeper.get(device)
        made = await self.keeper.change(device, change, also=also, once=once)
        before, after = known.meta.desired_ver, made.meta.desired_ver
        if after != before:
            self._audit.record(who, "shadow", "desired", device=device, old=before, new=after)
        for path, one in made.progress.items():
            if one.phase is Phase.REJECTED and known.progress.get(path) != one:
                self._tell_refused(device, one.code, one.text)
        return made

    def _known(self, device: str) -> str:
        if self._tags.device(device) is None:
            raise ShadowError(f"there is no device {device}", code=404)
        return device

    def _tell_refused(self, device: str, code: int, text: str) -> None:
        self._audit.record("cloud", "shadow", "desired_refused", device=device, code=code, text=text[:200])

    def _refused(self, device: str, error: ShadowError, ver: int) -> Rejection:
        self._tell_refused(device, error.code, str(error))
        return Rejection(error.path, ver, Phase.REJECTED, error.code, str(error))


def _done(ver: int) -> dict[str, Any]:
    return {"state": "done", "code": 200, "out": {"desired_ver": ver}}


def _rejected(error: ShadowError) -> dict[str, Any]:
    path = {"path": error.path} if error.path else {}
    return {"state": Phase.REJECTED.value, "code": error.code, "text": str(error), **path}
