"""What a user may write for an OPC UA channel, device and tag."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

Policy = Literal["None", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"]
Mode = Literal["Sign", "SignAndEncrypt"]
Way = Literal["auto", "subscribe", "poll"]
Profile = Literal["auto", "small", "tiny"]


class Security(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the connection is protected.

    `policy`, `mode`: as the server offers them (`fieldpost scan opcua` shows them). `folder`: where our certificate and
    the trust list are (drivers/opcua/pki.py), the state directory's `opcua` unless said. `certificate`, `key`: files of
    ours, made in `folder` unless said. `application_uri`: what the certificate carries. `trust`: `list`, or `any` to
    accept every server - for a first look only.
    """

    policy: Policy = "None"
    mode: Mode = "SignAndEncrypt"
    folder: str = ""
    certificate: str = ""
    key: str = ""
    application_uri: str = ""
    trust: Literal["list", "any"] = "list"


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who logs in: nobody (left out), `user` with `password`, or a certificate with its `key` (files)."""

    user: str = ""
    password: str = ""
    certificate: str = ""
    key: str = ""


class Subscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times in seconds. `publishing_interval`: how often the server sends, the shortest interval of a tag unless said.
    `queue`: values the server keeps per tag between two messages, by the intervals unless said. `keep_alive`: the
    longest silence of a server that has nothing new. `lifetime`: how long the server keeps the subscription of a
    client that is gone. `deadband`: whether the tags' deadbands are the server's work.
    """

    publishing_interval: float | None = None
    queue: int | None = None
    keep_alive: float = 5.0
    lifetime: float = 60.0
    deadband: bool = True


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that one request may hold. `profile`: `auto` asks the server, `small` and `tiny` are for controllers
    that promise more than they can. A number given here is the most in any case.
    """

    profile: Profile = "auto"
    nodes_per_read: int | None = None
    nodes_per_write: int | None = None
    nodes_per_browse: int | None = None
    items_per_call: int | None = None
    items_per_subscription: int | None = None


class ChannelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session with one server.

    `url`: opc.tcp://host:port/path. `read`: `subscribe`, `poll`, or `auto`: subscriptions, and polls where those fail.
    `namespaces`: the URIs that the indices in `ns=` addresses mean, in order; unless said, what they meant when they
    were first used. `namespace`: URI or index of addresses without one. `session_timeout`: seconds until the server
    gives up a session whose client is silent. `max_age`: seconds that a value may be old when it is polled.
    """

    url: str
    security: Security = msgspec.field(default_factory=Security)
    identity: Identity = msgspec.field(default_factory=Identity)
    read: Way = "auto"
    subscription: Subscription = msgspec.field(default_factory=Subscription)
    limits: Limits = msgspec.field(default_factory=Limits)
    namespaces: tuple[str, ...] = ()
    namespace: str | int = ""
    session_timeout: float = 60.0


class Method(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A method that may be called. `object`: whose it is, found by the server's references unless said."""

    address: str
    object: str = ""


class Events(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events and alarms of the server that become entries of the event stream.

    `source`: the node that notifies, the server's own object unless said. `severity`: the least that is told (1-1000).
    """

    source: str = "i=2253"
    severity: int = 1


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the server's address space. `root`: the path that relative paths of tags start from."""

    IDENTITY: ClassVar = ("root", "namespace")

    root: str = ""
    namespace: str | int = ""
    methods: dict[str, Method] = msgspec.field(default_factory=dict)
    events: Events | None = None


class TagSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tag. `address`: a node id, or a path from the root folder; `[3]` and `.field` behind it pick a part.

    `queue`: values the server keeps for it between two messages. `sampling`: seconds between two looks of the server
    at the value, the tag's interval unless said.
    """

    address: str
    queue: int | None = None
    sampling: float | None = None
