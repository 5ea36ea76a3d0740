"""OPC UA and MQTT devices."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.importing.kubeedge.kit import MODEL, device, draft_of, errors_of, notes_of, settings_of

OPCUA = "{{protocolName: OpcUA, configData: {{url: 'opc.tcp://192.0.2.4:4840/x', {}}}}}"


def channel_of(properties: str, protocol: str) -> dict[str, Any]:
    draft, report = draft_of(MODEL + device(properties, protocol))
    assert not len(report.problems), report.problems.sorted()
    (channel,) = draft.channels.values()
    return channel


@pytest.mark.parametrize(
    ("words", "want"),
    [
        ("securityMode: None", {}),
        ("securityPolicy: None, securityMode: Sign", {}),
        ("securityPolicy: Basic256Sha256", {"security": {"policy": "Basic256Sha256", "mode": "SignAndEncrypt"}}),
        (
            "securityPolicy: aes128_sha256_rsaoaep, securityMode: sign",
            {"security": {"policy": "Aes128Sha256RsaOaep", "mode": "Sign"}},
        ),
        ("userName: u", {"identity": {"user": "u"}}),
        ("userName: u, password: p", {"identity": {"user": "u", "password": "${credential:d_password}"}}),
    ],
)
def test_security_and_identity_of_opc_ua(words: str, want: dict[str, Any]) -> None:
    found = channel_of("[{name: a, visitors: {configData: {nodeID: ns=2;i=2}}}]", OPCUA.format(words))
    del found["devices"]
    assert found == {"driver": "opcua", "url": "opc.tcp://192.0.2.4:4840/x", **want}


def test_an_opc_ua_visitor_without_a_node_and_an_unknown_policy_are_told() -> None:
    errors = errors_of(MODEL + device("[{name: a, visitors: {configData: {}}}]", OPCUA.format("securityPolicy: Best")))
    assert len(errors) == 2 and "`Best` is not known" in errors[0] and "has no `nodeID`" in errors[1]


def test_mqtt_devices_have_a_broker_and_topics() -> None:
    visit = (
        "[{name: a, reportToCloud: true, visitors: {configData: {topic: p/t, jsonPath: temp, commandTopic: p/set}}}]"
    )
    text = MODEL + device(visit, "{protocolName: mqtt, configData: {ip: 192.0.2.5, userName: u, password: p}}")
    settings, _ = settings_of(text)
    (channel,) = settings.channels
    assert (channel.driver, channel.settings.url, channel.settings.username) == ("mqtt", "mqtt://192.0.2.5:1883", "u")
    (tag,) = channel.devices[0].tags
    assert (tag.source.topic, tag.source.path, tag.source.format) == ("p/t", "$.temp", "json")


def test_mqtt_without_a_broker_takes_that_of_the_edge_node() -> None:
    visit = "[{name: a, visitors: {configData: {topic: p/t}}}]"
    draft, report = draft_of(MODEL + device(visit, "{protocolName: mqtt}"))
    assert draft.channels["mqtt-127-0-0-1-1883"]["url"] == "mqtt://127.0.0.1:1883"
    assert any("edge node's own" in text for text in notes_of(report, "guessed"))
    settings_of(MODEL + device(visit, "{protocolName: mqtt}"))


def test_devices_that_log_in_alike_share_a_channel_and_its_credential() -> None:
    visit = "[{name: a, visitors: {configData: {nodeID: ns=2;i=2}}}]"
    first = MODEL + device(visit, OPCUA.format("userName: u, password: p"), name="one")
    alike = device(visit, OPCUA.format("userName: u, password: p"), name="two")
    other = device(visit, OPCUA.format("userName: u, password: other"), name="one.")
    draft, report = draft_of(f"{first}---\n{alike}---\n{other}")
    assert not len(report.problems)
    held = {channel["identity"]["password"]: list(channel["devices"]) for channel in draft.channels.values()}
    assert held == {"${credential:one_password}": ["one", "two"], "${credential:one_2_password}": ["one_"]}
