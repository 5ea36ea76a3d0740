"""How a fleet looks to people, and shadows as JSON. Text from afar is cleaned of control characters."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gateway.cli import forms
from gateway.cli.output import Output, clean
from gateway.fleet import Change, DeviceInfo, GatewayInfo, Result, SetResult, Shadow
from gateway.fleet.names import tag_of
from gateway.fleet.watching import reported_body
from gateway.nesting import nest

_STYLES = {"ok": "", "pending": "uncertain"}
_LONGEST = 60


def gateways(out: Output, found: list[GatewayInfo], ignored: int) -> None:
    rows = [
        (
            each.id,
            _state(each),
            forms.since(each.ts),
            each.version or "-",
            each.codec or "-",
            each.proof or "-",
            "-" if each.devices is None else str(each.devices),
            "-" if each.tags is None else str(each.tags),
        )
        for each in found
    ]
    if rows:
        header = ("gateway", "state", ">status", "version", "codec", "proof", ">devices", ">tags")
        out.table(header, rows, ["" if each.online else "bad" for each in found])
    else:
        out.line("no gateway has published here, or the tenant is another, or this user may not read it")
    if ignored:
        out.line(f"({ignored} messages were not what their topic says)")


def _state(info: GatewayInfo) -> str:
    if info.online is None:
        return "unknown"
    return "online" if info.online else "offline"


def gateway(out: Output, info: GatewayInfo, devices: list[DeviceInfo]) -> None:
    reason = f" ({info.reason})" if info.reason else ""
    out.line(clean(f"{info.id}  {_state(info)}{reason}  version {info.version or '-'}"))
    out.line(
        clean(
            f"status {forms.clock(info.ts)}  session {info.session}  epoch {info.epoch}  codec {info.codec or '-'}"
            f"  proof {info.proof or '-'}"
        )
    )
    if info.devices is None:
        out.line(
            out.styled("no whole birth at the broker: ask for one with `fieldpost fleet command ... rebirth`", "bad")
        )
        return
    rows = [
        (f"{device.device}.{tag.tag}", tag.type, tag.unit, tag.access, device.driver, device.profile)
        for device in devices
        for tag in device.tags
    ]
    out.table(("tag", "type", "unit", "access", "driver", "profile"), rows)


def shadow_body(found: Shadow, only: set[str]) -> dict[str, Any]:
    """A shadow as JSON: documents as on the wire, delta by path."""
    wanted = {path: value for path, value in found.delta.items() if not only or path in only}
    desired = None
    if found.desired is not None:
        values = {path: leaf for path, leaf in found.desired.leaves.items() if not only or path in only}
        desired = {
            "ver": found.desired.ver,
            "state": nest({path: leaf.value for path, leaf in values.items()}),
            "meta": {path: [leaf.ver, leaf.ts] for path, leaf in values.items()},
        }
    reported = None
    if found.reported is not None:
        reported = reported_body(found.reported)
        if only:
            reported["state"] = nest({path: value for path, value in found.reported.values.items() if path in only})
            if "quality" in reported:
                reported["quality"] = {path: text for path, text in reported["quality"].items() if path in only}
            if "delta" in reported:
                reported["delta"] = [path for path in reported["delta"] if path in only]
    return {
        "gateway": found.gateway,
        "device": found.device,
        "desired": desired,
        "reported": reported,
        "delta": wanted,
        "rejections": [msgspec.to_builtins(each) for each in found.rejections if not only or each.path in only],
        "unreadable": list(found.unreadable),
        "missing": missing(found, only),
    }


def missing(found: Shadow, only: set[str]) -> list[str]:
    """The paths of `only` that a shadow has on no side."""
    return sorted(only - _paths(found))


def _paths(found: Shadow) -> set[str]:
    desired = found.desired.leaves if found.desired is not None else {}
    if found.reported is None:
        return set(desired)
    return desired.keys() | found.reported.values.keys() | found.reported.quality.keys()


def shadow(out: Output, found: Shadow, only: set[str]) -> None:
    desired = found.desired.leaves if found.desired is not None else {}
    reported = found.reported.values if found.reported is not None else {}
    said: dict[str, list[str]] = {}
    for each in found.rejections:
        said.setdefault(each.path, []).append(f"{each.state} {each.code} {each.text}".strip())
    local = found.reported.local if found.reported is not None else {}
    rows, styles = [], []
    quality = found.reported.quality if found.reported is not None else {}
    for path in sorted(_paths(found)):
        if only and path not in only:
            continue
        leaf = desired.get(path)
        notes = list(dict.fromkeys(said.get(path, [])))
        if path in local:
            notes.append(f"set at the gateway by {local[path].origin}: `fieldpost fleet adopt` takes it over")
        cells = (
            tag_of(path),
            _value(leaf.value) if leaf is not None else "",
            str(leaf.ver) if leaf is not None else "",
            _value(reported[path]) if path in reported else "",
            quality.get(path, ""),
            "differs" if path in found.delta else "",
            "; ".join(notes),
        )
        rows.append(cells)
        styles.append("uncertain" if path in found.delta else "")
    for side in found.unreadable:
        out.line(out.styled(f"what is retained as {side} is no document", "bad"))
    if rows:
        out.table(("tag", ">desired", ">version", ">reported", "quality", "", ""), rows, styles)
    elif found.desired is None and found.reported is None and not found.unreadable:
        out.line(f"the broker has no shadow of {clean(found.device)}, or this user may not read it")
        return
    if strange := missing(found, only):
        names = ", ".join(map(tag_of, strange))
        out.line(out.styled(f"not in the shadow of {clean(found.device)}: {names}", "bad"))
    if found.reported is not None:
        out.line(f"the gateway has version {found.reported.desired_ver}; polled {forms.clock(found.reported.polled)}")


def change(out: Output, done: SetResult) -> None:
    rows = [
        (tag_of(leaf.path), _value(leaf.value), leaf.state, str(leaf.code or ""), str(leaf.ver), leaf.text)
        for leaf in done.leaves
    ]
    styles = [_STYLES.get(leaf.state, "bad") for leaf in done.leaves]
    out.table(("tag", ">device has", "state", ">code", ">version", ""), rows, styles)


def answer(out: Output, result: Result, device: str | None) -> None:
    if result.items:
        rows = [
            (
                f"{device}.{tag}" if device else tag,
                _value(item.get("value")),
                str(item.get("quality") or ""),
                str(item.get("code", "")),
                str(item.get("text") or ""),
            )
            for tag, item in result.items.items()
        ]
        styles = ["" if item.get("code") == 200 else "bad" for item in result.items.values()]
        out.table(("tag", ">value", "quality", ">code", ""), rows, styles)
    if result.out not in (None, {}):
        out.line(clean(json.dumps(result.out, ensure_ascii=False)))
    if not result.ok or not result.items:
        text = f"{result.state} {result.code}" + (f": {result.text}" if result.text else "")
        out.line(out.styled(clean(text), "" if result.ok else "bad"))


def happened(out: Output, change: Change) -> None:
    """One change as one line."""
    if change.kind == "dropped":
        out.line(f"({change.body['count']} changes came faster than they could be shown)")
        return
    body = {key: value for key, value in change.body.items() if value is not None and value != {}}
    if change.kind in {"status", "birth"}:
        wanted = ("reason", "version", "session", "devices", "tags")
        text = "  ".join(f"{key} {body[key]}" for key in wanted if key in body)
        text = f"{'online' if change.body.get('online') else 'offline'}  {text}"
    else:
        text = json.dumps(body, ensure_ascii=False)
    name = f"{change.gateway}.{change.device}" if change.device else change.gateway
    line = (
        f"{forms.clock(body.get('ts'))}  {name:<24} {change.kind:<9} {text}{'  (retained)' if change.retained else ''}"
    )
    out.line(clean(line))


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else forms.value(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
