"""What an import has to tell: what could not be read (problems), what was ignored, guessed or means another thing."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from gateway.errors import Problem
from gateway.settings.positions import Problems

IGNORED = "ignored"
CHANGED = "changed"
GUESSED = "guessed"
WARNING = "warning"
"""Something needs a person: a secret to fill in, a protocol that has no driver."""

MOST_PROBLEMS = 1000
_MOST_TEXTS = 1000


class Place(Struct, frozen=True):
    """Where something stands in a file: line and column count from 1 (0: the file as a whole), `path` of the field."""

    file: str
    line: int = 0
    column: int = 0
    path: str = ""


class Note(Struct, frozen=True):
    """One thing that a person should know: `kind` is one of the above."""

    place: Place
    kind: str
    text: str

    def __str__(self) -> str:
        place = self.place
        where = f"{place.file}:{place.line}:{place.column}" if place.line else place.file
        return f"{where}: {self.kind}: {self.text}"


class TooMuch(Exception):
    """There are so many problems that looking for more helps nobody."""


class Report:
    """Everything that one import found. `strict`: what is only noted else is a problem. `most_notes`: those above are
    not kept.
    """

    def __init__(
        self, problems: Problems | None = None, *, strict: bool = False, most_notes: int | None = None
    ) -> None:
        self._most_notes = most_notes
        self.problems = Problems() if problems is None else problems
        self._strict = strict
        self._notes: dict[Note, None] = {}
        self._texts: dict[str, str] = {}
        """Texts that were told lately: thousands of tags have the same to tell."""

    def error(self, place: Place, message: str, hint: str = "") -> None:
        """The file is wrong here: nothing is imported."""
        self.problems.add(Problem(place.file, place.line, place.column, place.path, message, hint))
        if len(self.problems) >= MOST_PROBLEMS:
            raise TooMuch

    def note(self, place: Place, kind: str, text: str) -> None:
        """Something that a person should know; the same thing counts once."""
        if self._strict:
            self.error(place, f"{kind}: {text}", "`--strict` accepts no notes")
        else:
            self._keep(Note(place, kind, text))

    def _keep(self, note: Note) -> None:
        if self._most_notes is not None and len(self._notes) >= self._most_notes:
            return
        if len(self._texts) >= _MOST_TEXTS:
            self._texts.clear()
        self._notes[Note(note.place, note.kind, self._texts.setdefault(note.text, note.text))] = None

    def ignored(self, place: Place, text: str) -> None:
        """A key that has no meaning here."""
        self.note(place, IGNORED, text)

    def changed(self, place: Place, text: str) -> None:
        """A key that means another thing here, or a name that had to change."""
        self.note(place, CHANGED, text)

    def guessed(self, place: Place, text: str) -> None:
        """The file does not say it; this was taken."""
        self.note(place, GUESSED, text)

    def follows(self, place: Place, text: str) -> None:
        """Something is left out because of a fault that is told: never a fault of its own, nor with `strict`."""
        self._keep(Note(place, WARNING, text))

    def warning(self, place: Place, text: str) -> None:
        """A person has to do something before it works."""
        self.note(place, WARNING, text)

    @property
    def notes(self) -> list[Note]:
        """By place."""
        return sorted(self._notes, key=lambda n: (n.place.file, n.place.line, n.place.column, n.text))

    def extend(self, notes: Iterable[Note]) -> None:
        """Take in notes of another report."""
        self._notes |= dict.fromkeys(notes)


__all__ = ["CHANGED", "GUESSED", "IGNORED", "MOST_PROBLEMS", "WARNING", "Note", "Place", "Report", "TooMuch"]
