"""MQTT devices of KubeEdge: a broker, and a topic in each visitor."""

from __future__ import annotations

from typing import Any

from gateway.importing.kubeedge.bindings import Binding, Bound, Connection, Context, id_from, plain
from gateway.importing.kubeedge.kept import keep_rest
from gateway.importing.kubeedge.model import TYPES, Property, kind_of
from gateway.importing.names import literal
from gateway.importing.views import View

_URL = ("url", "address", "brokerURL", "broker", "server")
_USER = ("userName", "username", "user")
_DEVICE_KEYS = {*_URL, "ip", "port", *_USER, "password", "qos"}
_TOPIC = ("topic", "subTopic", "subscribeTopic")
_SET = ("pubTopic", "setTopic", "commandTopic", "writeTopic", "publishTopic")
_PATH = ("path", "jsonPath", "key", "field")
_VISITOR_KEYS = {*_TOPIC, *_SET, *_PATH, "dataType"}
_EDGE_BROKER = "mqtt://127.0.0.1:1883"
"""KubeEdge's own broker on the edge node."""
_SCHEMES = {"tcp": "mqtt", "ssl": "mqtts", "tls": "mqtts"}


def broker(text: str) -> str:
    """A broker's address as our driver writes it: KubeEdge says tcp:// and ssl://."""
    scheme, found, rest = text.partition("://")
    if not found:
        return f"mqtt://{text}"
    return f"{_SCHEMES.get(scheme.lower(), scheme.lower())}://{rest.rstrip('/')}"


def _connect(context: Context) -> Connection | None:
    config = context.config
    url = _url(config, context)
    if url is None:
        return None
    data: dict[str, Any] = {"driver": "mqtt", "url": url}
    if config is not None:
        user, password = config.get(*_USER), config.get("password")
        name = plain(user) if user is not None else None
        if name is not None:
            data["username"] = name
        if name is not None and password is not None:
            data["password"] = context.secrets.password(context.name, url, name, password)
        elif password is not None:
            password.report.ignored(password.place, "a password without `userName` is not used")
        if (qos := config.get("qos")) is not None and (number := qos.as_whole(0, 2)) is not None:
            data["qos"] = min(number, 1)
        keep_rest(config, _DEVICE_KEYS, context.meta)
    return Connection(id_from("mqtt", url.partition("://")[2]), data)


def _url(config: View | None, context: Context) -> str | None:
    found = config.get(*_URL) if config is not None else None
    if found is not None:
        text = plain(found)
        return broker(text) if text is not None else None
    host = config.get("ip") if config is not None else None
    if config is None or host is None:
        context.draft.report.guessed(context.view.place, f"no broker: the edge node's own is taken, {_EDGE_BROKER}")
        return _EDGE_BROKER
    name, port = plain(host), config.get("port")
    number = 1883 if port is None else port.as_whole(1, 65535)
    if name is None or number is None:
        return None
    return f"mqtt://[{name}]:{number}" if ":" in name else f"mqtt://{name}:{number}"


def _bind(prop: Property, config: View | None, place: View, context: Context) -> Bound | None:
    topic = config.get(*_TOPIC) if config is not None else None
    text = topic.as_text() if topic is not None else None
    if config is None or not text:
        where = (config or place).place
        context.draft.report.error(where, f"the visitor of `{prop.name}` has no `topic`", "topic: press/temperature")
        return None
    given = config.get("dataType")
    kind = kind_of(given) if given is not None else prop.kind
    if not kind:
        return None
    keys: dict[str, Any] = {"topic": literal(text), "type": TYPES[kind]}
    path = config.get(*_PATH)
    if path is not None and (inside := path.as_text()):
        keys["path"] = literal(inside if inside.startswith("$") else f"$.{inside}")
        keys["format"] = "json"
    else:
        keys["format"] = "plain"
        context.draft.report.guessed(config.place, "the payload is taken as the value itself (`format: plain`)")
    order = config.get(*_SET)
    if order is not None and (to := order.as_text()):
        keys["command"] = {"topic": literal(to)}
    meta: dict[str, str] = {}
    keep_rest(config, _VISITOR_KEYS, meta)
    return Bound(keys, writable="command" in keys, meta=meta)


BINDING = Binding(_connect, _bind)
