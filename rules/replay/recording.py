"""The head of a recording: rules, tags and where the engine stood, as one JSON object. No secrets are in it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct, structs

from gateway import lossless
from gateway.errors import GatewayError
from gateway.model import Quality, Tag, TagSpec, Value
from gateway.rulebook import RuleBook, RuleSpec, Step, VirtualSpec
from rules.engine import Engine
from rules.replay import baseline

FORM = 1


class NotARecording(GatewayError):
    """A file of another kind, or of a later release."""


class Latest(Struct, frozen=True):
    """The latest value of a tag when a recording began. `ts` in UTC ms, `quality` as in gateway.model.Quality."""

    tag: str
    value: Value
    quality: int
    ts: int


class Head(Struct, frozen=True):
    """What a recording begins with. `taken`: the engine's baseline."""

    gateway: str
    version: str
    at: int
    offset: int
    book: RuleBook
    tags: list[Tag]
    taken: dict[str, Any]
    latest: list[Latest]


def head_line(engine: Engine, gateway: str, version: str, latest: Sequence[Latest]) -> dict[str, Any]:
    """The first line of a recording that begins now."""
    graph = engine.graph
    packed = zlib.compress(msgspec.msgpack.encode(baseline.take(engine)), 6)
    return {
        "recording": FORM,
        "gateway": gateway,
        "version": version,
        "at": engine.now.at,
        "offset": engine.now.wall - engine.now.at,
        "book": msgspec.to_builtins(_without_secrets(graph.book)),
        "tags": [_tag_row(tag) for tag in graph.tags],
        "engine": base64.b64encode(packed).decode(),
        "latest": [[one.tag, lossless.to_json(one.value), Quality(one.quality).text, one.ts] for one in latest],
    }


def head_from(line: Any) -> Head:
    """The head of the first line of a recording. Raises NotARecording."""
    if not isinstance(line, dict) or "recording" not in line:
        raise NotARecording("this is no recording of `fieldpost record`")
    if line["recording"] != FORM:
        raise NotARecording(f"this recording has the form {line['recording']}, which this release does not know")
    try:
        packed = zlib.decompress(base64.b64decode(line["engine"]))
        return Head(
            gateway=str(line["gateway"]),
            version=str(line["version"]),
            at=int(line["at"]),
            offset=int(line["offset"]),
            book=msgspec.convert(line["book"], RuleBook),
            tags=[_tag(row) for row in line["tags"]],
            taken=msgspec.msgpack.decode(packed, strict=False),
            latest=[
                Latest(tag, lossless.from_json(value), int(Quality.parse(quality)), int(ts))
                for tag, value, quality, ts in line["latest"]
            ],
        )
    except (KeyError, TypeError, ValueError, zlib.error, msgspec.MsgspecError) as error:
        raise NotARecording(f"the first line of this recording is damaged: {error}") from error


def _tag_row(tag: Tag) -> dict[str, Any]:
    spec = structs.replace(tag.spec, source=None)
    return {"device": tag.device, "slot": tag.slot, "spec": msgspec.to_builtins(spec)}


def _tag(row: dict[str, Any]) -> Tag:
    spec = msgspec.convert(row["spec"], TagSpec)
    if spec.virtual is not None:
        spec = structs.replace(spec, virtual=msgspec.convert(spec.virtual, VirtualSpec))
    slot = int(row["slot"])
    return Tag(str(row["device"]), spec.path, slot, slot + 1, spec)


def _without_secrets(book: RuleBook) -> RuleBook:
    """URLs and headers of webhooks and notifications may carry passwords, and decide nothing."""
    return structs.replace(book, rules=tuple(_plain(rule) for rule in book.rules), notify=())


def _plain(rule: RuleSpec) -> RuleSpec:
    return structs.replace(rule, start=_steps(rule.start), end=_steps(rule.end))


def _steps(steps: Sequence[Step]) -> tuple[Step, ...]:
    return tuple(structs.replace(step, headers=(), url="") for step in steps)
