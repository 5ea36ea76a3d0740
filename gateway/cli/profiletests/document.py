"""Files of cases: YAML to cases, with file:line:column for everything that is wrong."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from gateway.cli.ruletests.tagvalues import value_fault, value_of
from gateway.errors import Problem
from gateway.fake_context import bind_devices
from gateway.model import ChannelSpec, Quality, Tag, Value
from gateway.settings.convert import show
from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Document, Origin, Problems
from gateway.settings.sections import mapping_at, section
from gateway.settings.yaml_reader import read_documents

_FORM = "cases: {at rest: {given: {...}, expect: {power: 0}}}"


class _File(Struct, frozen=True):
    cases: dict[str, Any]
    profile: str | None = None
    driver: str | None = None
    device: dict[str, Any] = {}
    channel: dict[str, Any] = {}


class _Case(Struct, frozen=True):
    given: dict[str, Any]
    expect: dict[str, Any]
    source: str = ""
    device: dict[str, Any] = {}
    requests: Annotated[int, Meta(ge=0)] | None = None


class _Reading(Struct, frozen=True):
    value: Any = None
    quality: str = "good"


class Wanted(Struct, frozen=True):
    """What a tag must be. `quality`: as in gateway.model.Quality."""

    tag: Tag
    value: Value
    quality: int
    line: int


class Case(Struct, frozen=True):
    """One case. `device`: keys of the device besides the profile; `given`: in the words of the driver. `requests`: how
    many the plan must have, None: that is not asked. `source`: where its numbers are from.
    """

    name: str
    file: str
    line: int
    origin: Origin
    device: dict[str, Any]
    channel: dict[str, Any]
    given: dict[str, Any]
    expect: dict[str, Any]
    requests: int | None = None
    source: str = ""

    def wanted(self, channel: ChannelSpec, problems: Problems) -> list[Wanted]:
        """What is expected of the channel's only device, as far as it can be."""
        (device,) = bind_devices(channel)
        tags = {tag.path: tag for tag in device.tags}
        found: list[Wanted] = []
        for path, written in self.expect.items():
            place = self.origin.child("expect", path)
            tag = tags.get(path)
            if tag is None:
                problems.at_key(place, f"the profile has no tag `{path}`", did_you_mean(path, tags))
                continue
            reading = _reading(written, place, problems)
            if reading is None:
                continue
            fault = value_fault(tag, reading.value)
            if fault:
                problems.at(place, f"`{path}` {fault}, not {show(reading.value)}")
                continue
            quality = _quality(reading.quality, place, problems)
            if quality is not None:
                found.append(Wanted(tag, value_of(tag, reading.value), quality, place.document.locate(place.path)[0]))
        return found


class CaseFile(Struct, frozen=True):
    """A file of cases. `driver`: as it names one, else empty."""

    file: str
    driver: str
    cases: tuple[Case, ...]


def read_cases(file: str, raw: bytes, problems: Problems) -> CaseFile:
    """The cases of a file, as far as they are right; the rest is among the problems."""
    documents = [one for one in read_documents(file, raw, problems) if one.data is not None]
    if len(documents) != 1:
        if documents:
            problems.at(Origin(documents[1]), "a file of cases holds one document", "put it into a file of its own")
        elif not len(problems):
            problems.add(Problem(file, 1, 1, "", "the file is empty", _FORM))
        return CaseFile(file, "", ())
    return _read(file, documents[0], problems)


def _read(file: str, document: Document, problems: Problems) -> CaseFile:
    top = Origin(document)
    data = mapping_at(document.data, top, problems, what="a file of cases", form=_FORM)
    content = None if data is None else section(_File, data, top, problems, what="a file of cases")
    if content is None:
        return CaseFile(file, "", ())
    _check_keys(content.device, content.channel, top, problems)
    found: list[Case] = []
    for name, body in content.cases.items():
        place = top.child("cases", name)
        values = mapping_at(body, place, problems, what=f"the case `{name}`")
        raw = None if values is None else section(_Case, values, place, problems, what=f"the case `{name}`")
        if raw is None:
            continue
        _check_keys(raw.device, {}, place, problems)
        if not raw.expect:
            problems.at_key(place.child("expect"), "the case expects nothing", "write a tag and its value")
        line = document.locate(place.path, at_key=True)[0]
        device = _over(content.device, raw.device)
        found.append(
            Case(name, file, line, place, device, content.channel, raw.given, raw.expect, raw.requests, raw.source)
        )
    if not content.cases:
        problems.at_key(top.child("cases"), "there is no case", _FORM)
    return CaseFile(file, content.driver or "", tuple(found))


def _check_keys(device: dict[str, Any], channel: dict[str, Any], place: Origin, problems: Problems) -> None:
    """Keys that would make it another profile's test."""
    for section_, keys, own in (("device", device, ("profile",)), ("channel", channel, ("driver", "devices", "watch"))):
        for key in own:
            if key in keys:
                problems.at_key(place.child(section_, key), f"`{key}` is not for a case to say", "remove it")


def _over(below: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Keys of a device for all cases with those of one case over them; parameters add up."""
    merged = below | own
    if isinstance(below.get("params"), dict) and isinstance(own.get("params"), dict):
        merged["params"] = below["params"] | own["params"]
    return merged


def _reading(written: Any, place: Origin, problems: Problems) -> _Reading | None:
    if isinstance(written, dict) and "hex" not in written and not written.keys().isdisjoint({"value", "quality"}):
        return section(_Reading, written, place, problems, what="an expected reading")
    return _Reading(written)


def _quality(text: str, place: Origin, problems: Problems) -> int | None:
    try:
        return int(Quality.parse(text))
    except KeyError:
        known = [quality.text for quality in Quality]
        problems.at(place.child("quality"), f"there is no quality `{text}`", did_you_mean(text, known))
        return None
