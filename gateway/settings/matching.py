"""Which devices a template of a rule or an alarm is for: by profile, by id, or by both."""

from __future__ import annotations

import fnmatch

from gateway.settings.expression_places import names_of
from gateway.settings.ids import did_you_mean
from gateway.settings.inventory import Entry, Inventory
from gateway.settings.positions import Origin, Problems
from gateway.settings.profile_file import Profiles
from gateway.settings.rule_keys import Names


class Matching:
    """Finds the devices of templates. A device has the profiles that its profile extends, too."""

    def __init__(self, inventory: Inventory, profiles: Profiles, problems: Problems) -> None:
        self._inventory = inventory
        self._profiles = profiles
        self._problems = problems

    def devices(self, profile: Names | None, devices: Names | None, origin: Origin) -> list[Entry]:
        """Devices with one of the profiles whose id matches one of the patterns; what names nothing is reported."""
        found = list(self._inventory)
        if profile is not None:
            found = [entry for entry in found if not set(self._known(profile, origin)).isdisjoint(entry.profiles)]
        if devices is not None:
            wanted = names_of(devices)
            for index, pattern in enumerate(wanted):
                place = origin.child("devices") if isinstance(devices, str) else origin.child("devices", index)
                self._check_pattern(pattern, place)
            found = [entry for entry in found if any(fnmatch.fnmatchcase(entry.id, one) for one in wanted)]
        key = "profile" if profile is not None else "devices"
        if not found and not self._inventory.unsure and not self._inventory.any_broken:
            self._problems.at(
                origin.child(key), "no device fits: this makes nothing", "correct it, or `enabled: false`"
            )
        return found

    def _known(self, profile: Names, origin: Origin) -> list[str]:
        names = names_of(profile)
        for index, name in enumerate(names):
            if name not in self._profiles.names() and not self._profiles.incomplete:
                place = origin.child("profile") if isinstance(profile, str) else origin.child("profile", index)
                hint = did_you_mean(name, self._profiles.names())
                self._problems.at(place, f"there is no profile `{name}`", hint, spoils=True)
        return names

    def _check_pattern(self, pattern: str, place: Origin) -> None:
        names = self._inventory.names()
        if names and not any(fnmatch.fnmatchcase(name, pattern) for name in names) and not self._inventory.unsure:
            hint = did_you_mean(pattern, names) if len(names) <= 20 or "*" not in pattern else ""
            self._problems.at(place, f"`{pattern}` matches no device", hint, spoils=True)
