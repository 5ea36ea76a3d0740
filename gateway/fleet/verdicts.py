"""What became of each leaf of a change, judged from what the gateway says. Pure.

ok: the device has it, read back. pending: device or gateway are not there yet, or nobody has said anything.
rejected, failed, expired: the gateway's own end, with its code and text. superseded: a later version took its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.fleet.shadows import Applied, Rejection, Reported, equal

FINAL = frozenset({"ok", "rejected", "failed", "superseded", "expired"})


class LeafResult(Struct, frozen=True):
    """One leaf. `value` is what the device has, as far as it is known; `ver` the version that asked for it."""

    path: str
    state: str
    ver: int
    code: int = 0
    text: str = ""
    value: Any = None


class Verdicts:
    """Waits for the ends of `edits` (path to value, None takes it out) at the versions `wanted`.

    With `exact` False the gateway gave the version itself: `wanted` is the lowest that it can be.
    """

    def __init__(
        self,
        edits: Mapping[str, Any],
        wanted: Mapping[str, int],
        *,
        tolerance: float | None = None,
        exact: bool = True,
    ) -> None:
        self._edits = dict(edits)
        self._wanted = dict(wanted)
        self._tolerance = tolerance
        self._exact = exact
        self._found: dict[str, LeafResult] = {}
        self._reported: Reported | None = None
        self._told = False

    @property
    def wanted(self) -> dict[str, int]:
        """The version that each leaf is waited for at."""
        return dict(self._wanted)

    def want(self, wanted: Mapping[str, int]) -> None:
        """The versions changed: ends of other versions are no ends of ours."""
        for path, ver in wanted.items():
            if self._wanted[path] != ver:
                self._wanted[path] = ver
                self._found.pop(path, None)
        if self._reported is not None:
            self.reported(self._reported)

    def overruled(self, paths: Mapping[str, int]) -> None:
        """Later documents with other values."""
        for path, ver in paths.items():
            self._end(path, "superseded", 409, f"version {ver} of the desired document has another value")

    def reported(self, reported: Reported) -> None:
        """A reported document, retained or new."""
        known = self._reported
        if known is not None and known.epoch == reported.epoch and reported.ver < known.ver:
            return
        self._reported = reported
        self._told = self._told or reported.desired_ver >= max(self._wanted.values())
        for path in self._edits:
            self._judge(path, reported)

    def _judge(self, path: str, reported: Reported) -> None:
        applied = (reported.apply or {}).get(path)
        wanted = self._wanted[path]
        if self._edits[path] is None:
            if reported.desired_ver >= wanted:
                self._end(path, "ok", 200, "")
        elif applied is not None and self._is_ours(applied.ver, wanted):
            self._applied(path, applied)
        elif applied is not None and applied.ver > wanted:
            self._end(path, "superseded", 409, f"version {applied.ver} took its place")
        elif (
            reported.desired_ver >= wanted
            and path in reported.values
            and equal(self._edits[path], reported.values[path], self._tolerance)
        ):
            self._end(path, "ok", 200, "")

    def _is_ours(self, ver: int, wanted: int) -> bool:
        return ver == wanted if self._exact else ver >= wanted

    def _applied(self, path: str, applied: Applied) -> None:
        if applied.state == "ok":
            self._end(path, "ok", applied.code or 200, applied.text)
        elif applied.state in FINAL:
            self._end(path, applied.state, applied.code, applied.text)
        else:
            self._say(path, applied.code, applied.text or applied.state)

    def rejected(self, rejection: Rejection) -> None:
        """A message of the topic `rejected`."""
        if rejection.edit is not None:  # a local edit was lost: no word on what was desired
            return
        for path in self._edits if not rejection.path else [rejection.path]:
            if path in self._edits and self._is_ours(rejection.ver, self._wanted[path]):
                if rejection.state in FINAL - {"ok"}:
                    self._end(path, rejection.state, rejection.code, rejection.text)
                else:
                    self._say(path, rejection.code, rejection.text)

    @property
    def final(self) -> bool:
        """Whether every leaf has its end."""
        return all(path in self._found and self._found[path].state in FINAL for path in self._edits)

    @property
    def complete(self) -> bool:
        """`final`, and of what failed it is known what the device has: from a document later than the change."""
        return self.final and (self._told or all(each.state != "failed" for each in self._found.values()))

    def results(self, why: str = "nothing was heard of it yet") -> list[LeafResult]:
        """One result per leaf; `why` is said of those of which nothing is known."""
        return [self._result(path, why) for path in self._edits]

    def _result(self, path: str, why: str) -> LeafResult:
        found = self._found.get(path) or LeafResult(path, "pending", self._wanted[path], 504, why)
        value = self._reported.values.get(path) if self._reported is not None else None
        return LeafResult(path, found.state, self._wanted[path], found.code, found.text, value)

    def _end(self, path: str, state: str, code: int, text: str) -> None:
        known = self._found.get(path)
        if known is None or known.state not in FINAL:  # every end is final for its version
            self._found[path] = LeafResult(path, state, self._wanted[path], code, text)

    def _say(self, path: str, code: int, text: str) -> None:
        known = self._found.get(path)
        if known is None or known.state not in FINAL:
            self._found[path] = LeafResult(path, "pending", self._wanted[path], code, text)
