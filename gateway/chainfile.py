"""The chain of audit entries in JSON lines: what `fieldpost audit --json` printed, or messages as they came over MQTT.

A line is an object with `entries` (and `gaps`), a message of `up/event`, a gap record of `up/gap`, or one entry. What
was delivered twice is taken once. Entries of one gateway only: each has a chain of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.audit import STREAM
from gateway.chain import Chain, Hole, Verdict
from gateway.errors import GatewayError


class NotAudit(GatewayError):
    """Something that is not of the form above."""


def verify_lines(lines: Iterable[Any]) -> Verdict:
    """The verdict on the decoded lines. Raises NotAudit."""
    taken: list[tuple[int, dict[str, Any]]] = []
    holes: list[Hole] = []
    gateways: set[str] = set()
    seen: set[tuple[int, str]] = set()
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict):
            raise NotAudit(f"object {number} is no entry, no message and no gap record")
        if "gateway" in line:
            gateways.add(str(line["gateway"]))
        holes.extend(_holes(line))
        for epoch, entry in _entries(line):
            # Delivered twice and equal to the letter: the same entry. Anything else of that number is judged.
            key = (epoch, repr(sorted(entry.items())))
            if key not in seen:
                seen.add(key)
                taken.append((epoch, entry))
    if len(gateways) > 1:
        raise NotAudit(f"entries of more than one gateway: {', '.join(sorted(gateways))}")
    chain = Chain(lambda epoch: [hole for hole in holes if hole.epoch == epoch])
    for epoch, entry in taken:
        chain.take(epoch, entry)
    return chain.finish()


def _entries(line: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    found = line.get("entries", [line] if line.get("kind") == "audit" else [])
    if not isinstance(found, list):
        raise NotAudit("`entries` is no list")
    for each in found:
        if not isinstance(each, dict):
            raise NotAudit("an entry is no object")
        if each.get("kind") != "audit":
            continue
        entry = dict(each)
        epoch = entry.pop("epoch", line.get("epoch"))  # it is the message's, not the entry's
        if not isinstance(epoch, int):
            raise NotAudit(f"the epoch of entry {entry.get('seq')} is not there")
        yield epoch, entry


def _holes(line: dict[str, Any]) -> Iterator[Hole]:
    gaps = line.get("gaps", [line] if "why" in line and line.get("stream") == STREAM else [])
    for gap in gaps if isinstance(gaps, list) else ():
        if not isinstance(gap, dict):
            raise NotAudit("a gap record is no object")
        epoch, first, last = gap.get("epoch"), gap.get("from"), gap.get("to")
        if isinstance(epoch, int) and isinstance(first, int) and isinstance(last, int):
            yield Hole(epoch, first, last, str(gap.get("why", "")))
