"""A configuration folder as rules see it, without a running gateway: the rule book, and tags with slots."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from msgspec import structs

from gateway.errors import GatewayError
from gateway.model import Tag
from gateway.registry import Registry
from gateway.rulebook import RuleBook
from gateway.settings.credentials import credentials_of
from gateway.settings.generations import Generations
from gateway.settings.ids import did_you_mean
from gateway.settings.loader import load_files, load_tree
from gateway.settings.positions import Origin, Problems
from gateway.settings.types import GatewaySettings
from gateway.tags import TagTable
from rules.expression import RuleExpressions


class Loaded:
    """Rules, alarms and tags of one folder."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.book: RuleBook = settings.book
        self.timezone = settings.timezone
        self.gateway = settings.id
        table = TagTable()
        names = TagTable.names(settings.channels)
        aliases = {name: number for number, name in enumerate(names, 1)}
        for channel in settings.channels:
            table.bind(channel, aliases)
        self.tags: list[Tag] = list(table.tags())
        self._by_name = {tag.name: tag for tag in self.tags}
        specs = [*self.book.alarms, *(rule.alarm for rule in self.book.rules if rule.alarm is not None)]
        self._alarms = {spec.key for spec in specs} | {spec.id for spec in specs}
        self.rule_ids = {rule.id for rule in self.book.rules}

    def find(self, name: str, place: Origin, problems: Problems) -> Tag | None:
        """The tag of that full name; None when there is none (reported at its key)."""
        tag = self._by_name.get(name)
        if tag is None:
            problems.at_key(place, f"there is no tag `{name}`", did_you_mean(name, self._by_name))
        return tag

    def has_alarm(self, name: str, place: Origin, problems: Problems) -> bool:
        """Whether an alarm has this id, or this `id@entity`; False is reported."""
        if name in self._alarms:
            return True
        problems.at(place, f"there is no alarm `{name}`", did_you_mean(name, self._alarms))
        return False

    def has_rule_or_alarm(self, name: str, place: Origin, problems: Problems) -> bool:
        """Whether a rule or an alarm has this id, without `@device` too; False is reported."""
        known = self._alarms | self.rule_ids | {rule.partition("@")[0] for rule in self.rule_ids}
        if name in known:
            return True
        problems.at(place, f"there is no rule and no alarm `{name}`", did_you_mean(name, known))
        return False

    def part(self, only: Collection[str]) -> RuleBook:
        """The book with these rules and alarms only; all of it when none is named."""
        if not only:
            return self.book
        rules = [rule for rule in self.book.rules if rule.id in only or rule.id.partition("@")[0] in only]
        alarms = [spec for spec in self.book.alarms if spec.id in only or spec.key in only]
        return structs.replace(self.book, rules=tuple(rules), alarms=tuple(alarms))

    def has_rule(self, name: str, place: Origin, problems: Problems) -> bool:
        """Whether there is a rule of this id; False is reported."""
        if name in self.rule_ids:
            return True
        problems.at(place, f"there is no rule `{name}`", did_you_mean(name, self.rule_ids))
        return False


def load_rules(folder: Path) -> Loaded:
    """The rules of a configuration folder. Raises ConfigError."""
    return Loaded(load_tree(folder, expressions=RuleExpressions()))


def load_running(state: Path, folder: Path) -> Loaded:
    """The rules of the configuration that runs with this state directory; those of `folder` where none is kept there,
    or where it may not be read. Raises ConfigError.
    """
    try:
        active = Generations(state).active()
        files = None if active is None else active.files()
    except (GatewayError, OSError):
        files = None
    if files is None:
        return load_rules(folder)
    settings = load_files(
        files,
        Registry().load,
        env=os.environ,
        credentials=credentials_of(folder),
        base=folder,
        expressions=RuleExpressions(),
    )
    return Loaded(settings)


def folder_above(file: Path) -> Path:
    """The nearest folder above `file` that holds a gateway.yaml. Raises NoFolder."""
    for folder in file.resolve().parents:
        if (folder / "gateway.yaml").is_file():
            return folder
    raise NoFolder(f"{file}: no folder above it holds a gateway.yaml: give --config DIR, or write `rules: DIR` into it")


class NoFolder(GatewayError):
    """Nobody says which configuration is meant."""
