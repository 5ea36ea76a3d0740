"""shadow: what the cloud wants of a device, what the device says, and what was set at the gateway."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.cli import forms
from gateway.cli.commands.byhand import who
from gateway.cli.commands.values import assignment
from gateway.cli.session import CommandFailed, Exit, Session

_HEADER = ("leaf", ">desired", "state", ">reported", "quality", ">local", "")


def shadow(session: Session) -> int:
    """get, set, delete, watch, delta."""
    return {"get": _get, "set": _set, "delete": _delete, "watch": _watch, "delta": _delta}[session.args.what](session)


def _get(session: Session) -> int:
    return _show(session, session.call("shadow", _device(session)))


def _set(session: Session) -> int:
    pairs = [assignment(text) for text in session.args.names]
    asked: dict[str, dict[str, Any]] = {}
    for name, value in pairs:
        device, path = _split(name)
        asked.setdefault(device, {})[path] = value
    if len(asked) != 1:
        raise CommandFailed("set the leaves of one device: DEVICE.TAG=VALUE ...", Exit.USAGE)
    [(device, values)] = asked.items()
    if len(values) < len(pairs):
        raise CommandFailed("a leaf is given twice", Exit.USAGE)
    return _show(session, session.call("shadow_set", {"device": device, "values": values, "who": who()}))


def _delete(session: Session) -> int:
    names = [_split(name) for name in session.args.names]
    devices = {device for device, _ in names}
    if len(devices) != 1:
        raise CommandFailed("delete leaves of one device: DEVICE.TAG ...", Exit.USAGE)
    paths = [path for _, path in names]
    return _show(session, session.call("shadow_delete", {"device": devices.pop(), "paths": paths, "who": who()}))


def _delta(session: Session) -> int:
    """What devices would have to change. Exit 1 when there is something."""
    answer = session.call("shadow", _device(session))
    found = {row["device"]: row["delta"] for row in answer["shadows"] if row["delta"]}
    if session.out.as_json:
        session.out.result({"delta": found})
    else:
        rows = [
            (f"{row['device']}.{path}", forms.value(wanted), forms.value(row["reported"].get(path, {}).get("value")))
            for row in answer["shadows"]
            for path, wanted in row["delta"].items()
        ]
        if rows:
            session.out.table(("leaf", ">desired", ">reported"), rows)
        else:
            session.out.line("nothing differs")
    return Exit.FAILED if found else Exit.OK


def _watch(session: Session) -> int:
    """One change a line until interrupted."""
    args = _device(session)
    if session.option("since"):
        args["revision"] = session.args.since
    try:
        with session.client() as client:
            for item in client.stream("shadow_watch", args):
                if session.out.as_json:
                    session.out.result(item)
                else:
                    for line in _lines(item):
                        session.out.line(line)
    except KeyboardInterrupt:
        return Exit.OK
    return Exit.FAILED  # the gateway ended it


def _lines(item: dict[str, Any]) -> Iterable[str]:
    if "dropped" in item:
        yield f"({item['dropped']} changes came faster than they could be shown)"
        return
    device = item["device"]
    if "shadow" in item:
        view = item["shadow"]
        yield f"{device}  desired {view['desired_ver']}, reported {view['reported_ver']}, delta {len(view['delta'])}"
        return
    for change in item["changes"]:
        shown = " ".join(f"{key} {forms.value(value)}" for key, value in change.items() if key not in ("side", "path"))
        yield f"{device}.{change['path']}  {change['side']}: {shown}"


def _show(session: Session, answer: dict[str, Any]) -> int:
    if session.out.as_json:
        session.out.result(answer)
        return Exit.OK
    rows = [row for view in answer["shadows"] for row in _rows(view)]
    if rows:
        session.out.table(_HEADER, rows)
    else:
        session.out.line("there is nothing desired, and no tag that is written or marked `shadow: true`")
    return Exit.OK


def _rows(view: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    sides = (view["desired"], view["reported"], view["local"])
    for path in sorted({path for side in sides for path in side}):
        desired, reported, local = (side.get(path, {}) for side in sides)
        applied = view["apply"].get(path, {})
        yield (
            f"{view['device']}.{path}",
            forms.value(desired["value"]) if desired else "",
            str(applied.get("state", "")),
            forms.value(reported["value"]) if reported else "",
            str(reported.get("quality", "")),
            forms.value(local["value"]) if local else "",
            "differs" if path in view["delta"] else str(applied.get("text") or ""),
        )


def _device(session: Session) -> dict[str, Any]:
    names = session.args.names
    if len(names) > 1:
        raise CommandFailed("name one device, or none for all", Exit.USAGE)
    return {"device": names[0]} if names else {}


def _split(name: str) -> tuple[str, str]:
    device, dot, path = name.partition(".")
    if not dot or not path:
        raise CommandFailed(f"{name} is not DEVICE.TAG", Exit.USAGE)
    return device, path
