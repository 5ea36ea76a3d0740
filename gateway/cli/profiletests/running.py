"""Runs the cases of a profile, and looks at the profile itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.cli.profiletests.document import Case, CaseFile, Wanted, read_cases
from gateway.cli.profiletests.lint import Remark, remarks_of
from gateway.cli.profiletests.loading import channel_of, driver_of, rehearsal_of
from gateway.cli.profiletests.sources import Source
from gateway.cli.ruletests.tagvalues import same_value
from gateway.driver import DriverSpec
from gateway.errors import ConfigError, GatewayError, PermanentError, Problem
from gateway.model import ChannelSpec, Quality, Value
from gateway.registry import DriverNotUsable
from gateway.rehearsal import GivenError, Rehearsal
from gateway.settings.positions import Problems


class CaseResult(Struct, frozen=True):
    """One case that was played. `failures`: what is not as expected, a line each; `checked`: the tags it looks at.
    `skipped`: why it could not be played here, a library that is not installed; empty when it was.
    """

    name: str
    file: str
    line: int
    failures: tuple[str, ...]
    checked: frozenset[str] = frozenset()
    skipped: str = ""


class Result(Struct, frozen=True):
    """A profile that was tried. `requests`: of one round over all tags; None for a device that speaks by itself.
    `plays`: whether its driver plays cases at all.
    """

    source: Source
    driver: str
    tags: int
    requests: int | None
    cases: tuple[CaseResult, ...]
    remarks: tuple[Remark, ...]
    plays: bool = True

    @property
    def failed(self) -> list[CaseResult]:
        return [case for case in self.cases if case.failures]

    @property
    def checked(self) -> int:
        """Tags that some case has looked at."""
        return len(frozenset[str]().union(*(case.checked for case in self.cases if not case.skipped)))

    @property
    def skipped(self) -> list[CaseResult]:
        return [case for case in self.cases if case.skipped]

    def ok(self, *, strict: bool) -> bool:
        """`strict`: advice counts as a fault, and so does a case that could not be played."""
        odd = any(each.is_fault or strict for each in self.remarks) or (strict and self.skipped)
        return not self.failed and not odd


def try_profile(source: Source, driver: str = "") -> Result:
    """Load it, play its cases, look at it. Raises ConfigError when the profile or a file of cases is wrong."""
    problems = Problems()
    files = [read_cases(name, raw, problems) for name, raw in source.cases.items()]
    problems.raise_if_any()
    spec = _spec(source, driver, files)
    rehearsal = rehearsal_of(spec)
    cases = [case for each in files for case in each.cases]
    first = cases[0] if cases else None
    channel = _channel(source, spec, first, files)
    tags = len(channel.devices[0].tags)
    requests, results = None, []
    if rehearsal is not None:
        requests = _requests(rehearsal, channel)
        results = [_play(source, spec, rehearsal, case, problems) for case in cases]
        problems.raise_if_any()
    checked = frozenset[str]().union(*(each.checked for each in results))
    remarks = remarks_of(channel, rehearsal, requests, checked if results else None)
    return Result(source, spec.name, tags, requests, tuple(results), tuple(remarks), rehearsal is not None)


def _spec(source: Source, driver: str, files: Sequence[CaseFile]) -> DriverSpec:
    """The driver as it was asked for, as a file of cases names it, or as its keys tell. Raises ConfigError."""
    naming = next((each for each in files if each.driver), None)
    try:
        return driver_of(source, driver or (naming.driver if naming is not None else ""))
    except DriverNotUsable as error:
        file = source.file if driver or naming is None else naming.file
        raise ConfigError([Problem(file, 1, 1, "driver", str(error), "")]) from error


def _channel(source: Source, spec: DriverSpec, case: Case | None, files: Sequence[CaseFile]) -> ChannelSpec:
    if case is None:
        return channel_of(source, spec, {})
    return channel_of(source, spec, case.device, case.file or files[0].file, case.channel)


def _requests(rehearsal: Rehearsal, channel: ChannelSpec) -> int | None:
    try:
        return len(rehearsal.play(channel, {}).requests) or None
    except GatewayError:
        return None  # something is not installed: told by the cases


def _play(source: Source, spec: DriverSpec, rehearsal: Rehearsal, case: Case, problems: Problems) -> CaseResult:
    channel = channel_of(source, spec, case.device, case.file, case.channel)
    wanted = case.wanted(channel, problems)
    try:
        played = rehearsal.play(channel, case.given)
    except GivenError as error:
        problems.at(case.origin.child("given", *error.path), str(error), error.hint)
        return CaseResult(case.name, case.file, case.line, ())
    except PermanentError as error:
        checked = frozenset(each.tag.path for each in wanted)
        return CaseResult(case.name, case.file, case.line, (), checked, str(error))
    except GatewayError as error:
        return CaseResult(case.name, case.file, case.line, (f"not played: {error}",))
    failures = [text for each in wanted if (text := _difference(each, played.values.get(each.tag.path)))]
    if case.requests is not None and case.requests != len(played.requests):
        asked = ", ".join(played.requests)
        failures.append(f"{len(played.requests)} requests, expected {case.requests}: {asked}")
    checked = frozenset(each.tag.path for each in wanted)
    return CaseResult(case.name, case.file, case.line, tuple(failures), checked)


def _difference(wanted: Wanted, found: tuple[Value, int] | None) -> str:
    """What is not as it should be, for people; empty when all is well."""
    path, unit = wanted.tag.path, wanted.tag.spec.unit
    right = _shown(wanted.value, wanted.quality, unit)
    if found is None:
        return f"{path}: nothing came, expected {right}"
    value, code = found
    if code == wanted.quality and (same_value(value, wanted.value) or (code >= Quality.BAD and wanted.value is None)):
        return ""
    return f"{path}: {_shown(value, code, unit)}, expected {right}"


def _shown(value: Value, code: int, unit: str) -> str:
    text = value.hex() if isinstance(value, bytes) else f"{value}"
    quality = "" if code == Quality.GOOD else f" ({Quality(code).text})"
    return f"{text}{f' {unit}' if unit and value is not None else ''}{quality}"


def try_all(sources: Sequence[Source], driver: str, tell: Callable[[Result], None]) -> tuple[list[Result], list[Any]]:
    """All of them, each told as it is done; and every problem of profiles and files that could not be tried."""
    results: list[Result] = []
    wrong: dict[Any, None] = {}
    for source in sources:
        try:
            result = try_profile(source, driver)
        except ConfigError as error:
            wrong.update(dict.fromkeys(_named(error, source)))
            continue
        results.append(result)
        tell(result)
    return results, list(wrong)


def _named(error: ConfigError, source: Source) -> list[Any]:
    """Problems that say which profile they are of where no file does."""
    return [
        replace(each, message=f"profile `{source.name}`: {each.message}") if not each.line else each
        for each in error.problems
    ]
