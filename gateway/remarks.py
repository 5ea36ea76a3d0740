"""Why a tag is bad, in its protocol's words: one text a tag, for people who look at it."""

from __future__ import annotations

from gateway.model import Tag

LONGEST = 300


class Remarks:
    """Texts of one channel's tags; there are never more than tags."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def put(self, tag: Tag, why: str) -> None:
        """Keep the newest text; an empty one takes it back. A tag that is not configured has none."""
        if tag.slot < 0:
            return
        if why:
            self._texts[tag.slot] = why[:LONGEST]
        else:
            self._texts.pop(tag.slot, None)

    def get(self, tag: Tag) -> str:
        return self._texts.get(tag.slot, "")
