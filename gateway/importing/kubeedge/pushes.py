"""What KubeEdge pushes by itself: told as what to write into gateway.yaml, which an import never touches."""

from __future__ import annotations

from gateway.importing.kubeedge.bindings import id_from
from gateway.importing.kubeedge.mqtt import broker
from gateway.importing.views import View
from gateway.settings.yaml_writer import flow

_NO_WAY = {
    "dbMethod": "nothing is written into databases: `uplinks` or `fieldpost history` bring the values there",
    "otel": "OpenTelemetry has no uplink here",
    "anomalyDetection": "nothing is passed to another program: write alarms",
}


def tell_push(push: View | None, device: str, tag: str) -> None:
    """Tell what `pushMethod` of a property needs."""
    if push is None or push.as_map() is None:
        return
    for key in push.keys():  # noqa: SIM118 - a View is no mapping
        way = push.get(key)
        if way is None:
            continue
        if key == "mqtt" and way.is_map:
            push.report.warning(push.key_place(key), _mqtt(way, device, tag))
        elif key == "http":
            push.report.warning(push.key_place(key), "an HTTP push is a rule here: `start: [{webhook: {url: ...}}]`")
        else:
            push.report.warning(push.key_place(key), _NO_WAY.get(key, f"`{key}` is no way to push"))
        _ = way.data


def _mqtt(way: View, device: str, tag: str) -> str:
    address, topic, qos = way.get("address"), way.get("topic"), way.get("qos")
    url = broker(address.text.strip()) if address is not None else "mqtt://127.0.0.1:1883"
    name = id_from("push", url.partition("://")[2])
    keys = {
        "urls": [url],
        "codec": "flat",
        "topic": _topic(topic.text.strip() if topic is not None else ""),
        "qos": 0 if qos is None or qos.text.strip() == "0" else 1,
        "select": {"devices": [device]},
    }
    return (
        f"`{device}.{tag}` is pushed when gateway.yaml has an uplink: `uplinks: {flow({name: keys})}` "
        "(an import writes profiles and channels only)"
    )


def _topic(text: str) -> str:
    """Our flat topics name device and tag."""
    plain = "".join(sign for sign in text if sign.isprintable() and sign not in "+#{}$`")[:100].strip("/")
    return f"{plain}/{{device}}/{{tag}}" if plain else "{device}/{tag}"


def tell_state_report(state: View | None) -> None:
    """The state of devices is told in its own rhythm."""
    if state is None:
        return
    _ = state.data
    text = "a device's state is told when it changes, and with the uplink's `status`: `stateReport` is not needed"
    state.report.changed(state.place, text)
