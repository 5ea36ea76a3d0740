"""Devices, their channels, schedules and watchers."""

from __future__ import annotations

import pytest

from gateway.edgexevents.resources import resources_of
from gateway.importing.draft import Known
from gateway.importing.writing import files_of
from tests.unit.importing.edgex.kit import (
    MQTT,
    ONE,
    PLAIN,
    PROFILE,
    TWO,
    device,
    drawn,
    load,
    notes,
    problems,
    profile,
)


def events(*written):
    return "autoEvents: [" + ", ".join(f"{{{one}}}" for one in written) + "]"


def schedules(draft):
    ((found,),) = [channel.devices for channel in load(draft).channels]
    return {
        spec.path: None if spec.on_demand else (spec.group, spec.schedule.every_s, spec.report) for spec in found.tags
    }


def test_an_event_on_a_command_reads_its_members_and_one_on_a_resource_reads_that():
    draft, _ = drawn(PROFILE, device(more=events("interval: 1m30s, sourceName: Both")))
    assert {path: found[:2] for path, found in schedules(draft).items()} == {"a": ("Both", 90.0), "b": ("Both", 90.0)}
    draft, report = drawn(PROFILE, device(more=events("interval: 500ms, sourceName: a")))
    found = schedules(draft)
    assert (found["a"][:2], found["b"]) == (("a", 0.5), None)
    assert "`d` has no schedule for b" in notes(report)


def test_of_two_events_on_a_tag_the_shortest_counts_with_a_note():
    draft, report = drawn(
        PROFILE, device(more=events("interval: 20s, sourceName: Both", "interval: 5s, sourceName: a"))
    )
    found = schedules(draft)
    assert (found["a"][:2], found["b"][:2]) == (("a", 5.0), ("Both", 20.0))
    assert "`a` is read every 5s by a: Both comes with it" in notes(report)


def test_two_periods_of_one_source_are_two_groups():
    lists = device("d1", more=events("interval: 20s, sourceName: a")) + device(
        "d2", more=events("interval: 5s, sourceName: a")
    ).removeprefix("deviceList:\n")
    draft, _ = drawn(PROFILE, lists)
    (channel,) = draft.channels.values()
    assert channel["groups"] == {"a": "20s", "a-5s": "5s"}
    load(draft)


def test_changes_only_are_reported_where_every_event_asks_for_that():
    change = "interval: 1s, sourceName: a, onChange: true"
    draft, _ = drawn(PROFILE, device(more=events(change)))
    assert schedules(draft)["a"][2].on_change
    draft, _ = drawn(PROFILE, device(more=events(f"{change}, onChangeThreshold: 0.5")))
    assert schedules(draft)["a"][2].deadband == 0.5
    draft, _ = drawn(PROFILE, device(more=events(change, "interval: 9s, sourceName: Both")))
    assert schedules(draft)["a"][2].is_plain


@pytest.mark.parametrize(
    ("event", "wrong"),
    [
        ("interval: 10, sourceName: a", "a duration is wanted"),
        ("interval: soon, sourceName: a", "a duration is wanted"),
        ("interval: -5s, sourceName: a", "is below 0"),
        ("interval: 0s, sourceName: a", "below a millisecond"),
        ("interval: 999h, sourceName: a", "longer than seven days"),
        ("interval: 1s, sourceName: C", "the profile `P` has no `C`"),
        ("interval: 1s", "has no `sourceName`"),
        ("sourceName: a", "has no `interval`"),
        ("interval: 1s, sourceName: a, onChange: perhaps", "true or false"),
    ],
)
def test_events_that_make_no_sense_are_errors_at_their_line(event, wrong):
    (found,) = problems(PROFILE, device(more=events(event)))
    assert wrong in found
    assert found.startswith("b.yaml:6:")


def test_retention_is_the_journals_business():
    _, report = drawn(PROFILE, device(more=events("interval: 1s, sourceName: Both, retention: {maxCap: 5}")))
    assert "`retention`" in notes(report)


def test_devices_of_one_address_share_a_channel_with_the_longest_time_out():
    text = (
        "deviceList:\n"
        "  - {name: d1, profileName: P, protocols: {modbus-tcp: {Address: h, Port: '502', UnitID: '7', Timeout: 2}}}\n"
        "  - {name: d2, profileName: P, protocols: {modbus-tcp: {Address: h, Port: 502, UnitID: 8, Timeout: 500ms}}}\n"
        "  - {name: d3, profileName: P, protocols: {modbus-tcp: {Address: h, Port: 503, UnitID: 8, Timeout: 1}}}\n"
    )
    draft, report = drawn(PROFILE, text)
    channels = load(draft).channels
    assert [[(each.id, each.settings.unit_id) for each in channel.devices] for channel in channels] == [
        [("d1", 7), ("d2", 8)],
        [("d3", 8)],
    ]
    assert [channel.timeout_s for channel in channels] == [2.0, 1.0]
    assert "share `timeout`: 2s, the longest" in notes(report)


def serial(name, line):
    return (
        f"  - {{name: {name}, profileName: P, protocols: {{modbus-rtu: {{Address: /dev/tty1, UnitID: 1, {line}}}}}}}\n"
    )


def test_one_serial_line_with_two_settings_is_an_error_that_names_both():
    first = serial("d1", "BaudRate: 9600, DataBits: 8, StopBits: 1, Parity: E")
    same = serial("d2", "BaudRate: '9600', DataBits: 8, StopBits: 1, Parity: e")
    other = serial("d3", "BaudRate: 19200, DataBits: 8, StopBits: 1, Parity: E")
    draft, _ = drawn(PROFILE, f"deviceList:\n{first}{same}")
    assert [channel["serial"]["line"] for channel in draft.channels.values()] == ["9600-8E1"]
    (found,) = problems(PROFILE, f"deviceList:\n{first}{other}")
    assert "9600-8E1" in found
    assert "19200-8E1" in found


def test_ascii_is_a_framing_of_a_serial_line():
    text = "modbus-ascii: {Address: /dev/tty1, UnitID: 1, BaudRate: 9600, DataBits: 7, StopBits: 1, Parity: E}"
    draft, _ = drawn(PROFILE, device(protocol=text))
    (channel,) = draft.channels.values()
    assert channel["serial"] == {"port": "/dev/tty1", "line": "9600-7E1", "framing": "ascii"}
    load(draft)


def test_recovery_times_are_how_often_a_device_that_is_away_is_asked():
    block = "modbus-tcp: {Address: h, Port: 1, UnitID: 1, ProtocolRecoveryTimeout: 5, LinkRecoveryTimeout: 10s}"
    draft, report = drawn(PROFILE, device(protocol=block))
    (channel,) = draft.channels.values()
    assert channel["probe"] == "10s"
    assert "`probe`" in notes(report)


def test_a_locked_device_is_disabled_and_what_it_says_of_itself_is_kept():
    more = (
        "adminState: LOCKED\noperatingState: UP\nserviceName: device-modbus\nlocation: {lat: 1.5}\n"
        "tags: {site: a}\nproperties: {p: 1}\nparent: rack\nlabels: [x, y]\nlastSeen: 5"
    )
    draft, report = drawn(PROFILE, device(more=more))
    ((made,),) = [channel.devices for channel in load(draft).channels]
    assert not made.enabled
    assert dict(made.meta) == {
        "name": "d",
        "profile_name": "P",
        "labels": "x, y",
        "tags": '{"site": "a"}',
        "location": '{"lat": 1.5}',
        "parent": "rack",
        "properties": '{"p": 1}',
        "imported.lastSeen": "5",
    }
    assert all(word in notes(report) for word in ("operatingState", "serviceName", "lastSeen"))


def test_of_several_protocols_the_first_that_is_known_is_taken():
    text = (
        "deviceList:\n  - name: d\n    profileName: P\n    protocols:\n      other: {a: 1}\n"
        "      modbus-tcp: {Address: h, Port: 1, UnitID: 1}\n      modbus-rtu: {Address: /dev/x}\n"
    )
    draft, report = drawn(PROFILE, text)
    assert [channel["url"] for channel in draft.channels.values()] == ["tcp://h:1"]
    assert notes(report).count("`d` has several protocols") == 2


def test_a_stub_takes_the_addresses_of_its_profile_and_is_disabled():
    draft, report = drawn(PROFILE, device(protocol="my-field-bus: {Address: x}"))
    (channel,) = load(draft).channels
    assert (channel.driver, channel.enabled) == ("modbus", False)
    assert dict(channel.devices[0].meta)["my-field-bus.Address"] == "x"
    assert "nobody here speaks the protocol `my-field-bus`" in notes(report)


def test_a_profile_for_another_protocol_is_an_error():
    (found,) = problems(PROFILE, device(protocol="opcua: {Endpoint: opc.tcp://h:1}"))
    assert "the profile has addresses of modbus, and `d` speaks opcua" in found


def test_a_profile_that_nobody_has_is_an_error_and_one_of_the_configuration_is_fine():
    (found,) = problems(PROFILE, device(of="p"))
    assert "did you mean `P`?" in found
    draft, report = drawn(
        device(of="own", more=events("interval: 1s, sourceName: x")), known=Known(profiles=frozenset({"own"}))
    )
    ((made,),) = [channel["devices"].values() for channel in draft.channels.values()]
    assert (made["profile"], made["tags"]) == ("own", {"x": {"group": "x"}})
    assert "a profile that is not imported here" in notes(report)


def test_two_devices_of_one_name_are_an_error_and_names_that_no_id_can_hold_are_mapped():
    twice = device("d") + device("d").removeprefix("deviceList:\n")
    assert "there are two devices `d`" in problems(PROFILE, twice)[0]
    draft, report = drawn(PROFILE, device("'Pump #1'"))
    ((name,),) = [channel["devices"] for channel in draft.channels.values()]
    assert name == "Pump__1"
    assert "`Pump #1` is called `Pump__1` here" in notes(report)


def test_channels_keep_clear_of_those_that_are_there():
    taken = Known(channels=frozenset({"modbus-tcp-192-0-2-1-502"}))
    draft, _ = drawn(PROFILE, device(), known=taken)
    assert list(draft.channels) == ["modbus-tcp-192-0-2-1-502-2"]


def test_an_mqtt_device_listens_on_its_own_topics_and_is_written_on_its_command_topic():
    draft, report = drawn(
        profile(
            "{name: a, properties: {valueType: Int16, readWrite: RW}}\n"
            "{name: 'b.c', properties: {valueType: Float32, readWrite: R}}\n"
            "{name: text, properties: {valueType: String, readWrite: R}}",
            "{name: All, readWrite: R, resourceOperations: [{deviceResource: a}, {deviceResource: b.c}]}",
        ),
        device(protocol=MQTT, more=events("interval: 1s, sourceName: a")),
    )
    (channel,) = load(draft).channels
    (found,) = channel.devices
    tags = {spec.path: spec.source for spec in found.tags}
    a, bc, text = tags["a"], tags["b_c"], tags["text"]
    assert (a.topic, a.format) == ("incoming/data/d/a", "plain")
    assert [(place.topic, place.path) for place in a.also] == [("incoming/data/d/All", "$.a")]
    assert [(place.topic, place.path) for place in bc.also] == [("incoming/data/d/All", "$['b.c']")]
    assert (a.command.topic, a.command.path) == ("command/d/a/set/fieldpost", "$.a")
    assert (text.topic, text.format, text.also) == ("incoming/data/d/text", "plain", ())
    assert "publishes by itself" in notes(report)
    assert "is a guess" in notes(report)


def test_a_command_of_a_resources_name_wins_its_topic():
    draft, _ = drawn(
        profile(
            "{name: a, properties: {valueType: Int16, readWrite: R}}",
            "{name: a, readWrite: R, resourceOperations: [{deviceResource: a}]}",
        ),
        device(protocol=MQTT),
    )
    ((found,),) = [channel.devices for channel in load(draft).channels]
    assert (found.tags[0].source.topic, found.tags[0].source.path) == ("incoming/data/d/a", "$.a")


def test_a_name_that_cannot_stand_in_a_topic_is_an_error():
    text = profile("{name: a, properties: {valueType: Int16, readWrite: R}}")
    assert "cannot stand in a topic" in problems(text, device("'d#1'", protocol=MQTT))[0]


def test_without_a_command_topic_an_mqtt_device_is_read_only():
    draft, report = drawn(PLAIN, device(protocol="mqtt: {Schema: tcp, Host: broker, Port: 1884}"))
    (channel,) = load(draft).channels
    assert (channel.settings.url, channel.devices[0].tags[0].access) == ("mqtt://broker:1884", "r")
    assert "without `CommandTopic` nothing can be written" in notes(report)


def test_passwords_are_credentials_or_left_out_and_never_copied():
    mqtt = "mqtt: {Host: b, User: me, Password: hunter2, CommandTopic: c}"
    draft, report = drawn(
        PLAIN, device(protocol=mqtt, more="properties: {token: hunter2, list: [{secretKey: hunter2}]}")
    )
    (channel,) = draft.channels.values()
    assert (channel["username"], channel["password"]) == ("me", "${credential:mqtt-b_password}")
    assert draft.credentials == {"mqtt-b_password": "password of the connection"}
    stub, stubbed = drawn(PLAIN, device(protocol="bus: {Address: x, Password: hunter2, auth: {privateKey: hunter2}}"))
    login = "opcua: {Endpoint: 'opc.tcp://me:hunter2@h:1', Username: me, Password: hunter2}"
    opcua, told = drawn(PLAIN, device(protocol=login))
    (session,) = opcua.channels.values()
    assert session["url"] == "opc.tcp://h:1"
    assert session["identity"] == {"user": "me", "password": "${credential:opcua-h-1_password}"}
    for made, notes_of in ((draft, report), (stub, stubbed), (opcua, told)):
        assert "hunter2" not in str(files_of(made))
        assert "hunter2" not in notes(notes_of)


def test_events_of_a_device_without_a_profile_are_left_out_with_a_note():
    text = device(more=events("interval: 20s, sourceName: All Values")).replace("    profileName: P\n", "")
    draft, report = drawn(text)
    ((found,),) = [channel["devices"].values() for channel in draft.channels.values()]
    assert found["enabled"] is False
    assert "tags" not in found
    assert "`autoEvents`: `d` names no profile (`profileName`)" in notes(report)
    load(draft)


def test_an_event_on_a_command_of_a_profile_that_is_elsewhere_is_refused_in_clear_words():
    text = device(more=events("interval: 20s, sourceName: All Values"))
    (told,) = problems(text, known=Known(profiles=frozenset({"P"})))
    assert "`All Values` is of a profile that is not imported here" in told
    assert "import its profile together with the device" in told


@pytest.mark.parametrize("source", ["All Values", "Füll/Stand"])
def test_sources_of_events_have_the_names_that_they_had(source):
    both = profile(
        f"{ONE}\n{TWO.replace('name: b', 'name: Füll/Stand')}",
        "{name: All Values, readWrite: R, resourceOperations: [{deviceResource: a}, {deviceResource: Füll/Stand}]}",
    )
    draft, _ = drawn(both, device(more=events(f"interval: 20s, sourceName: {source}")))
    ((found,),) = [channel.devices for channel in load(draft).channels]
    resources = {each.resource: each.source for each in resources_of(found).values()}
    assert resources["Füll%2FStand"] == source.replace("/", "%2F")
    assert resources["a"] == ("All Values" if source == "All Values" else "a")
