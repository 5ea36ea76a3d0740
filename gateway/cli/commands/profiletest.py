"""profiles test: the cases of profiles, and what is odd about them. Needs no running gateway and no device."""

from __future__ import annotations

from typing import Any

from gateway.cli.output import clean
from gateway.cli.profiletests.running import Result, try_all
from gateway.cli.profiletests.sources import Source
from gateway.cli.session import Exit, Session
from gateway.errors import Problem


def test(session: Session, sources: list[Source], stray: list[Problem]) -> int:
    """Exit 0 when all is as expected, 1 when it is not, 78 when a profile or a file of cases is wrong. `stray`: what is
    wrong with files of cases that belong to none of the profiles.
    """
    strict = bool(session.args.strict)
    silent = session.out.as_json
    results, wrong = try_all(
        sources, session.option("driver") or "", lambda each: None if silent else _tell(session, each, strict=strict)
    )
    failed = [each for each in results if not each.ok(strict=strict)]
    wrong += stray
    if wrong:
        from gateway.cli.commands.configuration import show_problems

        return show_problems(session, wrong, f"{len(results)} of {len(sources)} profiles were tried")
    cases = sum(len(each.cases) for each in results)
    if session.out.as_json:
        views = [_view(each, strict=strict) for each in results]
        session.out.result({"ok": not failed, "profiles": len(results), "cases": cases, "results": views})
    else:
        text = f"ok: {_count(len(results), 'profile')}, {_count(cases, 'case')}"
        if failed:
            wrong_cases = sum(len(each.failed) for each in results)
            text = (
                f"{len(failed)} of {_count(len(results), 'profile')} failed, {wrong_cases} of {_count(cases, 'case')}"
            )
        if skipped := sum(len(each.skipped) for each in results):
            text += f"; {_count(skipped, 'case')} not played"
        session.out.line(session.out.styled(text, "bad" if failed else "good"))
    return Exit.FAILED if failed else Exit.OK


def _tell(session: Session, result: Result, *, strict: bool) -> None:
    """One profile in a line, and below it what is not as it should be."""
    facts = [result.driver, _count(result.tags, "tag")]
    if result.requests is not None:
        facts.append(_count(result.requests, "request"))
    facts.append(_count(len(result.cases), "case") if result.plays else "this driver plays no cases")
    if result.cases:
        facts.append(f"{result.checked} of {result.tags} tags checked")
    ok = result.ok(strict=strict)
    text = f"{result.source.name}: {'ok' if ok else 'failed'} ({', '.join(facts)})"
    session.out.line(session.out.styled(clean(text), "" if ok else "bad"))
    for reason in dict.fromkeys(case.skipped for case in result.skipped):
        session.out.line(session.out.styled(clean(f"  not played: {reason}"), "uncertain"))
    for case in result.failed:
        session.out.line(session.out.styled(clean(f"  {case.file}:{case.line}: {case.name}"), "bad"))
        for failure in case.failures:
            session.out.line(clean(f"    {failure}"))
    for remark in result.remarks:
        style, level = ("bad", "fault") if remark.is_fault else ("uncertain", "advice")
        about = f"{remark.tag}: " if remark.tag else ""
        session.out.line(session.out.styled(clean(f"  {level}: {about}{remark.text}"), style))


def _view(result: Result, *, strict: bool) -> dict[str, Any]:
    return {
        "name": result.source.name,
        "from": result.source.origin,
        "driver": result.driver,
        "ok": result.ok(strict=strict),
        "tags": result.tags,
        "requests": result.requests,
        "checked": result.checked,
        "cases": [
            {
                "name": each.name,
                "file": each.file,
                "line": each.line,
                "ok": not each.failures,
                "failures": each.failures,
                "skipped": each.skipped,
            }
            for each in result.cases
        ],
        "remarks": [each.view() for each in result.remarks],
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
