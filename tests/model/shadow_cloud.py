"""The cloud of the shadow model, written from protocol.md alone: its own counter, the desired side, what it heard.

`Reference` is what the gateway must hold after any messages in any order: per path the greatest version wins.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from tests.model.shadow_terms import BAD, Message

_TS = 1_800_000_000_000
_MARGIN = 1_000


class Cloud(Struct):
    """Desired leaves path -> (value, version); what the gateway reported; rejections, newest last."""

    ver: int = 0
    desired: dict[str, tuple[Any, int]] = field(default_factory=dict)
    reported: dict[str, Any] = field(default_factory=dict)
    reported_vers: dict[str, int] = field(default_factory=dict)
    reported_ver: int = 0
    local: dict[str, list[Any]] = field(default_factory=dict)
    counter_lost: bool = False
    """Restored from an old copy: it gives no version before it has heard the gateway's."""

    def set(self, values: Mapping[str, Any], *, ts: int, rid: str | None = None) -> Message:
        """A patch. None deletes. A patch with a value that nobody may desire is sent, and its leaves are taken back."""
        self.ver += 1
        bad = any(path in BAD and value is BAD[path] for path, value in values.items())
        if not bad:
            for path, value in values.items():
                self.desired.pop(path, None)
                if value is not None:
                    self.desired[path] = (value, self.ver)
        body: dict[str, Any] = {"v": 1, "ver": self.ver, "state": _nest(values)}
        if rid is not None:
            body["rid"] = rid
        ver = self.ver
        leaves = {path: (value, ver) for path, value in values.items()}
        self.ver += bad  # taking back is a change of its own
        return Message(ver, leaves, whole=False, meta=False, payload=_bytes(body), bad=bad, rid=rid)

    def document(self, *, meta: bool, ts: int = _TS) -> Message:
        body: dict[str, Any] = {"v": 1, "ver": self.ver}
        body["state"] = _nest({path: value for path, (value, _) in self.desired.items()})
        if meta:
            body["meta"] = {path: [ver, ts] for path, (_, ver) in self.desired.items()}
        leaves = {path: (value, ver if meta else self.ver) for path, (value, ver) in self.desired.items()}
        return Message(self.ver, leaves, whole=True, meta=meta, payload=_bytes(body))

    def hear(self, body: Mapping[str, Any]) -> None:
        """A reported document. One that is older than known changes nothing."""
        if body["ver"] < self.reported_ver:
            return
        self.reported_ver = body["ver"]
        self.reported = _flatten(body["state"])
        self.reported_vers = {path: row[0] for path, row in body["meta"].items()}
        self.local = dict(body.get("local", {}))

    def go_on_above(self, desired_ver: int) -> None:
        """After a restore from an old copy: all leaves anew, above whatever was given before.

        Far above: messages of before may still be on their way, with versions that the gateway has not seen yet.
        """
        self.counter_lost = False
        self.ver = max(self.ver, desired_ver) + _MARGIN
        self.desired = {path: (value, self.ver) for path, (value, _) in self.desired.items()}

    def copied(self) -> Cloud:
        return copy.deepcopy(self)


class Reference:
    """Per path the greatest of what the messages say: a value, its deletion, its absence from a whole document."""

    def __init__(self) -> None:
        self._best: dict[str, tuple[int, int, Any]] = {}
        self._full = 0
        self.gone: dict[str, int] = {}
        """Path -> greatest version at which it was deleted, as far as the gateway was told."""

    def take(self, message: Message) -> None:
        for path, (value, ver) in message.leaves.items():
            if (ver, 1) > self._best.get(path, (self._full, 0, None))[:2]:
                self._best[path] = (ver, 1, value)
            if value is None:
                self.gone[path] = max(ver, self.gone.get(path, 0))
        if message.whole:
            self._full = max(self._full, message.ver)
            for path, best in self._best.items():
                if path not in message.leaves and (message.ver, 0) > best[:2]:
                    self._best[path] = (message.ver, 0, None)
                    self.gone[path] = max(message.ver - 1, self.gone.get(path, 0))

    def values(self) -> dict[str, Any]:
        return {path: value for path, (_, _, value) in self._best.items() if value is not None}


def _bytes(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path, value in values.items():
        folder, _, name = path.rpartition(".")
        (root.setdefault(folder, {}) if folder else root)[name] = value
    return root


def _flatten(state: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, dict):
            found.update({f"{name}.{inner}": one for inner, one in value.items()})
        else:
            found[name] = value
    return found
