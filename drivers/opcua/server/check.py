"""What is wrong with an OPC UA server beyond the types of its settings. Never touches the network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from drivers.opcua.server.settings import ServerSettings
from gateway.serving.contract import Fault, ServerConfig

_LONGEST = 64
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


def check(config: ServerConfig) -> Iterable[Fault]:
    """All faults of a server."""
    settings: ServerSettings = config.settings
    yield from _user_faults(settings)
    if settings.uri is not None and not _URI.fullmatch(settings.uri):
        yield Fault("uri", f"`{settings.uri}` is no URI", "write urn:example:plant-7")
    if not settings.path.startswith("/") or re.search(r"[\s?#]", settings.path):
        yield Fault("path", f"`{settings.path}` is no path", "write /fieldpost")
    if not settings.users and any(offer.writable for offer in config.offers):
        yield Fault("write", "only users write, and there are none", "add `users`, or remove `write`")


def _user_faults(settings: ServerSettings) -> Iterator[Fault]:
    if not settings.users and not settings.anonymous:
        hint = 'add `users: {operator: {password: "${credential:hmi_operator}"}}`, or `anonymous: true` to read'
        yield Fault("users", "nobody could log in", hint)
    if settings.users and set(settings.security) == {"none"}:
        yield Fault("security", "passwords would go over the wire in the clear", "add `encrypt`")
    for name, user in settings.users.items():
        if not 1 <= len(name) <= _LONGEST:
            yield Fault(f'users["{name}"]', f"a user's name has 1 to {_LONGEST} characters")
        if not user.password:
            yield Fault(f'users["{name}"].password', "the password is empty", "put one into the credential")
