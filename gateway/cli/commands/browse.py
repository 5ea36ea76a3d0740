"""browse: what a channel or a server has, as a tree, item by item; what is picked becomes tags."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli import forms
from gateway.cli.commands.add import devices_of, document_of
from gateway.cli.editing import Changes, finish
from gateway.cli.output import clean
from gateway.cli.picking import Picked, is_picked
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.cli.splicing import Merge
from gateway.cli.target import browsed_target, holder_of

MOST_PICKED = 2000


def browse(session: Session) -> int:
    """Show the tree, or make tags of what is picked."""
    args = session.args
    device, patterns = session.option("add"), session.option("pick")
    if (device is None) != (patterns is None):
        raise CommandFailed("--add DEVICE and --pick PATTERN go together", Exit.USAGE)
    if session.option("write") and device is None:
        raise CommandFailed("--write writes what --add and --pick say", Exit.USAGE)
    driver, target = browsed_target(args.target)
    options = {key: session.option(key) for key in ("at", "depth", "filter") if session.option(key) is not None}
    items = _items(session, {**target, **({"driver": driver} if driver else {}), "options": options})
    if device is not None:
        return _add(session, driver, target, device, [item for item in items if is_picked(item, patterns)])
    return _show(session, items)


def _items(session: Session, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Items as they come; on a terminal a counter of those that were looked at."""
    counting = sys.stderr.isatty() and not session.out.as_json
    try:
        with session.client(120.0) as client:
            for item in client.stream("browse", asked):
                if "dropped" in item:
                    raise CommandFailed("items came faster than they were taken, and some are lost: browse again")
                if "done" not in item:
                    yield item
                elif counting:
                    sys.stderr.write(f"\r{item['done']} looked at ")
                    sys.stderr.flush()
    finally:
        if counting:
            sys.stderr.write("\r" + " " * 30 + "\r")


def _show(session: Session, items: Iterator[Mapping[str, Any]]) -> int:
    """A line for each: nothing is kept, however large the tree."""
    any_ = False
    for item in items:
        if session.out.as_json:
            session.out.result(dict(item))
        else:
            if not any_:
                session.out.line(session.out.styled(_line("type", "access", "value", "address", "path"), "dim"))
            value = forms.value(item["value"]) if "value" in item else ""
            kind = str(item.get("type") or item.get("kind", ""))
            words = (kind, str(item.get("access", "")), value, str(item.get("address", "")), str(item.get("path", "")))
            session.out.line(session.out.styled(clean(_line(*words)), "bold" if item.get("kind") == "folder" else ""))
        any_ = True
    if not any_ and not session.out.as_json:
        session.out.line("nothing is there")
    return Exit.OK if any_ else Exit.FAILED


def _line(kind: str, access: str, value: str, address: str, path: str) -> str:
    value = value if len(value) <= 16 else value[:15] + "…"
    return f"{kind:<9} {access:<6} {value:<16} {address:<36} {path}".rstrip()


def _add(session: Session, driver: str, target: dict[str, Any], device: str, picked: list[dict[str, Any]]) -> int:
    """The picked items as tags of a device, in the file of its channel."""
    chosen = [item for item in picked if item.get("keys")]
    if not chosen:
        raise CommandFailed("nothing that can be a tag was picked")
    if len(chosen) > MOST_PICKED:
        raise CommandFailed(f"{len(chosen)} items are picked, and {MOST_PICKED} at most become tags at once")
    changes = Changes(session.config_dir)
    held = holder_of(changes.settings().channels, driver, target)
    if held is None:
        where = target.get("channel") or session.args.target
        raise CommandFailed(f"no channel of {changes.folder} is {where}: make one with `fieldpost add`")
    place = document_of(changes, held.id)
    if place is None:
        raise CommandFailed(f"the file of channel {held.id} was not found in {changes.folder}")
    file, document = place
    written = devices_of(changes, file, document).get(device) or {}
    known = next((each for each in held.devices if each.id == device), None)
    tags = Picked(written.get("tags") or {}, {spec.path for spec in known.tags} if known is not None else set())
    for item in chosen:
        tags.take(item)
    if tags.fresh:
        wanted = Merge(tags=Merge(tags.fresh)) if isinstance(written.get("tags"), dict) else Merge(tags=tags.fresh)
        changes.edit(file, Merge(devices=Merge({device: wanted})), document)
    if tags.again:
        changes.notes.append(f"note: {tags.again} of the picked items are tags of {device} already")
    finish(session, changes)
    return Exit.OK
