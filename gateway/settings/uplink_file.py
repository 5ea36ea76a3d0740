"""The `uplinks` of gateway.yaml: profiles, connection rules, topic templates. Limits: protocol.md 1.1, 1.2, 4.4."""

from __future__ import annotations

import fnmatch
import urllib.parse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway.model import ChannelSpec
from gateway.settings import reserved
from gateway.settings.ids import ID_RULE, did_you_mean, is_id, suggest_id
from gateway.settings.keys import BatchKeys, RateKeys, ReconnectKeys, SelectKeys, TlsKeys, UplinkKeys
from gateway.settings.positions import Origin, Problems
from gateway.settings.sections import mapping_at, section
from gateway.settings.topics import check_template, check_topics
from gateway.settings.types import JOB_OPS, NUMBERED, Selection, UplinkSettings
from gateway.tls import TlsSettings

PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
SECURE = ("mqtts", "wss")
MAX_CLIENT_ID = 128
MIN_PAYLOAD = 1_000
MIN_DAY = 1_000_000
# What a profile changes against UplinkSettings' own defaults (protocol.md 1.2, 2.7). A key in the file wins.
PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    "metered": {"batch_age_s": 5.0},
    "aws": {"max_payload": 120_000, "messages_per_s": 50.0, "bytes_per_s": 400_000.0},
    "fleet": {"reconnect_max_s": 300.0},
}


class Uplinks:
    """Reads all uplinks; what depends on the devices is checked once these are known."""

    def __init__(
        self, identity: tuple[str, str], base: Path, problems: Problems, *, commit_interval_s: float = 1.0
    ) -> None:
        self._gateway, self._tenant = identity
        # a message at each commit (protocol.md 1.2): who commits more often than each second wants it earlier, too
        self._batch_age_s = min(commit_interval_s, 1.0)
        self._base = base
        self._problems = problems
        self._origins: dict[str, Origin] = {}
        self.settings: list[UplinkSettings] = []
        self.names: list[str] = []
        """All of them, those with faults too, as written."""

    def read(self, value: Any, origin: Origin, *, present: bool) -> None:
        """Read the mapping of uplinks. None at all is fine: a gateway without a cloud keeps its journal."""
        if not present:
            return
        uplinks = mapping_at(value, origin, self._problems, what="`uplinks`")
        for name, below in (uplinks or {}).items():
            place = origin.child(name)
            self.names.append(name)
            if not is_id(name):
                self._problems.at_key(place, f"`{name}` is not an id: {ID_RULE}", suggest_id(name))
            values = mapping_at(below, place, self._problems, what=f"uplink `{name}`")
            if values is None:
                continue
            settings = self._uplink(name, values, place)
            if settings is not None:
                self._origins[name] = place
                self.settings.append(settings)
        self._check_client_ids()

    def _uplink(self, name: str, values: dict[str, Any], place: Origin) -> UplinkSettings | None:
        problems = self._problems
        values = self._without_later_words(values, place)
        keys = section(UplinkKeys, values, place, problems, what=f"uplink `{name}`", reserved=reserved.UPLINK)
        if keys is None:
            return None
        select = section(SelectKeys, keys.select, place.child("select"), problems, what="`select`")
        batch = section(BatchKeys, keys.batch, place.child("batch"), problems, what="`batch`")
        rate = section(RateKeys, keys.rate, place.child("rate"), problems, what="`rate`")
        reconnect = section(ReconnectKeys, keys.reconnect, place.child("reconnect"), problems, what="`reconnect`")
        urls = self._urls(keys, place)
        tls = self._tls(keys, urls, place)
        client_id = keys.client_id if keys.client_id is not None else self._default_client_id(name)
        self._check(keys, client_id, place)
        if select is None or batch is None or rate is None or reconnect is None:
            return None
        self._check_limits(keys, batch, reconnect, place)
        self._check_budget(keys, rate, place.child("rate", "bytes_per_day"))
        return UplinkSettings(
            name=name,
            urls=tuple(keys.urls),
            client_id=client_id,
            codec=keys.codec,
            profile=keys.profile,
            ack=keys.ack,
            username=keys.username,
            password=keys.password,
            tls=tls,
            select=Selection(tuple(select.devices), ("telemetry",) if keys.codec == "edgex" else tuple(select.streams)),
            topic=keys.topic,
            qos=keys.qos,
            order=keys.order,
            keepalive_s=float(keys.keepalive),
            ack_timeout_s=float(keys.ack_timeout),
            window=keys.window,
            status_s=float(keys.status),
            start=keys.start,
            quality=keys.quality or "good",
            envelope=keys.envelope is not False,
            twins=keys.twins or "",
            jobs=JOB_OPS if keys.jobs is None else tuple(dict.fromkeys(keys.jobs)),
            **self._limits(keys, batch, rate, reconnect),
        )

    def _without_later_words(self, values: dict[str, Any], place: Origin) -> dict[str, Any]:
        """The values without those that a later release will know, which are told."""
        codec = values.get("codec")
        if isinstance(codec, str) and codec in reserved.CODECS:
            text = reserved.later(codec, reserved.CODECS[codec])
            self._problems.at(place.child("codec"), text, "use json, native, flat or edgex")
            values = {key: value for key, value in values.items() if key != "codec"}
        if values.get("unrouted") == "hold":
            self._problems.at(place.child("unrouted"), reserved.later("hold", "probing for subscribers"), "use accept")
            values = {key: value for key, value in values.items() if key != "unrouted"}
        return values

    def _limits(self, keys: UplinkKeys, batch: BatchKeys, rate: RateKeys, reconnect: ReconnectKeys) -> dict[str, Any]:
        """What the profile says, under what is written."""
        given = {
            "batch_age_s": batch.age,
            "batch_readings": batch.readings,
            "max_payload": batch.bytes,
            "bytes_per_s": rate.bytes,
            "messages_per_s": rate.messages,
            "bytes_per_day": rate.bytes_per_day,
            "reconnect_max_s": reconnect.max,
            "compress": keys.compress or ("zlib" if keys.codec == "native" else None),
        }
        written = {key: _plain(value) for key, value in given.items() if value is not None}
        return {"batch_age_s": self._batch_age_s} | PROFILES[keys.profile] | written

    def _default_client_id(self, name: str) -> str:
        first = not self._origins
        return self._gateway if first else f"{self._gateway}-{name}"

    def _urls(self, keys: UplinkKeys, place: Origin) -> list[urllib.parse.SplitResult]:
        found = []
        for index, text in enumerate(keys.urls):
            origin = place.child("urls", index)
            try:
                url = urllib.parse.urlsplit(text)
                port = url.port
            except ValueError as error:
                self._problems.at(origin, f"`{text}` is not a URL: {error}", "write mqtts://broker.example:8883")
                continue
            if url.scheme not in PORTS:
                hint = f"write mqtt://{text}" if "://" not in text else "use mqtt, mqtts, ws or wss"
                self._problems.at(origin, f"`{text}` has no known scheme", hint)
            elif not url.hostname or port == 0:
                self._problems.at(origin, f"`{text}` names no host", f"write {url.scheme}://broker.example")
            elif url.username is not None or url.password is not None:
                hint = "use `username` and `password: ${credential:NAME}`"
                self._problems.at(origin, "a URL carries no user name or password", hint)
            elif url.path.strip("/") and url.scheme in {"mqtt", "mqtts"}:
                self._problems.at(origin, f"`{text}`: only ws and wss URLs have a path", "set the topic by `topic`")
            else:
                found.append(url)
        return found

    def _tls(self, keys: UplinkKeys, urls: Iterable[urllib.parse.SplitResult], place: Origin) -> TlsSettings | None:
        if keys.tls is None:
            return None
        origin = place.child("tls")
        tls = section(TlsKeys, keys.tls, origin, self._problems, what="`tls`")
        if tls is None:
            return None
        plain = [url for url in urls if url.scheme not in SECURE]
        if plain:
            hint = f"write {'mqtts' if plain[0].scheme == 'mqtt' else 'wss'}://{plain[0].netloc}"
            self._problems.at_key(origin, f"`tls` is set but {plain[0].geturl()} is not encrypted", hint)
        if (tls.cert is None) != (tls.key is None):
            missing = "key" if tls.key is None else "cert"
            self._problems.at_key(origin, f"a client certificate needs `{missing}` too", f"add `{missing}: ...`")
        paths = [self._base / text if text else None for text in (tls.ca, tls.cert, tls.key)]
        return TlsSettings(*paths)

    def _check(self, keys: UplinkKeys, client_id: str, place: Origin) -> None:
        problems = self._problems
        if not client_id or len(client_id.encode()) > MAX_CLIENT_ID:
            problems.at(place.child("client_id"), f"a client id has 1 to {MAX_CLIENT_ID} bytes")
        if keys.jobs is not None and keys.codec not in NUMBERED:
            hint = "add `jobs` to an uplink with codec json or native"
            problems.at(place.child("jobs"), f"with codec {keys.codec} nothing is heard, so no job comes", hint)
        if keys.twins is not None and keys.codec not in NUMBERED:
            hint = "add `twins` to an uplink with codec json or native"
            problems.at_key(
                place.child("twins"), f"with codec {keys.codec} nothing is heard, so there are no twins", hint
            )
        if keys.password is not None and keys.username is None:
            problems.at_key(place.child("password"), "a password needs a `username`", f"add `username: {client_id}`")
        self._check_edgex(keys, place)
        if keys.codec == "flat":
            if keys.ack == "consumer":
                problems.at(place.child("ack"), "a flat feed has no cursor to acknowledge", "remove `ack`")
            if keys.topic is not None:
                check_template(keys.topic, place.child("topic"), problems)
        else:
            if keys.topic is not None and keys.codec != "edgex":
                hint = "add `codec: flat`, or remove `topic`"
                problems.at_key(place.child("topic"), f"the codec {keys.codec} has fixed topics", hint)
            if keys.qos == 0:
                hint = "only a flat feed may lose messages: remove `qos`"
                problems.at(place.child("qos"), f"the codec {keys.codec} is delivered with QoS 1", hint)

    def _check_edgex(self, keys: UplinkKeys, place: Origin) -> None:
        if keys.codec == "edgex":
            from gateway.settings.edgex_keys import check_edgex  # for who uses it

            check_edgex(keys, place, self._problems)
            return
        for name in ("quality", "envelope"):
            if getattr(keys, name) is not None:
                hint = f"add `codec: edgex`, or remove `{name}`"
                self._problems.at_key(place.child(name), f"`{name}` is a key of codec edgex", hint)

    def _check_limits(self, keys: UplinkKeys, batch: BatchKeys, reconnect: ReconnectKeys, place: Origin) -> None:
        limits = (
            ("keepalive", keys.keepalive, 5, 3600, place.child("keepalive")),
            ("ack_timeout", keys.ack_timeout, 1, 600, place.child("ack_timeout")),
            ("status", keys.status, 10, 86400, place.child("status")),
            ("age", batch.age, 0, 3600, place.child("batch", "age")),
            ("max", reconnect.max, 1, 3600, place.child("reconnect", "max")),
        )
        for name, value, low, high, origin in limits:
            if value is not None and not low <= value <= high:
                self._problems.at(origin, f"`{name}` is {low}s to {high}s")
        if batch.bytes is not None and not MIN_PAYLOAD <= batch.bytes <= 268_435_455:
            self._problems.at(place.child("batch", "bytes"), "a message has 1KB to 256MB", "write 120KB")

    def _check_budget(self, keys: UplinkKeys, rate: RateKeys, origin: Origin) -> None:
        if rate.bytes_per_day is None:
            return
        if rate.bytes_per_day < MIN_DAY:
            self._problems.at(origin, "a day's budget is 1MB or more", "write 50MB")
        if keys.codec == "flat":
            self._problems.at_key(origin, "a flat feed keeps no count over a restart", "remove `bytes_per_day`")

    def _check_client_ids(self) -> None:
        """Two connections with one id on one broker throw each other out for ever (protocol.md 1.1)."""
        taken: dict[tuple[str, int, str], str] = {}
        for uplink in self.settings:
            for text in uplink.urls:
                try:
                    host = urllib.parse.urlsplit(text).hostname
                except ValueError:
                    continue  # told already
                # The same broker may listen on several ports; the host alone decides.
                at = (host or "", 0, uplink.client_id)
                other = taken.setdefault(at, uplink.name)
                if other != uplink.name:
                    origin = self._origins[uplink.name]
                    message = f"client id `{uplink.client_id}` is used on {at[0]} by uplink `{other}` too"
                    hint = f"set `client_id: {uplink.client_id}-{uplink.name}`"
                    place = origin.child("client_id") if "client_id" in _keys_of(origin) else origin
                    self._problems.at_key(place, message, hint)
                    break

    def check_against(self, channels: Iterable[ChannelSpec]) -> None:
        """What needs the devices: selections that match nothing, flat topics over the limits."""
        channels = tuple(channels)
        devices = {device.id for channel in channels for device in channel.devices}
        for uplink in self.settings:
            origin = self._origins[uplink.name]
            for index, pattern in enumerate(uplink.select.devices):
                if devices and not any(fnmatch.fnmatchcase(device, pattern) for device in devices):
                    hint = did_you_mean(pattern, devices) if len(devices) <= 20 or "*" not in pattern else ""
                    place = origin.child("select", "devices", index)
                    self._problems.at(place, f"`{pattern}` matches no device", hint)
            if uplink.codec == "flat":
                check_topics(uplink, (self._tenant, self._gateway), channels, origin, self._problems)
            elif uplink.codec == "edgex":
                from gateway.settings.edgex_keys import check_event_topics

                check_event_topics(uplink, (self._tenant, self._gateway), channels, origin, self._problems)


def _plain(value: Any) -> Any:
    """Our unit types as plain numbers, so that settings compare and print as such."""
    return float(value) if isinstance(value, float) else int(value) if isinstance(value, int) else value


def _keys_of(origin: Origin) -> Any:
    data = origin.document.data
    for key in origin.path:
        data = data[key]
    return data
