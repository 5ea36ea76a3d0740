"""What the configuration says of desired leaves: which policy holds, and whether a value can be desired at all."""

from __future__ import annotations

from collections.abc import Callable

from gateway.clock import Clock
from gateway.errors import WriteRejected
from gateway.model import Tag, Value
from gateway.settings.types import ShadowSettings
from gateway.shadows import paths
from gateway.shadows.convert import is_state, to_tag
from gateway.shadows.merge import Rules
from gateway.shadows.values import Policy, ShadowError
from gateway.tags import TagTable
from gateway.transform import RAW, to_raw


class Judge:
    """`allows(tag, via)` raises WriteRejected when such a write is not allowed now."""

    def __init__(
        self,
        tags: TagTable,
        clock: Clock,
        settings: Callable[[], ShadowSettings],
        allows: Callable[[Tag, str], None],
    ) -> None:
        self._tags = tags
        self._clock = clock
        self._settings = settings
        self._allows = allows

    def rules(self, device: str, via: str) -> Rules:
        """For one merge. `via`: the way a value came over, as in `write.allow`."""
        known = self._tags.device(device)

        def policy(path: str) -> Policy:
            tag = self._tags.get(device, paths.tag_path(path))
            chosen = tag.spec.conflict if tag is not None and tag.spec.conflict else None
            return Policy(chosen or (known.spec.conflict if known is not None else Policy.CLOUD_WINS))

        return Rules(
            policy,
            lambda path, value: self._check(device, path, value, via),
            self._settings().max_bytes,
            self._clock.synced(),
            self._clock.wall_ms(),
        )

    def _check(self, device: str, path: str, value: object, via: str) -> None:
        """Raises ShadowError with the leaf's path when it cannot be desired."""
        tag = self._tags.get(device, paths.tag_path(path))
        if tag is None:
            raise ShadowError(f"{device} has no tag {paths.tag_path(path)}", code=404, path=path)
        if not is_state(tag):
            why = "is momentary or cannot be read back: use a command" if tag.spec.access != "r" else "is read-only"
            raise ShadowError(f"{tag.name} {why}", code=403, path=path)
        try:
            _check_fits(tag, to_tag(tag, value))
            self._allows(tag, via)
        except (WriteRejected, ShadowError) as error:
            raise ShadowError(str(error), code=error.code, path=path) from None


def _check_fits(tag: Tag, value: Value) -> None:
    """Raises WriteRejected 422 for a number that the type on the wire cannot hold.

    Where the scale is read from the device nobody knows yet: it is judged when it is written.
    """
    if RAW[tag.spec.type].bits > 1 and tag.spec.scale_from is None:
        to_raw(tag.spec, value)
