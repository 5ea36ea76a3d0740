"""Bluetooth visitors: bytes in any order, one shift, operations in their order, words that are written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.importing.kubeedge.kit import MODEL, device, draft_of, errors_of, notes_of, settings_of

RADIO = '{bluetooth: {macAddress: "c4-7c-8d-6a-12-34"}}'
UUID = "characteristicUUID: 2a6e"


def text_of(config: str, kind: str = "int", access: str = "ReadOnly") -> str:
    model = MODEL.replace("INT", kind.upper()).replace("ReadWrite", access)
    return model + device(f"[{{propertyName: a, bluetooth: {{{config}}}}}]", RADIO, version="v1alpha2")


def tag_of(config: str, kind: str = "int", access: str = "ReadOnly") -> dict[str, Any]:
    draft, report = draft_of(text_of(config, kind, access))
    assert not len(report.problems), report.problems.sorted()
    tag: dict[str, Any] = draft.profiles["m"]["tags"]["a"]
    return tag


@pytest.mark.parametrize(
    ("converter", "want"),
    [
        ("startIndex: 0, endIndex: 1", {"address": "gatt/2a6e:uint16be", "type": "uint16"}),
        ("startIndex: 1, endIndex: 0", {"address": "gatt/2a6e:uint16le", "type": "uint16"}),
        ("startIndex: 3, endIndex: 3", {"address": "gatt/2a6e+3:uint8", "type": "uint8"}),
        ("startIndex: 2, endIndex: 6", {"address": "gatt/2a6e+2:uint40be", "type": "uint48"}),
        ("startIndex: 6, endIndex: 0", {"address": "gatt/2a6e:uint56le", "type": "uint64"}),
        ("endIndex: 1, shiftRight: 4", {"address": "gatt/2a6e:uint16be", "type": "uint16", "shift": 4}),
        ("endIndex: 0, shiftLeft: 4", {"address": "gatt/2a6e:uint8", "type": "uint64", "shift": -4}),
        (
            "endIndex: 1, orderOfOperations: [{operationType: Subtract, operationValue: 40}, {operationType: Divide, operationValue: 10}]",
            {"address": "gatt/2a6e:uint16be", "type": "uint16", "scale": 0.1, "offset": -4},
        ),
        (
            "endIndex: 1, orderOfOperations: [{operationType: Multiply, operationValue: 0.03125}, {operationType: Add, operationValue: 1}]",
            {"address": "gatt/2a6e:uint16be", "type": "uint16", "scale": 0.03125, "offset": 1},
        ),
    ],
)
def test_a_converter_is_a_field_a_shift_a_factor_and_an_offset(converter: str, want: dict[str, Any]) -> None:
    assert tag_of(f"{UUID}, dataConverter: {{{converter}}}") == want


def test_words_are_labels_of_the_bytes_they_stand_for() -> None:
    found = tag_of(f'{UUID}, dataWrite: {{"ON": [1], "OFF": [0]}}', "string", "ReadWrite")
    assert found == {"address": "gatt/2a6e:uint8", "type": "uint8", "labels": {"1": "ON", "0": "OFF"}, "access": "rw"}
    wide = tag_of(f'{UUID}, dataWrite: {{"a": [1, 2], "b": "AQM="}}', "string", "ReadWrite")
    assert (wide["address"], wide["labels"]) == ("gatt/2a6e:uint16be", {"258": "a", "259": "b"})


def test_words_of_several_lengths_cannot_be_a_number_and_are_told() -> None:
    _, report = draft_of(text_of(f'{UUID}, dataWrite: {{"a": [1, 2], "b": [1]}}'))
    assert any("1 or 2 bytes" in text for text in notes_of(report, "warning"))


def test_texts_and_bytes_are_taken_whole() -> None:
    assert tag_of(UUID, "string") == {"address": "gatt/2a6e", "type": "string"}
    assert tag_of(UUID, "bytes") == {"address": "gatt/2a6e", "type": "bytes"}


def test_a_device_without_an_address_waits_for_one() -> None:
    text = text_of(UUID).replace(RADIO, "{bluetooth: {}}")
    second = device(f"[{{propertyName: a, bluetooth: {{{UUID}}}}}]", "{bluetooth: {}}", version="v1alpha2", name="e")
    settings, report = settings_of(f"{text}---\n{second}")
    assert [each.enabled for each in settings.channels[0].devices] == [False, False]
    assert len([text for text in notes_of(report, "warning") if "macAddress" in text]) == 2


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("dataWrite: {}", "has no `characteristicUUID`"),
        ("characteristicUUID: xyz", "is no UUID"),
        (f"{UUID}, dataConverter: {{startIndex: 0, endIndex: 20}}", "21 bytes are no number"),
        (f"{UUID}, dataConverter: {{shiftLeft: 1, shiftRight: 1}}", "one shift"),
        (f"{UUID}, dataConverter: {{orderOfOperations: [{{operationType: Divide, operationValue: 0}}]}}", "by 0"),
        (f"{UUID}, dataConverter: {{orderOfOperations: [{{operationType: Root, operationValue: 2}}]}}", "no operation"),
        (f'{UUID}, dataWrite: {{"a": [256]}}', "not within 0 and 255"),
        (f'{UUID}, dataWrite: {{"a": "?"}}', "are no bytes"),
    ],
)
def test_what_has_no_meaning_is_an_error_with_its_line(config: str, words: str) -> None:
    errors = errors_of(text_of(config))
    assert any(words in error for error in errors), errors
