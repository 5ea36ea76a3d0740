"""A profile to a channel with one device of it, as the loader makes it; whose driver it is for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gateway.cli.profiletests.sources import Source, as_tree, installed
from gateway.driver import DriverSpec
from gateway.errors import ConfigError, Problem
from gateway.model import ChannelSpec
from gateway.registry import Registry
from gateway.rehearsal import Rehearsal
from gateway.settings.loader import load_files
from gateway.wired import wired_channel
from rules.expression import RuleExpressions

DEVICE = "device"
_BARE = Rehearsal(channel={}, device={}, play=lambda _channel, _given: _nothing())
_FIRST = ("modbus", "mqtt", "ble", "opcua", "system")
"""Drivers that are tried first for a profile that says nothing."""


def _nothing() -> Any:
    raise NotImplementedError  # never played: `rehearsal_of` tells


class _NoSecrets:
    """Credentials of profiles are not needed to try them: 32 digits pass for any."""

    def path(self, name: str) -> Path:
        return Path("/nonexistent") / name

    def read(self, _name: str) -> str:
        return "0" * 32


def rehearsal_of(driver: DriverSpec) -> Rehearsal | None:
    """How a driver plays cases; None for one that plays none."""
    return None if driver.rehearsal is None else driver.rehearsal()


def channel_of(
    source: Source,
    driver: DriverSpec,
    device: Mapping[str, Any],
    blame: str = "",
    channel: Mapping[str, Any] | None = None,
) -> ChannelSpec:
    """A channel with one device of the profile. `device`, `channel`: keys besides. Raises ConfigError; faults that are
    not the profile's are those of the file `blame`.
    """
    given = rehearsal_of(driver) or _BARE
    own = {key for body in source.chain for key in body}
    needed = {key: value for key, value in given.device.items() if key not in own}
    if "match" in own or "match" in device:
        needed.pop("address", None)  # the device is whoever sends such data
    wanted = {**needed, "profile": source.name, **device}
    keys = {"driver": driver.name, **given.channel, **source.channel, **(channel or {}), "devices": {DEVICE: wanted}}
    registry = Registry()
    registry.add(driver)
    try:
        settings = load_files(
            as_tree(source, keys),
            registry.load,
            env=os.environ,
            credentials=_NoSecrets(),
            expressions=RuleExpressions(),
        )
    except ConfigError as error:
        raise ConfigError([_placed(problem, source, blame) for problem in error.problems]) from error
    return wired_channel(settings.channels[0])


def driver_of(source: Source, named: str = "") -> DriverSpec:
    """The driver that a profile is for: as it is named, used, or the first that takes all of its keys.

    Raises ConfigError of the nearest one when no driver takes them; DriverNotUsable.
    """
    registry = Registry()
    if named or source.driver:
        return registry.load(named or source.driver)
    names = [name for name in _FIRST if name in installed()]
    best: tuple[int, ConfigError] | None = None
    for name in names:
        spec = registry.load(name)
        try:
            channel_of(source, spec, {})
        except ConfigError as error:
            about_keys = sum("unknown key" in problem.message for problem in error.problems)
            if not about_keys and not any(problem.path.startswith("tags.") for problem in error.problems):
                return spec  # what is wrong is not whose it is: a parameter is missing
            if best is None or len(error.problems) < best[0]:
                best = (len(error.problems), error)
        else:
            return spec
    assert best is not None
    raise best[1]


def _placed(problem: Problem, source: Source, blame: str) -> Problem:
    """A problem of the profile where it stands; one of the device's keys in the file of the cases, without a line."""
    if problem.file in source.files:
        shown = source.origin if problem.file == source.file and "/" in source.origin else problem.file
        return replace(problem, file=shown)
    return replace(problem, file=blame or "device", line=0, column=0)
