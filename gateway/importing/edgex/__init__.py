"""EdgeX device profiles, device lists and provision watchers (v2 and v3) as profiles, channels and watch rules.

Profiles are read first, then devices (which make the channels), then watchers (which need both), whatever the order of
the documents. The meaning of keys is that of EdgeX' code (device-sdk-go, device-modbus-go) where its pages differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.importing.draft import Draft
from gateway.importing.edgex.devices import Devices
from gateway.importing.edgex.profile import Profile, draw_profile, read_profile
from gateway.importing.edgex.watchers import draw_watcher
from gateway.importing.sources import Source
from gateway.importing.views import View


def convert(sources: Sequence[Source], views: Sequence[View], draft: Draft) -> None:  # noqa: ARG001 - EdgeX has no lists
    """Draw every document of EdgeX."""
    profiles: dict[str, Profile] = {}
    for view in views:
        if "deviceResources" in view.keys():  # noqa: SIM118 - a View is no mapping
            _take(view, profiles, draft)
    devices = Devices(profiles, draft)
    for view in views:
        found = view.get("deviceList")
        for each in (found.as_list() or ()) if found is not None else ():
            devices.read(each)
    devices.draw()
    for view in views:
        if "discoveredDevice" in view.keys():  # noqa: SIM118
            draw_watcher(view, profiles, devices, draft)


def _take(view: View, profiles: dict[str, Profile], draft: Draft) -> None:
    profile = read_profile(view, draft)
    if profile is None:
        return
    if profile.name in profiles:
        draft.report.error(view.place, f"there are two profiles `{profile.name}`", "import one of them")
        return
    profiles[profile.name] = profile
    draw_profile(profile, draft)
