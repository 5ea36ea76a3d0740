"""What results of a profile, its `extends` and its parameters, as a plain profile for people to read or to use."""

from __future__ import annotations

import json
import os
from typing import Any

from gateway.cli.profiletests.loading import driver_of
from gateway.cli.profiletests.sources import Source
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.cli.splicing import block
from gateway.errors import ConfigError
from gateway.settings.convert import fields_of
from gateway.settings.positions import Origin, Problems
from gateway.settings.profile_file import Profiles
from gateway.settings.resolving import resolve
from gateway.settings.yaml_reader import read_documents, scalar_from_text


def show_resolved(session: Session, source: Source) -> int:
    """Print it. Exit 78 when the profile or its parameters are wrong."""
    params = dict(parameter(text) for text in session.option("param") or [])
    try:
        keys = resolved(source, params, session.option("driver") or "")
    except ConfigError as error:
        from gateway.cli.commands.configuration import show_problems

        return show_problems(session, error.problems, "")
    if session.out.as_json:
        session.out.result({"name": source.name, "driver": source.driver, "profile": keys})
    else:
        session.out.line(os.linesep.join(block(source.name, keys, 0, 2)))
    return Exit.OK


def resolved(source: Source, params: dict[str, Any], driver: str = "") -> dict[str, Any]:
    """The keys of a plain profile. Raises ConfigError."""
    problems = Problems()
    profiles = Profiles(problems)
    for file, text in source.files.items():
        for document in read_documents(file, text, problems):
            if document.data is not None:
                profiles.read(document.data, Origin(document))
    profiles.finish()
    problems.raise_if_any()
    document = next(iter(read_documents(source.file, source.files[source.file], problems)))
    profile = profiles.get(source.name, Origin(document))
    if profile is None:
        problems.raise_if_any()
        raise CommandFailed(f"{source.name} cannot be read")
    keys = resolve(profile, params, problems, _device_keys(source, driver))
    problems.raise_if_any()
    return keys


def _device_keys(source: Source, driver: str) -> set[str]:
    """Keys of the driver's devices; none where nobody knows whose the profile is."""
    try:
        return set(fields_of(driver_of(source, driver).device))
    except ConfigError:
        return set()


def parameter(text: str) -> tuple[str, Any]:
    """`base=100` as a name and a value. Raises CommandFailed (usage)."""
    name, equals, raw = text.partition("=")
    if not equals or not name:
        raise CommandFailed(f"{text!r} is not NAME=VALUE", Exit.USAGE)
    if raw[:1] in {"[", "{"}:
        try:
            return name, json.loads(raw)
        except ValueError:
            pass
    return name, scalar_from_text(raw)
