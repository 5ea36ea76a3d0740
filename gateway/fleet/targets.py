"""What shall be on gateways, as people name it: a release, a driver package, a signed configuration, a restart. Pure.

A job only names things: the name is all that goes to a gateway, what it means is signed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from gateway.fleet.faults import FleetError

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}-[0-9][A-Za-z0-9.+]{0,58}"
_RELEASE = re.compile(rf"releases/{_NAME}\.json\Z")
_DRIVER = re.compile(rf"drivers/[a-z0-9][a-z0-9-]{{0,31}}/{_NAME}\.json\Z")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_CONFIG = re.compile(r"configs/([A-Za-z0-9][A-Za-z0-9_-]{0,63}|\{gateway\})/([1-9][0-9]{0,15})\.json\Z")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){1,3}((a|b|rc|\.dev|\.post)[0-9]+)?\Z")
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]\Z")
WINDOWED = frozenset({"ota", "driver", "restart"})
"""Ops that wait for a window where the job names one."""
GROUPED = frozenset({"ota", "driver"})
PLACE = "{gateway}"


class Target(Struct, frozen=True):
    """What is wanted: the op, how it is called, and the `doc` of each gateway."""

    op: str
    label: str
    doc_of: Callable[[str], dict[str, Any]]
    names: tuple[str, ...] = ()
    """Signed targets that a repository has to hold for it; empty where it needs none, or one for each gateway."""


def named_target(text: str) -> Target | None:
    """A target that is a name; None for what is none (it may be a folder)."""
    if text == "restart":
        return Target("restart", text, lambda _: {})
    if _VERSION.match(text):
        text = f"releases/fieldpost-{text}.json"
    if _RELEASE.match(text):
        return Target("ota", text, lambda _: {"target": text}, (text,))
    if _DRIVER.match(text):
        return Target("driver", text, lambda _: {"target": text}, (text,))
    if (match := _CONFIG.match(text)) is not None:
        return Target("config", text, lambda gateway: _signed_config(text, match[1], int(match[2]), gateway))
    return None


def _signed_config(text: str, owner: str, rev: int, gateway: str) -> dict[str, Any]:
    if owner not in {PLACE, gateway}:
        raise FleetError(f"{text} is the configuration of {owner}, not of {gateway}: write configs/{PLACE}/{rev}.json")
    return {"rev": rev, "target": text.replace(PLACE, gateway)}


def no_target(text: str) -> FleetError:
    """The error for a text that names nothing."""
    return FleetError(
        f"{text!r} is no target and no folder: write a version (1.4.0), releases/NAME-VERSION.json,"
        " drivers/VENDOR/NAME-VERSION.json, configs/{gateway}/REV.json, the folder of a configuration, or restart",
        code=400,
    )


def windowed(target: Target, window: str | None, group: str | None) -> Target:
    """With a window and the name of a group in each doc. Raises FleetError 400."""
    if window is None and group is None:
        return target
    if window is not None and not _WINDOW.match(window):
        raise FleetError(f"{window!r} is no window: write 01:00-05:00, in the gateway's time", code=400)
    if window is not None and target.op not in WINDOWED:
        raise FleetError(f"a job of op {target.op} has no window", code=400)
    if group is not None and not _GROUP.match(group):
        raise FleetError(f"{group!r} is no name of a group: letters, digits, `.`, `_`, `-`, at most 64", code=400)
    if group is not None and target.op not in GROUPED:
        raise FleetError(f"a job of op {target.op} has no group", code=400)
    more = {key: value for key, value in (("window", window), ("group", group)) if value is not None}
    return Target(target.op, target.label, lambda gateway: target.doc_of(gateway) | more, target.names)
