"""The RuleBook of a tree: everything that names tags from elsewhere, made once all devices are known."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.rulebook import Expressions, RuleBook
from gateway.settings.alarm_file import Alarms
from gateway.settings.computed import Computed
from gateway.settings.expression_places import Places
from gateway.settings.gateway_file import GatewayFile
from gateway.settings.inventory import Inventory
from gateway.settings.matching import Matching
from gateway.settings.notify_keys import Notifications
from gateway.settings.positions import Origin, Problems
from gateway.settings.profile_file import Profiles
from gateway.settings.rule_file import Rules
from gateway.settings.steps import StepReader, Surroundings

Documents = list[tuple[Origin, Any]]


class BookMaker(Struct, frozen=True):
    """What a book is made from. `rules`, `alarms`: the documents of their files."""

    inventory: Inventory
    profiles: Profiles
    rules: Documents
    alarms: Documents

    def make(self, gateway: GatewayFile, expressions: Expressions | None, problems: Problems) -> RuleBook:
        """Everything wrong is reported; the book has what is good."""
        places = Places(expressions, self.inventory, problems)
        Computed(places).check()
        matching = Matching(self.inventory, self.profiles, problems)
        notify: Notifications = gateway.notify
        alarms = Alarms(places, matching, notify.names)
        for entry in self.inventory:
            alarms.read_device(entry)
        for origin, data in self.alarms:
            alarms.read(data, origin)
        steps = StepReader(places, Surroundings(notify.names, list(gateway.uplinks.names)))
        rules = Rules(places, matching, alarms, steps, gateway.timezone)
        for origin, data in self.rules:
            rules.read(data, origin)
        return RuleBook(
            rules=tuple(rules.specs),
            alarms=tuple(alarms.specs),
            notify=tuple(notify.specs),
            dry_run=gateway.rules.dry_run,
            budget_s=float(gateway.rules.budget),
            quiet_issues=tuple(dict.fromkeys(alarms.quiet)),
        )
