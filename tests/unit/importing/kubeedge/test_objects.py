"""Names, references, versions, lists; cycles without a unit; what nobody knows."""

from __future__ import annotations

import pytest

from gateway.importing.draft import Known, Options
from gateway.importing.report import Report
from gateway.importing.takeover import take_over
from tests.unit.importing.kubeedge.kit import MODEL, device, draft_of, errors_of, notes_of, only_note, settings_of

ENTRY = "[{name: a, visitors: {configData: {register: CoilRegister}}}]"


def with_entry(words: str) -> str:
    return MODEL + device(f"[{{name: a, visitors: {{configData: {{register: HoldingRegister}}}}, {words}}}]")


@pytest.mark.parametrize(
    ("written", "interval"),
    [
        ("10000", "10s"),
        ("1000", "1s"),
        ("10000000000", "10s"),
        ("1000000000", "1s"),
        ("10000000", "10ms"),
        ("9999999", "9999.999s"),
        ('"500"', "500ms"),
        ("0", "1s"),
        ("null", "1s"),
    ],
)
def test_cycles_are_milliseconds_until_they_would_be_hours(written: str, interval: str) -> None:
    draft, _ = draft_of(with_entry(f"collectCycle: {written}"))
    found = draft.channels["modbus-192-0-2-1-502"]["devices"]["d"]["interval"]
    assert found == interval or (interval == "9999.999s" and found == "9999999ms")


def test_a_device_without_cycles_takes_the_interval_that_was_said() -> None:
    draft, report = draft_of(MODEL + device(ENTRY), Options(interval="30s"))
    assert draft.channels["modbus-192-0-2-1-502"]["devices"]["d"]["interval"] == "30s"
    assert "every 30s" in only_note(report, "guessed", "collectCycle").text


def test_a_slower_report_is_kept_apart_from_the_poll() -> None:
    draft, _ = draft_of(with_entry("collectCycle: 1000, reportCycle: 10000"))
    tag = draft.channels["modbus-192-0-2-1-502"]["devices"]["d"]["tags"]["a"]
    assert (tag["report_every"], tag["local"]) == ("10s", True)
    draft, _ = draft_of(with_entry("collectCycle: 10000, reportCycle: 1000, reportToCloud: true"))
    assert "tags" not in draft.channels["modbus-192-0-2-1-502"]["devices"]["d"]


def test_names_go_by_namespace_over_all_files() -> None:
    other = MODEL.replace("name: m}", "name: m, namespace: lab}").replace("INT", "FLOAT")
    lab = device(ENTRY.replace("Coil", "Holding"), name="d").replace("name: d}", "name: d, namespace: lab}")
    files = {"2.yaml": (MODEL + device(ENTRY)).encode(), "1.yaml": (other + lab).encode()}
    draft, report = draft_of(files)
    assert not len(report.problems)
    assert list(draft.profiles) == ["m", "default_m"]
    devices = {name: each for channel in draft.channels.values() for name, each in channel["devices"].items()}
    assert {name: each["profile"] for name, each in devices.items()} == {"d": "m", "default_d": "default_m"}
    assert draft.profiles["m"]["tags"]["a"]["type"] == "int16"


def test_a_model_that_is_missing_is_told_with_its_line_or_found_as_a_profile() -> None:
    text = device(ENTRY.replace("Coil", "Holding").replace("register:", "dataType: int, register:"))
    (error,) = errors_of(text)
    assert error == "5: there is no DeviceModel `m`"
    report = Report()
    draft = take_over({"f.yaml": text.encode()}, report, None, Known(profiles=frozenset({"m"})))
    assert not len(report.problems)
    assert draft.channels["modbus-192-0-2-1-502"]["devices"]["d"]["profile"] == "m"


def test_a_model_of_another_namespace_is_named_in_the_hint() -> None:
    other = MODEL.replace("name: m}", "name: m, namespace: lab}")
    _, report = draft_of(other + device(ENTRY))
    (problem,) = report.problems.sorted()
    assert problem.hint == "it is in namespace `lab`, the device in `default`"


def test_lists_of_kubectl_are_taken_apart() -> None:
    parts = [f"- {each.strip()}".replace("\n", "\n  ") for each in (MODEL.strip().strip("-"), device(ENTRY))]
    listed = "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems:\n" + "\n".join(parts)
    draft, report = draft_of(listed)
    assert not len(report.problems), report.problems.sorted()
    assert list(draft.profiles) == ["m"] and list(draft.channels) == ["modbus-192-0-2-1-502"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MODEL.replace("v1beta1", "v1alpha1"), "version `v1alpha1` is not understood"),
        (MODEL.replace("DeviceModel", "Pod"), "`Pod` is not understood"),
        (MODEL.replace("metadata: {name: m}", "metadata: {labels: {}}"), "has no name"),
        (MODEL.replace("INT", "COMPLEX"), "is no type"),
        (MODEL.replace("INT", "{int: {}, float: {}}"), "is int and float"),
        (MODEL.replace("ReadWrite", "Often"), "is no access mode"),
        (MODEL + MODEL, "in the files twice"),
        (MODEL + device("[{name: b, visitors: {configData: {register: CoilRegister}}}]"), "has no property `b`"),
        (MODEL + device("[{visitors: {}}]"), "has no name"),
        (MODEL + device("[{name: a}]"), "has no configuration"),
        (MODEL + device(ENTRY[:-1] + ", " + ENTRY[1:]), "is here twice"),
        (MODEL + device(ENTRY, head="  methods: [{name: x, propertyNames: [y]}]\n"), "has no property `y`"),
        (MODEL + device(ENTRY.replace("}}}", "}}, desired: {value: maybe}}")), "is no number"),
        (MODEL + device(ENTRY.replace("}}}", "}}, collectCycle: -5}")), "is negative"),
        (MODEL + device(ENTRY).replace("deviceModelRef: {name: m}", "deviceModelRef: {}"), "names no model"),
    ],
)
def test_what_has_no_meaning_is_an_error_with_its_line(text: str, words: str) -> None:
    errors = errors_of(text)
    assert any(words in error for error in errors), errors
    assert all(int(error.split(":")[0]) > 0 for error in errors)


def test_all_errors_are_told_at_once_and_the_rest_is_drawn() -> None:
    entries = (
        "[{name: a, visitors: {configData: {register: Nowhere}}}, {name: b, visitors: {configData: {register: CoilRegister}}},"
        " {name: c, visitors: {configData: {register: CoilRegister, offset: x}}}]"
    )
    model = MODEL.replace("ReadWrite}", "ReadWrite}\n    - {name: b, type: INT}\n    - {name: c, type: INT}")
    draft, report = draft_of(model + device(entries))
    assert len(report.problems) == 2
    assert list(draft.profiles["m"]["tags"]) == ["b"]


def test_a_broken_property_is_told_once_and_not_again_for_its_method() -> None:
    text = MODEL + device(ENTRY.replace("Coil", "No"), head="  methods: [{name: x, propertyNames: [a]}]\n")
    (error,) = errors_of(text)
    assert "is no register" in error


def test_unknown_keys_are_told_and_kept_but_never_secrets() -> None:
    words = "{protocolName: lora, configData: {gateway: g7, appPassword: s3cret, nested: {token: s3cret}}}"
    draft, report = draft_of(MODEL + device("[{name: a, colour: red, visitors: {configData: {port: 9}}}]", words))
    stub = draft.channels["stub-lora"]["devices"]["d"]
    assert stub["meta"]["imported.gateway"] == "g7"
    assert draft.profiles["m"]["tags"]["a"]["meta"]["imported.colour"] == "red"
    assert "s3cret" not in str(draft.channels) + str(draft.profiles) + str(report.notes)
    assert len([text for text in notes_of(report, "warning") if "secrets are not copied" in text]) == 2


def test_braces_and_dollars_of_people_stay_what_they_are() -> None:
    model = MODEL.replace("accessMode: ReadWrite", "description: 'a {b} ${env:HOME}', unit: '{n}'")
    settings, _ = settings_of(model + device(ENTRY.replace("}}}", "}}, reportToCloud: true}")))
    (tag,) = settings.channels[0].devices[0].tags
    assert tag.unit == "{n}" and "{b}" in tag.description and "HOME" in tag.description


def test_a_push_to_a_broker_is_what_to_write_into_gateway_yaml() -> None:
    push = (
        "pushMethod: {mqtt: {address: 'tcp://192.0.2.9:1883', topic: 'a/b', qos: 1, retained: true}, dbMethod: {x: 1}}"
    )
    _, report = draft_of(with_entry(push))
    text = only_note(report, "warning", "gateway.yaml").text
    assert 'urls: ["mqtt://192.0.2.9:1883"]' in text and 'topic: "a/b/{device}/{tag}"' in text and "qos: 1" in text
    assert only_note(report, "warning", "databases")


def test_labels_whose_key_has_to_change_are_told_and_never_replace_each_other() -> None:
    text = MODEL.replace("metadata: {name: m}", "metadata: {name: m, labels: {a/b: one, a:b: two, a_b: three}}")
    draft, report = draft_of(text)
    meta = draft.profiles["m"]["meta"]
    assert sorted(meta[key] for key in meta if key.startswith("a_b")) == ["one", "three", "two"]
    assert len([text for text in notes_of(report, "changed") if "in `meta`" in text]) == 3
