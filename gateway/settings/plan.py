"""What changing from one configuration to another would do, at channel grain: the blast radius before the blast.

An untouched channel is not in any list: it keeps its connection and its ticks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from gateway.model import ChannelSpec
from gateway.serving.contract import Offer
from gateway.serving.offering import offers_of
from gateway.settings.book_plan import BookPlan, diff_books
from gateway.settings.fingerprint import channel_bytes
from gateway.settings.references import is_secret_key
from gateway.settings.types import GatewaySettings, ServerSettings, UplinkSettings

_TOLD_OTHERWISE = frozenset({
    "id", "tenant", "timezone", "clock_trust", "store", "shadow", "uplinks", "channels", "servers", "book", "watch",
    "ota", "hash", "accepted",
})  # fmt: skip
"""Fields of the settings that have lines of their own, or that are no part of the meaning. Each other one is told with
both values, so that none is forgotten that comes later.
"""


class Plan(Struct, frozen=True):
    """Ids of channels and names of uplinks and servers by what happens to them.

    `process`: settings that only a restart of the process brings in. `details`: for a changed one, what differs.
    `book`: what happens to rules, alarms and notifications. `watch`: channels with other watch rules. `ota`: keys of
    updates that differ; the next one goes by them. `words`: other words of gateway.yaml with both values; they hold at
    once.
    """

    old_hash: str
    new_hash: str
    channels_added: tuple[str, ...] = ()
    channels_removed: tuple[str, ...] = ()
    channels_changed: tuple[str, ...] = ()
    channels_unchanged: tuple[str, ...] = ()
    uplinks_added: tuple[str, ...] = ()
    uplinks_removed: tuple[str, ...] = ()
    uplinks_changed: tuple[str, ...] = ()
    uplinks_unchanged: tuple[str, ...] = ()
    servers_added: tuple[str, ...] = ()
    servers_removed: tuple[str, ...] = ()
    servers_changed: tuple[str, ...] = ()
    servers_unchanged: tuple[str, ...] = ()
    process: tuple[str, ...] = ()
    details: tuple[tuple[str, tuple[str, ...]], ...] = ()
    book: BookPlan = BookPlan()
    watch: tuple[str, ...] = ()
    ota: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing restarts, nothing waits for a restart, and no rule or alarm changes."""
        gone = self.channels_removed or self.uplinks_removed or self.servers_removed
        others = self.process or self.watch or self.ota or self.words
        return not (self.touched() or gone or others) and self.book.is_empty

    def touched(self) -> tuple[str, ...]:
        """What is (re)started and should come up: `channel:line1`, `uplink:cloud`."""
        channels = (*self.channels_changed, *self.channels_added)
        uplinks = (*self.uplinks_changed, *self.uplinks_added)
        servers = (*self.servers_changed, *self.servers_added)
        kinds = (("channel", channels), ("uplink", uplinks), ("server", servers))
        return tuple(f"{kind}:{name}" for kind, names in kinds for name in names)

    def lines(self) -> list[str]:
        """The plan for people, one line for each thing that happens; empty when nothing does."""
        details = dict(self.details)
        lines: list[str] = []
        for kind, added, removed, changed in (
            ("channel", self.channels_added, self.channels_removed, self.channels_changed),
            ("uplink", self.uplinks_added, self.uplinks_removed, self.uplinks_changed),
            ("server", self.servers_added, self.servers_removed, self.servers_changed),
        ):
            lines += [f"- {kind} {name} stops" for name in removed]
            lines += [f"+ {kind} {name} starts" for name in added]
            lines += [f"~ {kind} {name} restarts: {', '.join(details[f'{kind}:{name}'])}" for name in changed]
        lines += [f"~ watch rules of channel {name} change" for name in self.watch]
        lines += self.book.lines()
        lines += [f"~ updates: {', '.join(self.ota)}"] if self.ota else []
        lines += [f"~ {word}" for word in self.words]
        lines += [f"! {name} changes with the next restart of the gateway" for name in self.process]
        return lines

    def as_json(self) -> dict[str, Any]:
        """The plan for programs."""
        return {
            "hash": {"old": self.old_hash, "new": self.new_hash},
            "channels": _lists(
                self.channels_added, self.channels_removed, self.channels_changed, self.channels_unchanged
            ),
            "uplinks": _lists(self.uplinks_added, self.uplinks_removed, self.uplinks_changed, self.uplinks_unchanged),
            "servers": _lists(self.servers_added, self.servers_removed, self.servers_changed, self.servers_unchanged),
            "rules": self.book.rules.as_json(),
            "alarms": self.book.alarms.as_json(),
            "notify": self.book.notify.as_json(),
            "watch": list(self.watch),
            "settings": list(self.words),
            "restart_required": list(self.process),
            "details": {name: list(differences) for name, differences in self.details},
            "lines": self.lines(),
        }


def diff(old: GatewaySettings, new: GatewaySettings) -> Plan:
    """What going from `old` to `new` does."""
    details: dict[str, tuple[str, ...]] = {}
    before = {channel.id: channel for channel in old.channels}
    after = {channel.id: channel for channel in new.channels}
    channels = _sort(before, after, _same_channel)
    for name in channels[2]:
        details[f"channel:{name}"] = _channel_details(before[name], after[name])
    links_before = {uplink.name: uplink for uplink in old.uplinks}
    links_after = {uplink.name: uplink for uplink in new.uplinks}
    uplinks = _sort(links_before, links_after, lambda a, b: a == b)
    for name in uplinks[2]:
        details[f"uplink:{name}"] = _uplink_details(links_before[name], links_after[name])
    servers_before = {server.name: (server, offers_of(server.choice, old.channels)) for server in old.servers}
    servers_after = {server.name: (server, offers_of(server.choice, new.channels)) for server in new.servers}
    servers = _sort(servers_before, servers_after, lambda a, b: a == b)
    for name in servers[2]:
        details[f"server:{name}"] = _server_details(servers_before[name], servers_after[name])
    return Plan(
        old_hash=old.hash,
        new_hash=new.hash,
        channels_added=channels[0],
        channels_removed=channels[1],
        channels_changed=channels[2],
        channels_unchanged=channels[3],
        uplinks_added=uplinks[0],
        uplinks_removed=uplinks[1],
        uplinks_changed=uplinks[2],
        uplinks_unchanged=uplinks[3],
        servers_added=servers[0],
        servers_removed=servers[1],
        servers_changed=servers[2],
        servers_unchanged=servers[3],
        process=_process(old, new),
        details=tuple(sorted(details.items())),
        book=diff_books(old.book, new.book),
        watch=_watch(old, new),
        ota=tuple(_unit(name) for name in _different(old.ota, new.ota)),
        words=_words(old, new),
    )


def _watch(old: GatewaySettings, new: GatewaySettings) -> tuple[str, ...]:
    """Channels that stay and have other watch rules."""
    stay = {channel.id for channel in old.channels} & {channel.id for channel in new.channels}
    other = [rule for rule in (*old.watch, *new.watch) if (rule in old.watch) != (rule in new.watch)]
    return tuple(sorted({rule.channel for rule in other} & stay))


def _sort(before: Mapping[str, Any], after: Mapping[str, Any], same: Any) -> tuple[tuple[str, ...], ...]:
    both = [name for name in after if name in before]
    return (
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
        tuple(name for name in both if not same(before[name], after[name])),
        tuple(name for name in both if same(before[name], after[name])),
    )


def _same_channel(old: ChannelSpec, new: ChannelSpec) -> bool:
    return old == new or channel_bytes(old) == channel_bytes(new)


def _channel_details(old: ChannelSpec, new: ChannelSpec) -> tuple[str, ...]:
    words = [_unit(name) for name in _different(old, new) if name != "devices"]
    before = {device.id: device for device in old.devices}
    after = {device.id: device for device in new.devices}
    added, removed, changed, _ = _sort(before, after, lambda a, b: a == b)
    for word, names in (("new", added), ("without", removed), ("changed", changed)):
        if names:
            words.append(f"{word} {_some(names)}")
    return tuple(words)


def _uplink_details(old: UplinkSettings, new: UplinkSettings) -> tuple[str, ...]:
    return tuple(_unit(name) for name in _different(old, new))


_Served = tuple[ServerSettings, tuple[Offer, ...]]
"""A server and what it offers: it restarts when either changes, as its clients see the tags by what they are."""


def _server_details(old: _Served, new: _Served) -> tuple[str, ...]:
    words = [_unit(name) for name in _different(old[0], new[0]) if name not in ("choice", "settings")]
    if type(old[0].settings) is type(new[0].settings):
        words += _different(old[0].settings, new[0].settings)
    if old[0].choice != new[0].choice or old[1] != new[1]:
        words.append("tags")
    return tuple(words)


def _different(old: Any, new: Any) -> list[str]:
    """Names of fields that differ; values are left out, as some are secrets."""
    return [name for name, value in asdict(old).items() if value != getattr(new, name)]


def _words(old: GatewaySettings, new: GatewaySettings) -> tuple[str, ...]:
    """`remote_config: open -> signed`, for each word of gateway.yaml that nothing else tells of."""
    words: list[str] = []
    for name in _different(old, new):
        if name not in _TOLD_OTHERWISE:
            words += _change(name, getattr(old, name), getattr(new, name))
    return tuple(words)


def _change(name: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, Struct) and type(old) is type(new):
        below = [(key, getattr(old, key), getattr(new, key)) for key in _different(old, new)]
        return [word for key, before, after in below for word in _change(f"{name}.{key}", before, after)]
    key = _unit(name)
    if is_secret_key(key.rpartition(".")[2]):
        return [key]
    unit = "s" if key != name else ""
    return [f"{key}: {_shown(old, unit)} -> {_shown(new, unit)}"]


def _shown(value: Any, unit: str) -> str:
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{number}{unit}"


def _unit(name: str) -> str:
    return name.removesuffix("_s")


def _some(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _process(old: GatewaySettings, new: GatewaySettings) -> tuple[str, ...]:
    names = [f"gateway.{name}" for name in ("id", "tenant", "timezone") if getattr(old, name) != getattr(new, name)]
    if old.clock_trust != new.clock_trust:
        names.append("clock.trust")
    for field in _different(old.store, new.store):
        if field == "journal":
            names += [f"store.journal.{_unit(name)}" for name in _different(old.store.journal, new.store.journal)]
        else:
            names.append(f"store.{_unit(field)}")
    names += [f"shadow.{name}" for name in _different(old.shadow, new.shadow)]
    return tuple(names)


def _lists(*names: tuple[str, ...]) -> dict[str, list[str]]:
    return dict(zip(("added", "removed", "changed", "unchanged"), map(list, names), strict=True))
