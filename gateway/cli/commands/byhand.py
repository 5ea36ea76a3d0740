"""force and maintenance: what a person sets by hand for a while."""

from __future__ import annotations

import getpass
from typing import Any

from gateway.cli import forms
from gateway.cli.commands.values import assignment
from gateway.cli.session import CommandFailed, Exit, Session


def force(session: Session) -> int:
    """Force a tag, release one or all, or list."""
    args = session.args
    _together(session, args.assignment is None, "DEVICE.TAG=VALUE")
    if session.option("release"):
        if args.assignment is not None:
            raise CommandFailed("force a tag or release one, not both at once", Exit.USAGE)
        answer = session.call("force", {"release": args.release, "who": who()})
        _say(session, answer, [f"released {name}" for name in answer.get("released", [])] or ["nothing was forced"])
        return Exit.OK
    asked: dict[str, Any] = {}
    if args.assignment is not None:
        if session.option("lasting") is None:
            raise CommandFailed("a force ends by itself: say --for TIME", Exit.USAGE)
        name, value = assignment(args.assignment)
        asked = {"tag": name, "value": value, "for_s": args.lasting, "reason": session.option("reason"), "who": who()}
    answer = session.call("force", asked)
    _list(session, answer, "forced", "nothing is forced")
    return Exit.OK


def maintenance(session: Session) -> int:
    """Begin or end maintenance of a device, or list."""
    args = session.args
    _together(session, args.device is None or args.end, "DEVICE without --end")
    if args.end and args.device is None:
        raise CommandFailed("--end of which device?", Exit.USAGE)
    asked: dict[str, Any] = {}
    if args.device is not None:
        if not args.end and session.option("lasting") is None:
            raise CommandFailed("maintenance ends by itself: say --for TIME", Exit.USAGE)
        asked = {"device": args.device, "end": args.end, "for_s": session.option("lasting"), "who": who()}
        asked["reason"] = session.option("reason")
    answer = session.call("maintenance", asked)
    _list(session, answer, "maintenance", "no device is under maintenance")
    return Exit.OK


def _together(session: Session, alone: bool, partner: str) -> None:
    """Raises CommandFailed (usage) for options that would be ignored: they say how long and why of something."""
    for option, name in (("lasting", "--for"), ("reason", "--reason")):
        if alone and session.option(option) is not None:
            raise CommandFailed(f"{name} needs {partner}", Exit.USAGE)


def _list(session: Session, answer: dict[str, Any], key: str, none: str) -> None:
    forced = key == "forced"
    rows = [
        (
            str(row["key"]),
            *((forms.value(row["value"]),) if forced else ()),
            forms.clock(row["until"]),
            str(row["who"]),
            str(row["reason"]),
        )
        for row in answer.get(key, [])
    ]
    if rows and not session.out.as_json:
        session.out.table((*(("tag", ">value") if forced else ("device",)), "until", "by", "reason"), rows)
        say_unkept(session, answer)
    else:
        _say(session, answer, [none])


def _say(session: Session, answer: dict[str, Any], lines: list[str]) -> None:
    if session.out.as_json:
        session.out.result(answer)
        return
    for line in lines:
        session.out.line(line)
    say_unkept(session, answer)


def say_unkept(session: Session, answer: dict[str, Any]) -> None:
    """Say of an act that the disk had no room for it."""
    if "unkept" in answer:
        session.out.line(f"done, but not on disk yet: {answer['unkept']}; a restart now would undo it")


def who() -> str:
    """The user's name, for the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "local"
