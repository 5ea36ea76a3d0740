"""What a user may write for a channel, a device and a tag of this driver, besides the keys that all drivers have."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import UNSET, Struct, UnsetType


class Tls(Struct, frozen=True, forbid_unknown_fields=True):
    """Files: the authority to trust, our certificate and its key."""

    ca: str = ""
    cert: str = ""
    key: str = ""


class ChannelSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One server. `max_answer`: bytes of one answer's body. `redirects`: followed at most, on this server only.

    `auth`: auto answers what the server asks for; basic sends name and password unasked. `fingerprint`: SHA-256 of the
    server's certificate in hexadecimal, instead of an authority.
    """

    url: str
    auth: Literal["auto", "basic", "digest"] = "auto"
    username: str = ""
    password: str = ""
    token: str = ""
    headers: dict[str, str] = {}
    tls: Tls | None = None
    fingerprint: str = ""
    keep_alive: bool = True
    redirects: int = 3
    max_answer: int = 262_144


class DeviceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`base` stands before the paths of its tags. `time`: where its answers say when they were true."""

    IDENTITY: ClassVar[tuple[str, ...]] = ("base",)

    base: str = ""
    time: str = ""
    timezone: str = "UTC"


class Setting(Struct, frozen=True, forbid_unknown_fields=True):
    """How a tag is written. `$value` in `path` and `body` is the value; `on` and `off` are the words of a bool."""

    path: str = ""
    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    body: str | dict[str, Any] | list[Any] | None = None
    content_type: str = ""
    on: str | None = None
    off: str | None = None


class TagSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`path`: what is asked, below url and base. `json`, `regex`: which part of the answer; else all of it.

    `if_null`: the value that a null, or nothing there, means.
    """

    path: str = ""
    json: str = ""
    regex: str = ""
    time: str | None = None
    if_null: bool | int | float | str | UnsetType = UNSET
    set: Setting | None = None
