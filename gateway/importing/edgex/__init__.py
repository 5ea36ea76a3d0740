"""EdgeX device profiles, device lists and provision watchers (v2 and v3) as profiles, channels and watch rules.

Profiles are read first, then devices (which make the channels), then watchers (which need both), whatever the order of
the documents. The meaning of keys is that of EdgeX' code (device-sdk-go, device-modbus-go) where its pages differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.importing.draft import Draft
from gateway.importing.edgex.devices import Devices
from gateway.importing.edgex.profile import Profile, draw_profile, read_profile
from gateway.importing.edgex.watchers import draw_watcher
from gateway.importing.importers import EDGEX_WRAPPERS
from gateway.importing.sources import Source
from gateway.importing.views import View

_ENVELOPE = ("apiVersion", "requestId", "statusCode", "totalCount", "message")


def convert(sources: Sequence[Source], views: Sequence[View], draft: Draft) -> None:  # noqa: ARG001 - EdgeX has no lists
    """Draw every document of EdgeX."""
    profiles: dict[str, Profile] = {}
    parts: dict[str, list[View]] = {"profile": [], "device": [], "watcher": []}
    for view in views:
        for what, part in _parts(view):
            parts[what].append(part)
    for part in parts["profile"]:
        _take(part, profiles, draft)
    devices = Devices(profiles, draft)
    for part in parts["device"]:
        devices.read(part)
    devices.draw()
    for part in parts["watcher"]:
        draw_watcher(part, profiles, devices, draft)


def _parts(view: View) -> Iterator[tuple[str, View]]:
    """What a document holds, and what that is: a file's own, or that of requests to and answers of core-metadata."""
    for each in view.items():
        yield from _parts(each)
    keys = set(view.keys())
    if "deviceResources" in keys:
        yield "profile", view
    elif "discoveredDevice" in keys:
        yield "watcher", view
    elif {"name", "protocols"} <= keys:
        yield "device", view
    elif "deviceList" not in keys and "apiVersion" in keys:
        for key in _ENVELOPE:
            view.get(key)
        for key, what in EDGEX_WRAPPERS.items():
            yield from ((what, each) for each in _all(view.get(key)))
    if (listed := view.get("deviceList")) is not None:
        yield from (("device", each) for each in listed.as_list() or ())


def _all(held: View | None) -> Iterator[View]:
    """The one that a key holds, or all of its list."""
    if held is not None and held.is_list:
        yield from held.items()
    elif held is not None and held.as_map() is not None:
        yield held


def _take(view: View, profiles: dict[str, Profile], draft: Draft) -> None:
    profile = read_profile(view, draft)
    if profile is None:
        return
    if profile.name in profiles:
        draft.report.error(view.place, f"there are two profiles `{profile.name}`", "import one of them")
        return
    profiles[profile.name] = profile
    draw_profile(profile, draft)
