"""`notify` of gateway.yaml: who is told of alarms, and how."""

from __future__ import annotations

import re
from typing import Any

from gateway.rulebook import NOTIFY_FIELDS, NotifySpec, Resend
from gateway.settings.endpoints import check_timeout, check_topic, check_url, headers_of, uplink_name
from gateway.settings.ids import ID_RULE, did_you_mean, is_id, suggest_id
from gateway.settings.other_words import FORMS
from gateway.settings.positions import Origin, Problems
from gateway.settings.rule_keys import NotifyKeys, NotifyMqttKeys, NotifySmtpKeys, NotifyWebhookKeys, ResendKeys
from gateway.settings.sections import mapping_at, section

KINDS = ("mqtt", "webhook", "smtp")
PORTS = {"starttls": 587, "tls": 465, "none": 25}
SHORTEST_RESEND_S = 10.0
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_MAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+\Z")
_FORM = "write shift: {mqtt: {topic: plant/alarms}}"
Options = tuple[tuple[str, Any], ...]


class Notifications:
    """Reads all of them. `names` has those with faults, too: what names one is not reported again."""

    def __init__(self, uplinks: list[str], problems: Problems) -> None:
        self._uplinks = uplinks
        self._problems = problems
        self.names: list[str] = []
        self.specs: list[NotifySpec] = []

    def read(self, value: Any, origin: Origin) -> None:
        """The mapping of names."""
        for name, below in (mapping_at(value, origin, self._problems, what="`notify`") or {}).items():
            place = origin.child(name)
            self.names.append(name)
            if not is_id(name):
                self._problems.at_key(place, f"`{name}` is not an id: {ID_RULE}", suggest_id(name))
            values = mapping_at(below, place, self._problems, what=f"notification `{name}`")
            spec = None if values is None else self._one(name, values, place)
            if spec is not None:
                self.specs.append(spec)

    def _one(self, name: str, values: dict[str, Any], place: Origin) -> NotifySpec | None:
        keys = section(NotifyKeys, values, place, self._problems, what=f"notification `{name}`", forms=FORMS)
        kinds = [kind for kind in KINDS if kind in values]
        for extra in kinds[1:]:
            message = f"`{kinds[0]}` and `{extra}` are two notifications"
            self._problems.at_key(place.child(extra), message, "write each under a name of its own")
        if not kinds:
            hint = did_you_mean(next(iter(values), ""), KINDS)
            hint = hint if hint.startswith("did you mean") else _FORM
            self._problems.at_key(place, f"notification `{name}` has no way: mqtt, webhook or smtp", hint)
            return None
        if keys is None:
            return None
        resend = self._resend(keys, place.child("resend"))
        self._check_text(keys.text, place.child("text"))
        given = getattr(keys, kinds[0])
        options = None if given is None else self._options(kinds[0], given, place.child(kinds[0]))
        if options is None:
            return None
        return NotifySpec(
            name,
            kinds[0],
            options,
            priority=keys.priority,
            on=tuple(dict.fromkeys(keys.on)),
            resend=resend,
            limit=None if keys.limit is None else (int(keys.limit[0]), float(keys.limit[1])),
            every_alarm=keys.alarms == "all",
            text=keys.text,
        )

    def _options(self, kind: str, values: dict[str, Any], place: Origin) -> Options | None:
        if kind == "mqtt":
            return self._mqtt(values, place)
        return self._webhook(values, place) if kind == "webhook" else self._smtp(values, place)

    def _mqtt(self, values: dict[str, Any], place: Origin) -> Options | None:
        keys = section(NotifyMqttKeys, values, place, self._problems, what="`mqtt`")
        if keys is None:
            return None
        check_topic(keys.topic, place.child("topic"), self._problems)
        uplink = uplink_name(keys.uplink, self._uplinks, place, self._problems)
        return (("topic", keys.topic), ("uplink", uplink), ("retain", keys.retain))

    def _webhook(self, values: dict[str, Any], place: Origin) -> Options | None:
        keys = section(NotifyWebhookKeys, values, place, self._problems, what="`webhook`")
        if keys is None:
            return None
        check_url(keys.url, place.child("url"), self._problems)
        check_timeout(keys.timeout, place.child("timeout"), self._problems)
        headers = headers_of(keys.headers, place.child("headers"), self._problems)
        timeout = float(keys.timeout)
        return (("url", keys.url), ("method", keys.method), ("headers", headers), ("timeout_s", timeout))

    def _smtp(self, values: dict[str, Any], place: Origin) -> Options | None:
        keys = section(NotifySmtpKeys, values, place, self._problems, what="`smtp`")
        if keys is None:
            return None
        if not keys.host or not re.fullmatch(r"[A-Za-z0-9.:_-]+", keys.host):
            self._problems.at(place.child("host"), f"`{keys.host}` is no host", "write mail.example.org")
        addresses = [("from", keys.from_, place.child("from"))]
        addresses += [("to", one, place.child("to", index)) for index, one in enumerate(keys.to)]
        for key, address, where in addresses:
            if not _MAIL.match(address):
                self._problems.at(where, f"`{address}` in `{key}` is no mail address", "write shift@example.org")
        if keys.password is not None and keys.username is None:
            self._problems.at_key(place.child("password"), "a password needs a `username`", "add `username: ...`")
        if keys.password is not None and keys.tls == "none":
            message = "a password is not sent over a line that everybody can read"
            self._problems.at(place.child("tls"), message, "write starttls or tls")
        return (
            ("host", keys.host),
            ("port", keys.port or PORTS[keys.tls]),
            ("from", keys.from_),
            ("to", tuple(keys.to)),
            ("tls", keys.tls),
            ("username", keys.username),
            ("password", keys.password),
        )

    def _resend(self, keys: NotifyKeys, origin: Origin) -> Resend | None:
        if keys.resend is None:
            return None
        again = section(ResendKeys, keys.resend, origin, self._problems, what="`resend`")
        if again is None:
            return None
        if not SHORTEST_RESEND_S <= again.every <= 7 * 86400:
            self._problems.at(origin.child("every"), "an alarm is told again every 10s to 7d", "write 10m")
        return Resend(float(again.every), again.times)

    def _check_text(self, text: str, origin: Origin) -> None:
        for match in _PLACE.finditer(text):
            if match[1] is not None and match[1] not in NOTIFY_FIELDS:
                hint = did_you_mean(match[1], NOTIFY_FIELDS)
                self._problems.at_text(origin, text, match.start(), f"`{match[0]}` is not known here", hint)
        left = _PLACE.sub("", text)
        if "{" in left or "}" in left:
            self._problems.at(origin, "a brace has no partner", "write {{ or }} for a brace itself")
