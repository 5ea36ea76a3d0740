"""import: files of other gateways and tag lists, as channels and profiles of a configuration folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from gateway.cli.commands.configuration import note_row, show_problems
from gateway.cli.commands.taglist import MOST_BYTES, import_list
from gateway.cli.importcheck import Target, faults_of, keep_what_is_right
from gateway.cli.output import clean
from gateway.cli.places import config_dir
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.errors import ConfigError, Problem
from gateway.importing.draft import Draft, Known, Options
from gateway.importing.importers import OURS, kind_of_table
from gateway.importing.report import Note, Report
from gateway.importing.sources import Source
from gateway.importing.takeover import take_over
from gateway.importing.writing import files_of
from gateway.settings.ids import ID_RULE, is_id

_ASKED = (
    *("strict_edgex", "interval", "node", "seed_shadow", "channel", "device", "url", "unit", "word_order", "repeat"),
)
_OUR_JSON = re.compile(r'\s*\{\s*(?:"ok"\s*:\s*true\s*,\s*)?"tags"\s*:\s*\[\s*(?:\{\s*"device"|\])')
"""What `fieldpost export --json` begins with."""
_MOST_FILES = 2000
_MOST_NOTES = 200
"""Notes that people get at once; `--json` has all of them."""
_SUFFIXES = {".yaml", ".yml", ".json", ".csv", ".tsv", ".toml", ".xlsx"}
_TELEGRAF = b"[[inputs."
"""In a `.conf` of a folder: all kinds of programs have such files."""
_STYLES = {"+": "good", "-": "bad", "@": "dim"}


def import_(session: Session) -> int:
    """Show what files would become; --write writes it."""
    if session.option("dry_run") and session.option("write"):
        raise CommandFailed("--dry-run and --write exclude each other", Exit.USAGE)
    files = {str(path): _content(path) for path in _named(session.args.file)}
    if _is_our_list(files):
        name, raw = next(iter(files.items()))
        if isinstance(session.option("write"), str):
            session.args.config = session.args.write
        try:
            return import_list(session, Path(name).name, raw)
        except ConfigError as error:
            show_problems(session, error.problems)
            return Exit.FAILED
    if session.option("prune"):
        raise CommandFailed("--prune is for a list of Fieldpost's own", Exit.USAGE)
    return _convert(session, files)


def _named(words: Sequence[str]) -> list[Path]:
    """The files that are meant; of a folder all that could be imported."""
    found: list[Path] = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            found += sorted(each for each in path.iterdir() if each.is_file() and _is_meant(each))
        elif path.exists():
            found.append(path)
        else:
            raise CommandFailed(f"there is no file {path}", Exit.USAGE)
    if not found:
        raise CommandFailed("there is no file that could be imported", Exit.USAGE)
    if len(found) > _MOST_FILES:
        raise CommandFailed(f"more than {_MOST_FILES} files: import them in portions", Exit.USAGE)
    return found


def _is_meant(path: Path) -> bool:
    """Whether a file of a folder is one that could be imported."""
    suffix = path.suffix.lower()
    return suffix in _SUFFIXES or (suffix == ".conf" and _TELEGRAF in _content(path))


def _content(path: Path) -> bytes:
    """What a file holds, or a pipe such as /dev/stdin; one byte more than is accepted at most."""
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _is_our_list(files: dict[str, bytes]) -> bool:
    """Whether this is one list as `fieldpost export` prints it, or one that nobody else claims."""
    if len(files) != 1:
        return False
    name, raw = next(iter(files.items()))
    source = Source(name, raw, Report())
    if source.is_json:
        return _OUR_JSON.match(raw[:4096].decode("utf-8-sig", "replace")) is not None
    kind = "" if source.is_zip else kind_of_table(source)
    return kind == OURS or (not kind and not source.is_zip and Path(name).suffix.lower() in {".csv", ".tsv"})


def _convert(session: Session, files: dict[str, bytes]) -> int:
    report = Report(strict=bool(session.option("strict")))
    target = Target(_folder(session))
    draft = take_over(files, report, _options(session), Known(target.channels(), target.profiles()))
    partial = bool(session.option("partial"))
    if partial or not len(report.problems):
        for problem in faults_of(draft, target):
            report.problems.add(problem)
    problems = report.problems.sorted()
    if problems and not partial:
        _refused(session, problems, report.notes)
        return Exit.FAILED
    if problems:
        keep_what_is_right(draft, target)
    wanted = {name: text.encode() for name, text in files_of(draft).items()}
    edited = target.edited(wanted)
    if edited and session.option("write") and not session.option("replace"):
        raise CommandFailed(f"{', '.join(edited)}: exists and holds something else; --replace writes over it")
    lines = target.diff(wanted)
    written = target.write(wanted) if session.option("write") else []
    _show(session, draft, report, lines, written, target)
    return Exit.FAILED if problems else Exit.OK


def _folder(session: Session) -> Path | None:
    """Where the files go: --write DIR, else the configuration folder where there is one."""
    given = session.option("write")
    if isinstance(given, str):
        return Path(given)
    return session.config_dir if given else config_dir(session.option("config"))


def _options(session: Session) -> Options:
    for name in ("channel", "device"):
        given = session.option(name)
        if given and not is_id(given):
            raise CommandFailed(f"--{name} `{given}` is no id: {ID_RULE}", Exit.USAGE)
    words: dict[str, Any] = {name: session.option(name) for name in _ASKED if session.option(name)}
    return Options(**words, one_based=not session.option("zero_based"))


def _refused(session: Session, problems: list[Problem], notes: list[Note]) -> None:
    if session.out.as_json:
        errors = [asdict(problem) for problem in problems]
        session.out.result({"ok": False, "errors": errors, "notes": [note_row(note) for note in notes], "written": []})
    else:
        show_problems(session, problems, "nothing was written")


def _show(session: Session, draft: Draft, report: Report, lines: list[str], written: list[str], target: Target) -> None:
    problems, notes = report.problems.sorted(), report.notes
    counts = _counts(draft)
    if session.out.as_json:
        answer = {"ok": not problems, "errors": [asdict(problem) for problem in problems], **counts}
        rows = [note_row(note) for note in notes]
        texts = {} if written else files_of(draft)
        session.out.result({**answer, "notes": rows, "diff": lines, "files": texts, "written": written})
        return
    for line in lines:
        session.out.line(session.out.styled(clean(line), _STYLES.get(line[:1], "")))
    for problem in problems:
        session.out.line(clean(str(problem)))
    for note in notes[:_MOST_NOTES]:
        session.out.line(clean(str(note)))
    if len(notes) > _MOST_NOTES:
        session.out.line(f"... and {len(notes) - _MOST_NOTES} more notes (all of them with --json)")
    text = ", ".join(f"{count} {name[:-1] if count == 1 else name}" for name, count in counts.items())
    session.out.line(f"{text}, {len(notes)} note{'' if len(notes) == 1 else 's'}")
    if not lines:
        session.out.line("nothing to change")
    elif written:
        session.out.line(f"written; next: fieldpost check {target.folder}, then fieldpost apply")
    else:
        session.out.line("nothing is written yet: add --write" + ("" if target.folder else " DIR"))


def _counts(draft: Draft) -> dict[str, int]:
    devices = sum(len(channel.get("devices") or ()) for channel in draft.channels.values())
    return {"profiles": len(draft.profiles), "channels": len(draft.channels), "devices": devices}
