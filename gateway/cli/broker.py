"""Which broker a command talks to, and as whom: options first; what is not given comes from the configuration."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from gateway.cli.places import config_dir
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.settings.types import GatewaySettings, UplinkSettings
from gateway.tls import TlsSettings


class Broker(Struct, frozen=True):
    """Where a broker is, and who we are there. `gateway` is the one of the configuration, where there is one."""

    url: str
    tenant: str
    gateway: str | None
    username: str | None
    password: str | None
    tls: TlsSettings | None


def broker_of(session: Session, *, options_suffice: bool) -> Broker:
    """From --url, --tenant, --username, --password-file, --ca, --cert, --key, and the first uplink.

    `options_suffice`: what is given besides --url needs no configuration. Raises CommandFailed (usage) for what no
    broker can be called.
    """
    settings = _settings(session, options_suffice=options_suffice)
    url, uplink = session.option("url"), None
    if settings is not None:
        uplinks = [each for each in settings.uplinks if each.numbered]
        uplink = next((each for each in uplinks if url is None or url in each.urls), None)
    if url is None and uplink is None:
        if settings is not None and settings.uplinks:
            told = ", ".join(f"{each.name} ({each.codec})" for each in settings.uplinks)
            text = f"no uplink speaks fieldpost's own protocol: {told}; only codecs json and native carry numbers"
            raise CommandFailed(f"{text}. Name another broker with --url mqtt://HOST:PORT", Exit.USAGE)
        raise CommandFailed("which broker? give --url mqtt://HOST:PORT, or a configuration with an uplink", Exit.USAGE)
    return _checked(
        Broker(
            url=url or _first_url(uplink),
            tenant=session.option("tenant") or (settings.tenant if settings else "default"),
            gateway=settings.id if settings else None,
            username=session.option("username") or (uplink.username if uplink else None),
            password=_password(session) or (uplink.password if uplink else None),
            tls=_tls(session, uplink.tls if uplink else None),
        )
    )


def checked_id(name: str, value: str) -> str:
    """`value` of the option `name`, if it is an id. Raises CommandFailed (usage)."""
    from gateway.settings.ids import is_id

    if not is_id(value):
        raise CommandFailed(f"--{name}: {value!r} is not an id (letters, digits, _ and -)", Exit.USAGE)
    return value


def _checked(broker: Broker) -> Broker:
    from gateway.mqttclient.address import parse_address

    try:
        parse_address(broker.url)
    except ValueError as err:
        raise CommandFailed(f"--url: {err}", Exit.USAGE) from err
    checked_id("tenant", broker.tenant)
    return broker


def _settings(session: Session, *, options_suffice: bool) -> GatewaySettings | None:
    """The configuration, unless options say everything or there is none."""
    from gateway.settings.loader import load_tree
    from rules.expression import RuleExpressions

    if session.option("url") and options_suffice and not session.option("config"):
        return None
    folder = config_dir(session.option("config"))
    return None if folder is None else load_tree(folder, expressions=RuleExpressions())


def _first_url(uplink: UplinkSettings | None) -> str:
    assert uplink is not None  # else there is a --url
    return uplink.urls[0]


def _tls(session: Session, uplink: TlsSettings | None) -> TlsSettings | None:
    """Each file that is named goes before the uplink's; with a certificate of one's own its key is one's own, too."""
    given = {name: Path(session.option(name)) for name in ("ca", "cert", "key") if session.option(name)}
    for file in given.values():
        if not file.is_file():
            raise CommandFailed(f"there is no file {file}", Exit.USAGE)
    if not given:
        return uplink
    ca = given.get("ca") or (uplink.ca if uplink else None)
    if "cert" in given or "key" in given:
        return TlsSettings(ca, given.get("cert"), given.get("key"))
    return TlsSettings(ca, uplink.cert if uplink else None, uplink.key if uplink else None)


def _password(session: Session) -> str | None:
    file = session.option("password_file")
    return Path(file).read_text(encoding="utf-8").rstrip("\n") if file else None
