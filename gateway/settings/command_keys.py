"""Named commands of a device: sets of reads or writes of its tags, laid over those of its profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from gateway.model import Access, CommandItem, CommandSpec, TagSpec, Value
from gateway.settings.constants import constant
from gateway.settings.convert import fields_of, to_struct
from gateway.settings.ids import did_you_mean, suggest_id, tag_path_fault
from gateway.settings.keys import CommandKeys, CommandTagKeys
from gateway.settings.labels import read_labels
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.sections import mapping_at, refuse_unknown, section

MOST_ITEMS = 500
"""As many as one call writes."""
Tags = Mapping[str, tuple[TagSpec, Layers]]


def read_command(name: str, value: Any, origin: Origin, below: Layers | None, problems: Problems) -> Layers | None:
    """A command as written, over the same command of a profile; None when it is no mapping or its name is bad."""
    if fault := tag_path_fault(name):
        fault = fault.replace("is not a tag path", "cannot name a command")
        problems.at_key(origin, fault, suggest_id(name) if "/" not in name else "")
        return None
    values = mapping_at(value, origin, problems, what=f"command `{name}`", form="write {tags: [speed, direction]}")
    if values is None:
        return None
    return Layers(values, origin) if below is None else below.over(values, origin)


class CommandMaker:
    """Makes the commands of one device. `broken`: tags that exist and have faults of their own."""

    def __init__(self, tags: Tags, broken: frozenset[str], problems: Problems) -> None:
        self._tags = tags
        self._broken = broken
        self._problems = problems

    def make(self, name: str, layers: Layers) -> CommandSpec | None:
        """The command, or None when its keys cannot be read. Other faults are reported and it is still made."""
        what = f"command `{name}`"
        refuse_unknown(layers, fields_of(CommandKeys), self._problems, what=what)
        known = {key: value for key, value in layers.values.items() if key in fields_of(CommandKeys)}
        keys = to_struct(CommandKeys, known, layers, self._problems, where=what)
        if keys is None:
            return None
        origin = layers.origin("tags")
        if not 0 < len(keys.tags) <= MOST_ITEMS:
            message = f"a command has 1 to {MOST_ITEMS} tags, this one {len(keys.tags)}"
            self._problems.at(origin, message, "write {tags: [speed, direction]}")
        items = self._listed(keys, origin) if isinstance(keys.tags, list) else self._mapped(keys, origin)
        return CommandSpec(name, tuple(items), keys.access, keys.hidden, keys.description)

    def _listed(self, keys: CommandKeys, origin: Origin) -> list[CommandItem]:
        items: dict[str, CommandItem] = {}
        for number, path in enumerate(keys.tags):
            place = origin.child(number)
            if path in items:
                self._problems.at(place, f"`{path}` is named twice", "remove one of them")
            elif self._tag(path, keys.access, place, at_key=False) is not None:
                items[path] = CommandItem(path)
        return list(items.values())

    def _mapped(self, keys: CommandKeys, origin: Origin) -> list[CommandItem]:
        assert isinstance(keys.tags, dict)  # noqa: S101 - for the type checker
        made = (self._item(path, value, keys.access, origin.child(path)) for path, value in keys.tags.items())
        return [item for item in made if item is not None]

    def _item(self, path: str, value: Any, access: Access, origin: Origin) -> CommandItem | None:
        spec = self._tag(path, access, origin, at_key=True)
        what = f"tag `{path}` of a command"
        if value is None:
            value = {}
        values = mapping_at(value, origin, self._problems, what=what, form="write {default: 1}, or {}")
        keys = None if values is None else section(CommandTagKeys, values, origin, self._problems, what=what)
        if keys is None or spec is None:
            return None
        labels = read_labels(keys.labels, spec.type, origin.child("labels"), self._problems)
        default = self._default(path, replace(spec, labels=labels or spec.labels), keys, access, origin)
        return CommandItem(path, labels, default)

    def _tag(self, path: str, access: Access, origin: Origin, *, at_key: bool) -> TagSpec | None:
        """The tag that a command names; None where there is none, or it has faults. What it lacks is reported."""
        report = self._problems.at_key if at_key else self._problems.at
        found = self._tags.get(path)
        if found is None:
            if path not in self._broken:
                report(origin, f"this device has no tag `{path}`", did_you_mean(path, self._tags))
            return None
        spec = found[0]
        if access is not Access.WRITE and spec.access is Access.WRITE:
            report(origin, f"`{path}` cannot be read (access w)", "access: w, or leave the tag out")
        if access is not Access.READ and spec.access is Access.READ:
            report(origin, f"`{path}` cannot be written (access r)", "access: r, or leave the tag out")
        return spec

    def _default(self, path: str, spec: TagSpec, keys: CommandTagKeys, access: Access, origin: Origin) -> Value:
        if keys.default is None:
            return None
        place = origin.child("default")
        if access is Access.READ:
            self._problems.at_key(place, "a default is for writing, this command reads", "remove `default`")
            return None
        if spec.access is Access.READ:
            return None  # told already
        return constant(path, spec, keys.default, place, self._problems, hint="write a value of the tag's type")
