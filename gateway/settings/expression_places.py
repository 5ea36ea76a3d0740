"""Expressions, text templates and cron lines of a tree: checked by whoever knows their language, reported where they
were written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from gateway.model import TagSpec
from gateway.rulebook import Checked, ExpressionError, Expressions
from gateway.settings.ids import did_you_mean
from gateway.settings.inventory import Inventory
from gateway.settings.never_lasting import ends_at_once
from gateway.settings.positions import Origin, Problems

T = TypeVar("T")
NOBODY = "this tree has rules, alarms or computed tags, and nobody here can check their expressions"
_WITHOUT_PARAMETERS = ("rules/", "alarms/")
_WORDS = {"bool": "true or false", "number": "a number", "text": "a text"}


class Places:
    """Checks texts against the tags of an inventory. None from a method: reported here, or excused by another fault."""

    def __init__(self, expressions: Expressions | None, inventory: Inventory, problems: Problems) -> None:
        self._expressions = expressions
        self.inventory = inventory
        self.problems = problems

    def usable(self, origin: Origin) -> bool:
        """Whether there is anybody to check expressions; reports it at `origin` if not. Never silently accepted."""
        if self._expressions is not None:
            return True
        self.problems.at(origin, NOBODY, spoils=True)
        return False

    @property
    def issues(self) -> Collection[str]:
        """Issues that alarms may follow; asked only where the tree is usable."""
        return () if self._expressions is None else self._expressions.issues

    def condition(self, text: str, origin: Origin, device: str, *, what: str) -> Checked | None:
        """An expression that is true or false and reads at least one tag."""
        checked = self.expression(text, origin, device)
        if checked is None:
            return None
        if checked.type != "bool":
            hint = f"compare it: {text} > 0" if checked.type == "number" and len(text) <= 60 else "compare it"
            self.problems.at(origin, f"{what} must be true or false, this is {_WORDS[checked.type]}", hint, spoils=True)
            return None
        return checked

    def ending(self, when: str, until: str, origin: Origin, device: str) -> bool:
        """Whether what `when` begins lasts until `until`; reports it at `origin` if not."""
        if not ends_at_once(when, until, device):
            return True
        hint = "write a limit that leaves a gap: when: x > 80, until: x < 75"
        self.problems.at(origin, "this ends at once: `until` is true whenever `when` is", hint, spoils=True)
        return False

    def expression(self, text: str, origin: Origin, device: str) -> Checked | None:
        """Any expression."""
        if not self.usable(origin):
            return None
        return self._tried(text, origin, lambda check, find: check.check(text, device, find))

    def template(self, text: str, origin: Origin, device: str) -> bool:
        """A text with tags in braces. A text without braces needs nobody."""
        if "{" not in text and "}" not in text:
            return True
        if not self.usable(origin):
            return False
        tags = self._tried(text, origin, lambda check, find: check.check_template(text, device, find))
        return tags is not None

    def cron(self, text: str, zone: str, origin: Origin) -> bool:
        """A cron line in a zone that exists."""
        if not self.usable(origin):
            return False

        def check(expressions: Expressions, _find: object) -> bool:
            expressions.check_cron(text, zone)
            return True

        return self._tried(text, origin, check) is not None

    def _tried(
        self,
        text: str,
        origin: Origin,
        check: Callable[[Expressions, Callable[[str, str], TagSpec | None]], T],
    ) -> T | None:
        missing: list[tuple[str, str]] = []

        def find(of: str, path: str) -> TagSpec | None:
            spec = self.inventory.find(of, path)
            if spec is None:
                missing.append((of, path))
            return spec

        assert self._expressions is not None  # asked before
        try:
            return check(self._expressions, find)
        except ExpressionError as error:
            # what is asked for after the first missing name are guesses of what was meant
            if not missing or not self.inventory.excuses(*missing[0]):
                hint = self._meant(error.absent, origin) or error.hint
                hint = hint or (self.inventory.nearest(*missing[0]) if missing else "")
                self.problems.at_text(origin, text, error.offset, str(error), hint)
            return None

    def _meant(self, name: str, origin: Origin) -> str:
        """The hint for `name`, which names no tag, where it is something else."""
        if not name:
            return ""
        if name in self.inventory.parameters and origin.document.file.startswith(_WITHOUT_PARAMETERS):
            return f"parameters such as {{{name}}} work in devices and profiles only"
        if name == "device":
            return "{device} works in the topic of `publish` only: write the name of the device"
        return self.inventory.meant(name)


def tag_at(
    name: str, device: str, origin: Origin, places: Places, *, at_key: bool = False
) -> tuple[str, TagSpec] | None:
    """The tag that `name` (`pump.speed`, `{pump.speed}`; `speed` where there is a `device`) means, with its full name.

    None: reported at `origin`, or excused by another fault.
    """
    problems = places.problems
    report = problems.at_key if at_key else problems.at
    bare = name[1:-1] if name.startswith("{") and name.endswith("}") else name
    owner, dot, path = bare.partition(".")
    if not dot:
        owner, path = device, bare
    if not owner:
        hint = places.inventory.meant(bare) or (f"write pump.{bare}" if bare else "write pump.speed")
        report(origin, f"`{name}` is no tag: a tag is named with its device", hint, spoils=True)
        return None
    spec = places.inventory.find(owner, path)
    if spec is not None:
        return f"{owner}.{path}", spec
    if not places.inventory.excuses(owner, path):
        known = places.inventory.get(owner)
        message = f"`{owner}` has no tag `{path}`" if known is not None else f"there is no device `{owner}`"
        hint = places.inventory.meant(bare) or places.inventory.nearest(owner, path)
        report(origin, message, hint, spoils=True)
    return None


def names_of(value: str | list[str]) -> list[str]:
    """A name or a list of them, as a list."""
    return [value] if isinstance(value, str) else list(value)


def known_names(
    value: str | list[str], origin: Origin, known: list[str], problems: Problems, *, what: str, add: str = ""
) -> tuple[str, ...]:
    """The names in `value` that are known; others are reported."""
    found = []
    for index, name in enumerate(names_of(value)):
        place = origin if isinstance(value, str) else origin.child(index)
        if name in known:
            found.append(name)
        else:
            problems.at(place, f"there is no {what} `{name}`", did_you_mean(name, known) or add)
    return tuple(found)
