"""What a job of op `ota` or `driver` may say: a signed target, and when. Where it comes from and who is believed is
this machine's own.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from msgspec import Struct

from gateway.jobs.window import Window, parse_window
from gateway.jobs.work import Job, JobRefused
from gateway.settings.types import OtaSettings

_VERSION = r"[0-9][A-Za-z0-9.+]{0,58}"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_RELEASE = re.compile(rf"releases/{_NAME}-{_VERSION}\.json\Z")
_DRIVER = re.compile(rf"drivers/([a-z0-9][a-z0-9-]{{0,31}})/({_NAME})-{_VERSION}\.json\Z")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_KNOWN = ("target", "window", "group")
_OWN = {
    "url": "where releases come from is a setting of the gateway",
    "sha256": "what is right is proven by signatures",
    "hash": "what is right is proven by signatures",
    "force": "no check can be left out",
}


class OtaDoc(Struct, frozen=True):
    """`window`: it may begin then only; the gateway's own holds as well."""

    target: str
    window: Window | None = None
    group: str = ""


def parse_doc(job: Job, settings: OtaSettings) -> OtaDoc:
    """Raises JobRefused, which names the key."""
    for key in sorted(job.doc.keys() - set(_KNOWN)):
        why = _OWN.get(key, "a job names a target, and a window or group")
        raise JobRefused(f"doc.{key[:40]}: {why}")
    target = job.doc.get("target")
    if target is None:
        raise JobRefused("doc.target: it is missing")
    _check_target(job.op, target, settings)
    window = parse_window(job.doc["window"]) if "window" in job.doc else None
    own = own_window(settings)
    if window is not None and own is not None and not _meet(window, own):
        raise JobRefused("doc.window: it has no minute in common with `ota.window` of this gateway")
    group = job.doc.get("group", "")
    if "group" in job.doc and (not isinstance(group, str) or _GROUP.match(group) is None):
        raise JobRefused("doc.group: 1 to 64 letters, digits, `.`, `_`, `-`")
    return OtaDoc(target, window, group)


def own_window(settings: OtaSettings) -> Window | None:
    """When this gateway lets an update begin; None for any time."""
    return None if settings.window is None else Window(*settings.window)


def _check_target(op: str, target: object, settings: OtaSettings) -> None:
    if op == "ota":
        if not isinstance(target, str) or _RELEASE.match(target) is None:
            raise JobRefused("doc.target: a release is named as releases/fieldpost-1.4.0.json")
        return
    match = _DRIVER.match(target) if isinstance(target, str) else None
    if match is None:
        raise JobRefused("doc.target: a driver is named as drivers/VENDOR/NAME-1.0.0.json")
    vendor, name = match.groups()
    titled = f"{vendor}/{name}"
    if not any(fnmatchcase(titled if "/" in pattern else name, pattern) for pattern in settings.drivers):
        raise JobRefused(f"doc.target: {titled} is not among `ota.drivers.allow` of this gateway", code=403)


def _meet(one: Window, other: Window) -> bool:
    return _holds(one, other.begin) or _holds(other, one.begin)


def _holds(window: Window, minute: int) -> bool:
    day = 24 * 60
    return (minute - window.begin) % day < (window.end - window.begin) % day
