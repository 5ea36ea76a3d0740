"""record and playback: what the rules got and did, as a file, and the same again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.cli import forms
from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session

if TYPE_CHECKING:
    from rules.replay.recording import Head

_WHOLE = ("time", "interrupted")
_SHOWN = 50


def record(session: Session) -> int:
    """Exit 0 when the recording is whole; a gateway that stops or a new configuration ends it early: 1."""
    path = Path(session.args.file)
    if path.exists():
        raise CommandFailed(f"{path} is there already: name another file", Exit.USAGE)
    written = _Written()
    with session.client() as client, path.open("xb") as file:
        items = client.stream("record", {"for_s": session.args.lasting})
        try:
            for item in items:
                if "head" in item:
                    lasting = forms.age(session.args.lasting * 1000)
                    _say(session, f"recording what the rules get and do into {path} for {lasting}; Ctrl-C ends it")
                for line in [item["head"]] if "head" in item else item["lines"]:
                    file.write(msgspec.json.encode(line) + b"\n")
                    written.count(line)
        except KeyboardInterrupt:
            written.end = "interrupted"
            file.write(msgspec.json.encode({"end": written.end}) + b"\n")
    view = {"file": str(path), "batches": written.batches, "outcomes": written.outcomes, "end": written.end}
    if session.out.as_json:
        session.out.result({"ok": written.end in _WHOLE, **view})
    else:
        told = f"{written.batches} batches and {written.outcomes} outcomes in {path}"
        session.out.line(clean(told if written.end in _WHOLE else f"{told}; it ended early: {written.end}"))
    return Exit.OK if written.end in _WHOLE else Exit.FAILED


def _say(session: Session, text: str) -> None:
    if not session.out.as_json:
        session.out.line(clean(text))


class _Written:
    """What is in the file."""

    def __init__(self) -> None:
        self.batches = 0
        self.outcomes = 0
        self.end = "the gateway stopped"

    def count(self, line: dict[str, Any]) -> None:
        self.batches += "batch" in line
        self.outcomes += "outcome" in line
        self.end = str(line.get("end", self.end))


def playback(session: Session) -> int:
    """Exit 0 when the rules do what they did, as far as the file tells."""
    from rules.replay.recording import head_from

    path = Path(session.args.file)
    with path.open("rb") as file:
        lines = _lines(path, file)
        head = head_from(next(lines, None))
        if session.option("rules"):
            return _with_other_rules(session, head, lines)
        return _with_its_own(session, head, lines)


def _lines(path: Path, file: Any) -> Iterator[Any]:
    """The objects of a file. A last line that was cut off by a full disk or a kill is left out."""
    for number, line in enumerate(file, 1):
        try:
            yield msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            if not line.endswith(b"\n"):
                return
            raise CommandFailed(f"{path}:{number}: this is no JSON: {error}") from error


def _with_its_own(session: Session, head: Head, lines: Iterator[Any]) -> int:
    from gateway.cli.replayed import CUT
    from gateway.cli.replaying import line_writer
    from rules.replay.outcomes import as_text
    from rules.replay.playback import Playback

    with line_writer(session.option("out")) as write:
        run = Playback(head, lambda line: write(as_text(line)))
        difference = run.run(lines)
    view: dict[str, Any] = {
        "ok": difference is None,
        "gateway": head.gateway,
        "batches": run.batches,
        "outcomes": len(run.then),
        "end": run.end,
        "cut": run.is_cut,
    }
    if run.is_cut:
        _say(session, CUT)
    if session.out.as_json:
        found = {} if difference is None else {"difference": msgspec.to_builtins(difference)}
        session.out.result(view | found)
    elif difference is None:
        text = f"the same: {len(run.then)} outcomes of {run.batches} batches, to the byte"
        session.out.line(session.out.styled(text, "good"))
    else:
        session.out.line(session.out.styled(f"outcome {difference.number} differs", "bad"))
        session.out.line(clean(f"  then: {difference.then or 'nothing more'}"))
        session.out.line(clean(f"  now:  {difference.now or 'nothing more'}"))
    return Exit.OK if difference is None else Exit.FAILED


def _with_other_rules(session: Session, head: Head, lines: Iterator[Any]) -> int:
    from gateway.cli.replayed import show
    from gateway.cli.replaying import Rehearsal, line_writer
    from gateway.cli.rulebooks import load_rules

    loaded = load_rules(Path(session.args.rules))
    with line_writer(session.option("out")) as write:
        found = Rehearsal(loaded.book, loaded.tags, write).run(head, lines)
    return show(session, found, _SHOWN)
