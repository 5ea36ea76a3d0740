"""From an answer to values: which part, of which type, of what quality and time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET

from drivers.http.jsonpath import NOTHING, Step, compiled, pick, word
from drivers.http.settings import DeviceSettings, TagSettings
from drivers.http.times import milliseconds
from drivers.http.wire import Answer
from gateway.driver import Columns
from gateway.errors import BadFrame
from gateway.model import Quality, Tag, TagSpec, Value, ValueType
from gateway.textvalues import raw_of
from gateway.transform import RAW, column

# A pattern may need time that grows with the square of a text: it gets so much, then it counts as not fitting.
REGEX_S: Final = 0.05
Searching = Callable[[str], str | None]


class Decoder:
    """Of one request. Made once; `columns` is called with each answer."""

    def __init__(self, tags: Sequence[Tag], device: DeviceSettings, time: str) -> None:
        self._tags = tags
        self._parts = [_Part(tag.spec) for tag in tags]
        self._convert = column([tag.spec for tag in tags])
        self._time = compiled(time) if time else None
        self._timezone = device.timezone
        self._documents = bool(time) or any(part.steps is not None for part in self._parts)
        self._texts = any(part.steps is None for part in self._parts)

    def columns(self, answer: Answer) -> Columns:
        """Raises BadFrame when nothing of it is an answer to this request."""
        document = parsed(answer.body) if self._documents else None
        text = text_of(answer) if self._texts else ""
        raws: list[Any] = []
        codes: list[int] = []
        for part in self._parts:
            raw, code = part.found(document, text)
            raws.append(raw)
            codes.append(code)
        if len(codes) == 1 and codes[0] == Quality.BAD_CONFIG and self._parts[0].steps is None:
            raise BadFrame(f"{text[:80]!r} is no value of {self._parts[0].spec.path}")
        return self._timed(document, raws, codes)

    def reasons(self) -> Iterator[tuple[Tag, str]]:
        """Why each tag had no value in the last answer; empty for one that had."""
        for tag, part in zip(self._tags, self._parts, strict=True):
            yield tag, part.why

    def _timed(self, document: Any, raws: list[Any], codes: list[int]) -> Columns:
        values: Sequence[Value] = raws
        if self._convert is not None:
            stood = [part.stand_in if raw is None else raw for part, raw in zip(self._parts, raws, strict=True)]
            values, codes = _converted(self._convert, stood, codes)
        ts = None
        if self._time is not None:
            ts = milliseconds(pick(document, self._time), self._timezone)
            if ts is None:  # it should say when and does not: the gateway's time is a guess
                codes = [int(Quality.UNCERTAIN) if code == Quality.GOOD else code for code in codes]
        return Columns(values, codes if any(codes) else None, None, ts)


def _converted(convert: Any, stood: list[Any], codes: list[int]) -> tuple[list[Any], list[int]]:
    """The transform knows values of its types only: what is missing has a stand-in, and stays missing."""
    values, quality = convert(stood)
    marks = list(quality) if quality is not None else [0] * len(codes)
    made = [None if code else value for value, code in zip(values, codes, strict=True)]
    return made, [code or mark for code, mark in zip(codes, marks, strict=True)]


def _stand_in(kind: ValueType) -> Any:
    if RAW[kind].bits == 0:
        return b"" if kind is ValueType.BYTES else ""
    return 0.0 if RAW[kind].is_float else 0


class _Part:
    def __init__(self, spec: TagSpec) -> None:
        settings: TagSettings = spec.source
        self.spec = spec
        self.steps: tuple[Step, ...] | None = compiled(settings.json) if settings.json else None
        self.stand_in = _stand_in(spec.type)
        self._if_null = settings.if_null
        self._search: Searching | None = searching(settings.regex) if settings.regex else None
        self._json, self._regex = settings.json, settings.regex
        self.why = ""

    def _none(self, why: str, quality: Quality = Quality.BAD_CONFIG) -> tuple[None, int]:
        self.why = why
        return None, int(quality)

    def found(self, document: Any, text: str) -> tuple[Any, int]:
        """The raw value, or None, and its quality. `why` says what was wrong."""
        self.why = ""
        if self.steps is not None:
            value = pick(document, self.steps)
            if value is None or value is NOTHING:
                if self._if_null is UNSET:
                    if value is None:
                        return self._none(f"null at {self._json}", Quality.BAD_SENSOR)
                    return self._none(f"the answer has nothing at {self._json}")
                value = self._if_null
            text = _as_text(value, self.spec.type)
        if self._search is not None:
            inner = self._search(text)
            if inner is None and self._if_null is not UNSET:
                inner = word(self._if_null)
            if inner is None:
                return self._none(f"the pattern {self._regex} is not in the answer")
            text = inner
        try:
            return raw_of(self.spec, text.strip() if self.spec.type is not ValueType.STRING else text), 0
        except BadFrame as error:
            return self._none(str(error))


def _as_text(value: Any, kind: ValueType) -> str:
    if isinstance(value, str) and kind is not ValueType.OBJECT:
        return value
    if isinstance(value, dict | list) or kind is ValueType.OBJECT:
        return msgspec.json.encode(value).decode()
    return word(value)


def parsed(body: bytes) -> Any:
    """A JSON document. Raises BadFrame."""
    try:
        return msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadFrame(f"no JSON: {error}") from error


def text_of(answer: Answer) -> str:
    """The body as text, in the charset that it says; what does not fit becomes a mark."""
    said = re.search(r'charset="?([\w.:-]{1,40})', answer.first("content-type"), re.IGNORECASE)
    try:
        return answer.body.decode(said[1] if said else "utf-8", "replace").strip()
    except (LookupError, ValueError):
        return answer.body.decode("utf-8", "replace").strip()


def searching(pattern: str) -> Searching:
    """The first group of a pattern in a text, or the whole of what fits; bounded in time."""
    import regex  # a library of its own, for the channels that have patterns

    try:
        made = regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"{pattern!r}: {error}") from error

    def search(text: str) -> str | None:
        try:
            found = made.search(text, timeout=REGEX_S)
        except TimeoutError:
            return None
        if found is None:
            return None
        return str(found[1]) if made.groups and found[1] is not None else None if made.groups else str(found[0])

    return search
