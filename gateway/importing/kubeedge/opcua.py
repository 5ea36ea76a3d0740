"""OPC UA devices and visitors of KubeEdge as channels and tags of our driver."""

from __future__ import annotations

from typing import Any

from gateway.importing.kubeedge.bindings import Binding, Bound, Connection, Context, id_from, plain
from gateway.importing.kubeedge.kept import keep_rest
from gateway.importing.kubeedge.model import TYPES, Property, kind_of
from gateway.importing.names import literal
from gateway.importing.views import View

_POLICIES = {"none": "None", "basic256sha256": "Basic256Sha256"} | {
    name.lower(): name for name in ("Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
}
_POLICIES |= {name.replace("sha256rsa", "_sha256_rsa"): full for name, full in _POLICIES.items() if "rsa" in name}
_MODES = {"none": "", "sign": "Sign", "signandencrypt": "SignAndEncrypt"}
_DEVICE_KEYS = {
    "url", "userName", "username", "password", "certificate", "privateKey", "securityMode", "securityPolicy",
    "remoteCertificate", "customizedValues", "timeout",
}  # fmt: skip
_VISITOR_KEYS = {"nodeID", "nodeId", "nodeid", "dataType", "browseName"}


def _connect(context: Context) -> Connection | None:
    config, report = context.config, context.draft.report
    url = config.get("url", "ip") if config is not None else None
    if config is None or url is None:
        report.error((config or context.view).place, f"device `{context.name}` has no `url`", "opc.tcp://host:4840")
        return None
    values = context.common.get("customizedValues") if context.common is not None else None
    _tell_server(config, values, context)
    keep_rest(config, _DEVICE_KEYS, context.meta)
    keep_rest(context.common, {"customizedValues"}, context.meta)
    address = plain(url)
    if address is None:
        return None
    if not address.startswith("opc.tcp://"):
        report.error(url.place, f"`{address[:60]}` is no address of OPC UA", "opc.tcp://host:4840")
        return None
    name = id_from("opcua", address.removeprefix("opc.tcp://"))
    data: dict[str, Any] = {"driver": "opcua", "url": address}
    if security := _security(config, context):
        data["security"] = security
    if identity := _identity(config, context, address):
        data["identity"] = identity
    return Connection(name, data)


def _security(config: View, context: Context) -> dict[str, Any]:
    report = context.draft.report
    policy, mode = _word(config, "securityPolicy", _POLICIES), _word(config, "securityMode", _MODES)
    certificate, key = config.get("certificate"), config.get("privateKey")
    if policy in {None, "None"} or mode == "":
        for view in (certificate, key):
            if view is not None:
                report.ignored(view.place, "without a security policy no certificate is used")
        return {}
    found: dict[str, Any] = {"policy": policy, "mode": mode or "SignAndEncrypt"}
    if certificate is not None and key is not None:
        one, other = plain(certificate), plain(key)
        if one is not None and other is not None:
            found |= {"certificate": one, "key": other}
            text = f"put certificate and key into {one} and {other}, or remove both: the gateway makes its own"
            report.warning(certificate.place, text)
    elif certificate is not None or key is not None:
        report.warning(config.place, "a certificate has a private key: without both the gateway makes its own")
    return found


def _word(config: View, key: str, known: dict[str, str]) -> str | None:
    found = config.get(key)
    if found is None:
        return None
    word = known.get(found.text.strip().lower())
    if word is None:
        shown = ", ".join(dict.fromkeys(filter(None, known.values())))
        config.report.error(found.place, f"`{found.text[:40]}` is not known here", f"known: {shown}")
    return word


def _identity(config: View, context: Context, address: str) -> dict[str, str]:
    user, password = config.get("userName", "username"), config.get("password")
    name = plain(user) if user is not None else None
    if name is None:
        if password is not None:
            config.report.ignored(password.place, "a password without `userName` is not used")
        return {}
    found = {"user": name}
    if password is not None:
        found["password"] = context.secrets.password(context.name, address, name, password)
    return found


def _tell_server(config: View, values: View | None, context: Context) -> None:
    """The server's certificate goes into the trust list by hand: an import writes no keys."""
    for view in (config, values):
        found = view.get("remoteCertificate") if view is not None else None
        if found is not None:
            text = f"put the server's certificate ({found.text}) into opcua/trusted of the state directory"
            context.draft.report.warning(found.place, text)
    keep_rest(values, {"remoteCertificate"}, context.meta)


def _bind(prop: Property, config: View | None, place: View, context: Context) -> Bound | None:
    node = config.get("nodeID", "nodeId", "nodeid") if config is not None else None
    text = node.as_text() if node is not None else None
    if config is None or node is None or not text:
        if node is None:
            where = (config or place).place
            context.draft.report.error(where, f"the visitor of `{prop.name}` has no `nodeID`", "nodeID: ns=2;i=2")
        return None
    meta: dict[str, str] = {}
    given = config.get("dataType")
    keep_rest(config, _VISITOR_KEYS - {"browseName"}, meta)
    kind = kind_of(given) if given is not None else prop.kind
    if not kind:
        if given is None:
            context.draft.report.error(config.place, f"nothing says the type of `{prop.name}`", "dataType: int")
        return None
    return Bound({"address": literal(text), "type": TYPES[kind]}, meta=meta)


BINDING = Binding(_connect, _bind)
