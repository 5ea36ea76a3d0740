"""profiles: those of the libraries and of the configuration, what results of one, and their cases."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gateway.cli.editing import Changes, finish
from gateway.cli.places import config_dir
from gateway.cli.profiles_grammar import ACTIONS
from gateway.cli.profiletests.sources import (
    CONFIGURATION,
    LIBRARY,
    Source,
    configured,
    in_file,
    installed,
    library,
    strays,
)
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.settings.ids import did_you_mean


def profiles(session: Session) -> int:
    """List them, show one, test some, or record a case. A name alone shows it."""
    what, names = session.args.what, list(session.args.name)
    if what is not None and what not in ACTIONS:
        what, names = "show", [what, *names]
    _refuse_foreign(session, what or "ls")
    if what == "test":
        from gateway.cli.commands.profiletest import test

        folder = None if names or session.option("library") else config_dir(session.option("config"))
        return test(session, chosen(session, names), strays(folder) if folder is not None else [])
    if what == "record":
        from gateway.cli.commands.profilerecord import record

        if len(names) != 1:
            raise CommandFailed("profiles record takes one device", Exit.USAGE)
        return record(session, names[0])
    if what == "show":
        if len(names) != 1:
            raise CommandFailed("profiles show takes one name", Exit.USAGE)
        return _show(session, names[0])
    if names:
        raise CommandFailed("profiles ls takes no name", Exit.USAGE)
    _list(session, known(session))
    return Exit.OK


_OWN = {"ls": set[str](), "show": {"write", "resolved", "param"}, "test": {"strict"}, "record": {"write", "lasting"}}


def _refuse_foreign(session: Session, what: str) -> None:
    """Raises CommandFailed (usage) for options that this action would ignore."""
    for name, word in (("write",) * 2, ("resolved",) * 2, ("param",) * 2, ("strict",) * 2, ("lasting", "for")):
        if session.option(name) and name not in _OWN[what]:
            raise CommandFailed(f"--{word} is not of profiles {what}", Exit.USAGE)


def known(session: Session) -> list[Source]:
    """The profiles of the configuration, if there is one, and of the libraries."""
    driver = session.option("driver")
    names = installed()
    if driver is not None and driver not in names:
        raise CommandFailed(f"there is no driver {driver}; {did_you_mean(driver, names)}", Exit.USAGE)
    folder = None if session.option("library") else config_dir(session.option("config"))
    own = configured(folder) if folder is not None else []
    return [each for each in own if driver in {None, each.driver}] + library(names if driver is None else [driver])


def chosen(session: Session, names: list[str]) -> list[Source]:
    """The profiles that a test is asked for: by name, by file, or all of the configuration (else of the libraries)."""
    if not names:
        all_of = known(session)
        own = [each for each in all_of if each.origin == CONFIGURATION]
        return own or all_of
    found: list[Source] = []
    for name in names:
        path = Path(name)
        found += in_file(path) if path.suffix in {".yaml", ".yml"} else [one(session, name)]
    return found


def one(session: Session, name: str) -> Source:
    """A profile by its name: the configuration's before the library's, for that is what runs. Raises CommandFailed."""
    sources = known(session)
    found = [each for each in sources if each.name == name]
    if not found:
        names = {each.name for each in sources}
        near = sorted(one for one in names if name.lower() in one.lower()) or get_close_matches(name, names)
        hint = f"; near: {', '.join(near)}" if near else ""
        raise CommandFailed(f"there is no profile {name} in the library and in the configuration{hint}")
    first = found[0].origin
    several = [each.driver for each in found if each.origin == first]
    if len(several) > 1:
        raise CommandFailed(f"{name} is a profile of {' and '.join(several)}: say which with --driver", Exit.USAGE)
    return found[0]


# --- ls


def _list(session: Session, sources: list[Source]) -> None:
    rows = [_facts(each) for each in sources]
    if session.out.as_json:
        session.out.result({"profiles": rows})
        return
    names = ("name", "from", "driver", "maker", "model", "tags", "cases", "quality")
    cells = [tuple(str(row[name]) for name in names) for row in rows]
    session.out.table(("profile", "from", "driver", "maker", "model", ">tags", ">cases", "quality"), cells)


def _facts(source: Source) -> dict[str, Any]:
    from gateway.cli.profiletests.document import read_cases
    from gateway.settings.positions import Problems

    meta: dict[str, Any] = {}
    tags: set[str] = set()
    for body in source.chain[::-1]:
        meta |= _mapping(body.get("meta"))
        tags |= set(_mapping(body.get("tags")))
    cases = sum(len(read_cases(name, raw, Problems()).cases) for name, raw in source.cases.items())
    return {
        "name": source.name,
        "from": source.origin,
        "driver": source.driver,
        "maker": str(meta.get("maker", "")),
        "model": str(meta.get("model", "")),
        "tags": len(tags),
        "cases": cases,
        "quality": str(meta.get("quality", "")),
    }


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


# --- show


def _show(session: Session, name: str) -> int:
    if session.args.write:
        return _copy(session, name)
    source = one(session, name)
    if session.args.resolved or session.option("param"):
        from gateway.cli.profiletests.resolved import show_resolved

        return show_resolved(session, source)
    text = source.text if source.origin == LIBRARY else _own_text(source)
    if session.out.as_json:
        session.out.result({"name": name, "from": source.origin, "driver": source.driver, "text": text})
    else:
        session.out.line(text.rstrip(os.linesep))
    return Exit.OK


def _own_text(source: Source) -> str:
    """The part of a file that one profile is: a file of the configuration may hold many."""
    from gateway.cli.profiletests.sources import read_quietly
    from gateway.settings.positions import Document

    lines = source.text.splitlines()

    def line(document: Document, key: str) -> int:
        return document.locate((key,), at_key=True)[0] - 1

    for document in read_quietly(source.file, source.files[source.file]):
        if isinstance(document.data, dict) and source.name in document.data:
            first = line(document, source.name)
            later = [line(document, key) for key in document.data if line(document, key) > first]
            return "\n".join([f"# {source.file}", *lines[first : min(later, default=len(lines))]])
    return source.text


def _copy(session: Session, name: str) -> int:
    """Copy a profile of the library, and what it extends, into the configuration folder."""
    if session.args.resolved or session.option("param"):
        raise CommandFailed("--write copies the profile as it is; give parameters to its devices", Exit.USAGE)
    session.args.library = True
    source = one(session, name)
    changes = Changes(session.config_dir)
    if f"profiles/{name}.yaml" in changes.before:
        raise CommandFailed(f"profiles/{name}.yaml exists already")
    for file, text in source.files.items():
        if file not in changes.before:
            changes.add(file, text.decode())
    finish(session, changes)
    return Exit.OK
