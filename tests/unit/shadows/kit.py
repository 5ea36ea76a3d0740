"""What the shadows' tests share: rules without a device, a cloud that gives versions, messages in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct, field

from gateway.shadows import paths
from gateway.shadows.merge import Rules, merge_document, merge_patch
from gateway.shadows.values import Leaf, Origin, Policy, Shadow, ShadowError

NOW = 1_800_000_000_000


def rules(
    policy: Policy = Policy.CLOUD_WINS,
    check: Callable[[str, object], None] = lambda _path, _value: None,
    *,
    max_bytes: int = 8192,
    synced: bool = True,
    now: int = NOW,
) -> Rules:
    return Rules(lambda _path: policy, check, max_bytes, synced, now)


def refusing(*values: object, code: int = 422) -> Callable[[str, object], None]:
    """A check that refuses these values."""

    def check(path: str, value: object) -> None:
        if value in values:
            raise ShadowError(f"{value!r} is out of range", code=code, path=path)

    return check


def leaf(value: object, ver: int, ts: int = NOW, origin: Origin = Origin.CLOUD) -> Leaf:
    return Leaf(value, ver, ts, origin, ver if value is not None else 0)


class Message(Struct, frozen=True):
    """A whole document (`whole`) or a patch, as the cloud published it at version `ver`."""

    ver: int
    values: dict[str, Any]
    whole: bool = False
    meta: dict[str, int] | None = None

    def merged(self, shadow: Shadow, rules: Rules) -> Shadow:
        meta = self.meta or {}
        leaves = {path: leaf(value, meta.get(path, self.ver)) for path, value in self.values.items()}
        if self.whole:
            return merge_document(shadow, self.ver, leaves, rules, own_versions=self.meta is not None)
        return merge_patch(shadow, self.ver, leaves, rules)


class CloudSide(Struct):
    """The desired side as a cloud keeps it: one counter, live leaves with their versions."""

    ver: int = 0
    leaves: dict[str, tuple[Any, int]] = field(default_factory=dict)

    def patch(self, values: dict[str, Any]) -> Message:
        """Set leaves, or delete them with None; a leaf that collides goes with it."""
        self.ver += 1
        for path, value in values.items():
            for other in [other for other in self.leaves if value is not None and paths.collides(path, other)]:
                del self.leaves[other]
            self.leaves.pop(path, None)
            if value is not None:
                self.leaves[path] = (value, self.ver)
        return Message(self.ver, values)

    def document(self, *, meta: bool) -> Message:
        values = {path: value for path, (value, _) in self.leaves.items()}
        vers = {path: ver for path, (_, ver) in self.leaves.items()}
        return Message(self.ver, values, True, vers if meta else None)

    def values(self) -> dict[str, Any]:
        return {path: value for path, (value, _) in self.leaves.items()}


def merged(messages: Iterable[Message], shadow: Shadow | None = None, by: Rules | None = None) -> Shadow:
    shadow = shadow or Shadow("dev")
    for message in messages:
        shadow = message.merged(shadow, by or rules())
    return shadow


def values(shadow: Shadow) -> dict[str, Any]:
    return {path: leaf.value for path, leaf in shadow.live().items()}
