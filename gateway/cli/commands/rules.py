"""rules: those that run, why something happened, and tests of rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.cli.rulebooks import Loaded
    from gateway.cli.ruletests.cases import Case


def rules(session: Session) -> int:
    """Look at rules, and test them."""
    if session.args.what == "test":
        return _test(session)
    from gateway.cli.commands import rules_look

    looks = {"ls": rules_look.list_rules, "show": rules_look.show_rule, "why": rules_look.why}
    return looks[session.args.what](session)


class _Result(Struct, frozen=True):
    """One test that was run."""

    file: str
    name: str
    line: int
    failures: list[Any]

    @property
    def ok(self) -> bool:
        return not self.failures

    def view(self) -> dict[str, Any]:
        failures = [{"line": one.line, "at": one.at, "lines": list(one.lines)} for one in self.failures]
        return {"file": self.file, "name": self.name, "line": self.line, "ok": self.ok, "failures": failures}


def _test(session: Session) -> int:
    """Run test files. Exit 0 when all tests pass, 1 when one fails, 78 when a file or its configuration is wrong."""
    try:
        cases = _cases(session)
    except ConfigError as error:
        from gateway.cli.commands.configuration import show_problems

        return show_problems(session, error.problems, "no test was run")
    results = [_run(case, loaded) for case, loaded in cases]
    if not results:
        raise CommandFailed(f"no test has {session.option('only')!r} in its name")
    failed = [result for result in results if not result.ok]
    if session.out.as_json:
        views = [result.view() for result in results]
        session.out.result({"ok": not failed, "tests": len(results), "failed": len(failed), "results": views})
    else:
        for result in failed:
            _print_failure(session, result)
        count = f"{len(results)} test{'' if len(results) == 1 else 's'}"
        text = f"{len(failed)} of {count} failed" if failed else f"ok: {count}"
        session.out.line(session.out.styled(text, "bad" if failed else "good"))
    return Exit.FAILED if failed else Exit.OK


def _cases(session: Session) -> list[tuple[Case, Loaded]]:
    """All tests that are asked for. Raises ConfigError with everything that is wrong in any file."""
    from gateway.cli.rulebooks import folder_above, load_rules
    from gateway.cli.ruletests.document import TestFile
    from gateway.settings.positions import Problems

    problems = Problems()
    given, only = session.option("config"), session.option("only") or ""
    books: dict[Path, Loaded] = {}
    found: list[tuple[Case, Loaded]] = []
    for file in _files(session.args.file):
        read = TestFile(str(file), file.read_bytes(), problems)
        folder = read.rules or (Path(given) if given else folder_above(file))
        loaded = books[folder] = books.get(folder) or load_rules(folder)
        found += [(case, loaded) for case in read.cases(loaded) if only in case.name]
    problems.raise_if_any()
    return found


def _run(case: Case, loaded: Loaded) -> _Result:
    from gateway.cli.ruletests.running import Run

    return _Result(case.file, case.name, case.line, Run(case, loaded).failures())


def _files(names: list[str]) -> Iterator[Path]:
    for name in names:
        path = Path(name)
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.rglob("*.yaml"))
        if not found:
            raise CommandFailed(f"{name}: there is no .yaml file in it")
        yield from found


def _print_failure(session: Session, result: _Result) -> None:
    from gateway.cli.ruletests.wording import moment

    session.out.line(session.out.styled(clean(f"{result.file}:{result.line}: {result.name}: failed"), "bad"))
    for failure in result.failures:
        session.out.line(clean(f"  at {moment(failure.at)} (line {failure.line}):"))
        for line in failure.lines:
            style = {"-": "bad", "+": "uncertain"}.get(line.lstrip()[:1], "") if line.startswith("  ") else ""
            session.out.line(session.out.styled(clean(f"    {line}"), style))
