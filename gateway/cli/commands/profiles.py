"""profiles: the library of the installed drivers."""

from __future__ import annotations

import os
from typing import Any

from gateway.cli.editing import Changes, finish
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.library import profile_texts


def profiles(session: Session) -> int:
    """All profiles, or one; --write copies it."""
    library = profile_texts(session.args.driver)
    name = session.args.name
    if name is None:
        _list(session, library)
        return Exit.OK
    if name not in library:
        near = [each for each in library if name.lower() in each]
        raise CommandFailed(f"the library has no profile {name}" + (f"; near: {', '.join(near)}" if near else ""))
    if session.args.write:
        changes = Changes(session.config_dir)
        if f"profiles/{name}.yaml" in changes.before:
            raise CommandFailed(f"profiles/{name}.yaml exists already")
        changes.add(f"profiles/{name}.yaml", library[name])
        finish(session, changes)
    elif session.out.as_json:
        session.out.result({"name": name, "text": library[name]})
    else:
        session.out.line(library[name].rstrip(os.linesep))
    return Exit.OK


def _list(session: Session, library: dict[str, str]) -> None:
    rows = [{"name": name, **_facts(name, text)} for name, text in library.items()]
    if session.out.as_json:
        session.out.result({"profiles": rows})
        return
    cells = [(row["name"], str(row["maker"]), str(row["model"]), str(row["tags"])) for row in rows]
    session.out.table(("profile", "maker", "model", ">tags"), cells)


def _facts(name: str, text: str) -> dict[str, Any]:
    import yaml

    body = (yaml.safe_load(text) or {}).get(name) or {}
    meta = body.get("meta") or {}
    return {"maker": meta.get("maker", ""), "model": meta.get("model", ""), "tags": len(body.get("tags") or {})}
