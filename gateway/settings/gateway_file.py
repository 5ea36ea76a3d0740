"""gateway.yaml: identity, clock, store; the uplinks are read by uplink_keys.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.settings import reserved
from gateway.settings.convert import show
from gateway.settings.every_keys import check_zone
from gateway.settings.ids import ID_RULE, is_id, suggest_id
from gateway.settings.keys import ApplyKeys, ClockKeys, GatewayKeys, ImportKeys, JournalKeys, ShadowKeys, StoreKeys
from gateway.settings.notify_keys import Notifications
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.rule_keys import RulesKeys
from gateway.settings.sections import mapping_at, refuse_unknown, section
from gateway.settings.server_file import ServerKinds, Servers
from gateway.settings.types import ApplySettings, JournalSettings, OtaSettings, ShadowSettings, StoreSettings
from gateway.settings.uplink_file import Uplinks

SECTIONS = (
    "gateway", "clock", "store", "shadow", "uplinks", "servers", "rules", "notify", "imports", "ota", "vars",
    "remote_config", "apply",
)  # fmt: skip
REMOTE_CONFIG = ("open", "signed", "off")
DEFAULT_STATE = "/var/lib/fieldpost"
MIN_JOURNAL = 1_000_000
MAX_JOURNAL = 1_000_000_000_000
MIN_BUDGET_S, MAX_BUDGET_S = 0.001, 1.0
MAX_WINDOW_S = 86_400
MIN_SHADOW = 256
MAX_SHADOW = 65_536
"""Protocol.md 1.2: no document may be larger, whatever is configured."""


class GatewayFile(Struct, frozen=True):
    """What gateway.yaml says, resolved."""

    id: str
    tenant: str
    timezone: str
    clock_trust: str
    store: StoreSettings
    shadow: ShadowSettings
    uplinks: Uplinks
    rules: RulesKeys
    notify: Notifications
    servers: Servers
    imports: ImportKeys
    ota: OtaSettings
    remote_config: str
    apply: ApplySettings


def read_gateway_file(
    data: Any,
    origin: Origin,
    *,
    base: Path,
    env: Mapping[str, str],
    problems: Problems,
    kinds: ServerKinds,
    keep_unusable: bool = False,
) -> GatewayFile | None:
    """The settings of gateway.yaml; None when identity, clock or store cannot be used (all reported)."""
    values = mapping_at(data, origin, problems, what="gateway.yaml")
    if values is None:
        return None
    layers = Layers(values, origin)
    refuse_unknown(layers, SECTIONS, problems, what="gateway.yaml", reserved=reserved.GATEWAY)
    gateway = _identity(values, origin, problems)
    clock = _section_or_default(ClockKeys, values, "clock", origin, problems)
    store = _store(values, origin, base, env, problems)
    shadow = _shadow(values, origin, problems)
    identity = (gateway.id, gateway.tenant) if gateway else ("", "default")
    interval = store.commit_interval_s if store is not None else 1.0
    uplinks = Uplinks(identity, base, problems, commit_interval_s=interval)
    uplinks.read(values.get("uplinks"), origin.child("uplinks"), present="uplinks" in values)
    servers = Servers(kinds, problems, keep_unusable=keep_unusable)
    if "servers" in values:
        servers.read(values["servers"], origin.child("servers"))
    rules = _rules(values, origin, problems)
    notify = Notifications(uplinks.names, problems)
    if "notify" in values:
        notify.read(values["notify"], origin.child("notify"))
    imports: ImportKeys | None = _section_or_default(ImportKeys, values, "imports", origin, problems)
    ota = _ota(values, origin, base, problems)
    remote, judged = _remote_config(values, origin, problems), _apply(values, origin, problems)
    if None in (gateway, clock, store, shadow, rules, imports, ota, remote, judged):
        return None
    assert gateway is not None
    assert store is not None
    assert shadow is not None
    assert rules is not None
    assert imports is not None
    assert ota is not None
    assert remote is not None
    assert judged is not None
    return GatewayFile(
        id=gateway.id,
        tenant=gateway.tenant,
        timezone=gateway.timezone,
        clock_trust=clock.trust,
        store=store,
        shadow=shadow,
        uplinks=uplinks,
        rules=rules,
        notify=notify,
        servers=servers,
        imports=imports,
        ota=ota,
        remote_config=remote,
        apply=judged,
    )


def _remote_config(values: dict[str, Any], origin: Origin, problems: Problems) -> str | None:
    word = values.get("remote_config", REMOTE_CONFIG[0])
    if word in REMOTE_CONFIG:
        return str(word)
    message = f"`remote_config` is {', '.join(REMOTE_CONFIG[:-1])} or {REMOTE_CONFIG[-1]}, not {show(word)}"
    problems.at(origin.child("remote_config"), message, "write open")
    return None


def _apply(values: dict[str, Any], origin: Origin, problems: Problems) -> ApplySettings | None:
    keys: ApplyKeys | None = _section_or_default(ApplyKeys, values, "apply", origin, problems)
    if keys is None:
        return None
    place = origin.child("apply")
    for name in ("uplinks", "channels", "rules"):
        if not 1 <= getattr(keys, name) <= MAX_WINDOW_S:
            problems.at(place.child(name), "what is up again within 1s to 24h is waited for", "write 5m")
    if keys.hold > min(keys.uplinks, keys.channels, keys.rules):
        problems.at(place.child("hold"), "`hold` is longer than the time within which it has to begin", "write 10s")
    return ApplySettings(float(keys.uplinks), float(keys.channels), float(keys.rules), float(keys.hold))


def _identity(values: dict[str, Any], origin: Origin, problems: Problems) -> GatewayKeys | None:
    if "gateway" not in values:
        problems.at(origin, "gateway.yaml needs `gateway`", "add `gateway: {id: plant-7}`")
        return None
    place = origin.child("gateway")
    below = mapping_at(values["gateway"], place, problems, what="`gateway`")
    keys = None if below is None else section(GatewayKeys, below, place, problems, what="`gateway`")
    if keys is None:
        return None
    for name, text in (("id", keys.id), ("tenant", keys.tenant)):
        if not is_id(text):
            problems.at(place.child(name), f"`{text}` is not an id: {ID_RULE}", suggest_id(text))
    # with another zone in its place, what depends on it is checked too
    good = check_zone(keys.timezone, place.child("timezone"), problems)
    return keys if good else replace(keys, timezone="UTC")


def _section_or_default(struct: Any, values: dict[str, Any], name: str, origin: Origin, problems: Problems) -> Any:
    if name not in values:
        return struct()
    place = origin.child(name)
    below = mapping_at(values[name], place, problems, what=f"`{name}`")
    return None if below is None else section(struct, below, place, problems, what=f"`{name}`")


def _ota(values: dict[str, Any], origin: Origin, base: Path, problems: Problems) -> OtaSettings | None:
    if "ota" not in values:
        return OtaSettings()
    from gateway.settings.ota_keys import read_ota  # a start without it loads less

    return read_ota(values["ota"], origin.child("ota"), base, problems)


def _rules(values: dict[str, Any], origin: Origin, problems: Problems) -> RulesKeys | None:
    keys: RulesKeys | None = _section_or_default(RulesKeys, values, "rules", origin, problems)
    if keys is not None and not MIN_BUDGET_S <= keys.budget <= MAX_BUDGET_S:
        problems.at(origin.child("rules", "budget"), "the budget of one evaluation is 1ms to 1s", "write 20ms")
    return keys


def _shadow(values: dict[str, Any], origin: Origin, problems: Problems) -> ShadowSettings | None:
    keys = _section_or_default(ShadowKeys, values, "shadow", origin, problems)
    if keys is None:
        return None
    if not MIN_SHADOW <= keys.max_bytes <= MAX_SHADOW:
        place = origin.child("shadow", "max_bytes")
        problems.at(place, f"a shadow document takes {MIN_SHADOW}B to {MAX_SHADOW}B", "write 8192B")
    return ShadowSettings(keys.authority, int(keys.max_bytes))


def _store(
    values: dict[str, Any], origin: Origin, base: Path, env: Mapping[str, str], problems: Problems
) -> StoreSettings | None:
    keys = _section_or_default(StoreKeys, values, "store", origin, problems)
    if keys is None:
        return None
    place = origin.child("store")
    journal = section(JournalKeys, keys.journal, place.child("journal"), problems, what="`journal`")
    if journal is None:
        return None
    if not 0.01 <= keys.commit_interval <= 60:
        problems.at(place.child("commit_interval"), "the commit interval is 10ms to 60s", "write 1s")
    if keys.checkpoint < 1:
        problems.at(place.child("checkpoint"), "last values are kept every 1s or less often", "write 60s")
    below = place.child("journal")
    if journal.max_bytes < MIN_JOURNAL:
        problems.at(below.child("max_bytes"), "the journal needs at least 1MB", "write 256MB")
    if journal.max_bytes > MAX_JOURNAL:
        problems.at(below.child("max_bytes"), "the journal takes at most 1000GB", "write 256MB")
    if journal.min_age > journal.max_age:
        problems.at(below, "min_age is longer than max_age", "what is older than max_age cannot be kept for history")
    # systemd's StateDirectory= names the folder that the service may write.
    if keys.path is not None and (not keys.path or "\0" in keys.path):
        problems.at(place.child("path"), "the store needs a folder", f"write {DEFAULT_STATE}")
        return None
    path = keys.path or env.get("STATE_DIRECTORY") or DEFAULT_STATE
    if (base / path).exists() and not (base / path).is_dir():
        problems.at(place.child("path"), f"{base / path} is not a folder", f"write {DEFAULT_STATE}")
    return StoreSettings(
        path=base / path,
        commit_interval_s=float(keys.commit_interval),
        checkpoint_s=float(keys.checkpoint),
        journal=JournalSettings(int(journal.max_bytes), float(journal.max_age), float(journal.min_age)),
    )
