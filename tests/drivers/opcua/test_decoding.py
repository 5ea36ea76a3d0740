"""Bytes of notifications and answers: the same values as asyncua reads, nothing else than Malformed for the rest."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path

import pytest
import yaml
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.opcua.decoding import Malformed, Refused, publication, read_answer, unix_ms

CASES = sorted((Path(__file__).parent / "cases").iterdir())
MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=dt.UTC)
KINDS = {
    ua.VariantType.Boolean: True, ua.VariantType.SByte: -5, ua.VariantType.Byte: 200, ua.VariantType.Int16: -30000,
    ua.VariantType.UInt16: 60000, ua.VariantType.Int32: -(1 << 31), ua.VariantType.UInt32: (1 << 32) - 1,
    ua.VariantType.Int64: -(1 << 63), ua.VariantType.UInt64: (1 << 64) - 1, ua.VariantType.Float: 0.5,
    ua.VariantType.Double: 1e300, ua.VariantType.String: "presse ä",
}  # fmt: skip


def told(decode, data):
    rows = []
    found = decode(data, lambda *row: rows.append(row))
    return found, rows


def data_value(variant, *, status=0, source=MOMENT, server=MOMENT):
    value = ua.DataValue(variant, StatusCode=ua.StatusCode(status))
    value.SourceTimestamp, value.ServerTimestamp = source, server
    return value


def notification(*values, events=(), sequence=7):
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = 3
    change = ua.DataChangeNotification()
    for handle, value in enumerate(values, 100):
        item = ua.MonitoredItemNotification()
        item.ClientHandle, item.Value = handle, value
        change.MonitoredItems.append(item)
    response.Parameters.NotificationMessage.SequenceNumber = sequence
    response.Parameters.NotificationMessage.NotificationData = [*([change] if values else []), *events]
    return struct_to_binary(response)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    ("status", "source", "server"), [(0, 1, 1), (0x408F0000, 1, 1), (0, 1, 0), (0, 0, 1), (0, 0, 0)]
)
def test_every_number_and_text_comes_as_it_was_sent(kind, status, source, server):
    times = {"source": MOMENT if source else None, "server": MOMENT if server else None}
    found, rows = told(publication, notification(data_value(ua.Variant(KINDS[kind], kind), status=status, **times)))
    ((handle, number, value, code, ticks),) = rows
    assert (handle, number, value, code) == (100, kind.value, KINDS[kind], status)
    assert unix_ms(ticks) == (round(MOMENT.timestamp() * 1000) if source or server else unix_ms(0))
    assert (found.subscription, found.sequence, found.values, found.acknowledge) == (3, 7, 1, True)


def test_arrays_times_and_structures_come_too():
    values = [
        ua.Variant([1.5, 2.5], ua.VariantType.Double),
        ua.Variant(MOMENT, ua.VariantType.DateTime),
        ua.Variant(ua.Range(1.0, 2.0), ua.VariantType.ExtensionObject),
        ua.Variant([ua.Range(1.0, 2.0), ua.Range(3.0, 4.0)], ua.VariantType.ExtensionObject),
        ua.Variant(ua.LocalizedText("ein"), ua.VariantType.LocalizedText),
        ua.Variant(None, ua.VariantType.Null),
    ]
    _, rows = told(publication, notification(*map(data_value, values)))
    shown = [row[2] for row in rows]
    assert shown[0] == [1.5, 2.5]
    assert shown[2] == ua.Range(1.0, 2.0)
    assert shown[3] == [ua.Range(1.0, 2.0), ua.Range(3.0, 4.0)]
    assert shown[4].Text == "ein"
    assert shown[5] is None
    assert [row[0] for row in rows] == list(range(100, 106))


def test_a_structure_of_a_type_that_nobody_knows_costs_only_itself():
    strange = ua.ExtensionObject(TypeId=ua.NodeId(4711, 5), Body=b"\x01\x02\x03")
    values = [ua.Variant(strange, ua.VariantType.ExtensionObject), ua.Variant(2.0, ua.VariantType.Double)]
    _, rows = told(publication, notification(*map(data_value, values)))
    assert (rows[0][2].TypeId.Identifier, rows[0][2].Body, rows[1][2]) == (4711, b"\x01\x02\x03", 2.0)


def test_a_keep_alive_is_nothing_to_acknowledge():
    found, rows = told(publication, notification(sequence=9))
    assert (rows, found.acknowledge, found.sequence) == ([], False, 9)


def test_the_end_of_a_subscription_is_told():
    change = ua.StatusChangeNotification()
    change.Status = ua.StatusCode(0x800A0000)
    found, _ = told(publication, notification(events=[change]))
    assert found.status == 0x800A0000


def test_a_fault_is_the_servers_status():
    fault = ua.ServiceFault()
    fault.ResponseHeader.ServiceResult = ua.StatusCode(0x80790000)
    for decode in (publication, read_answer):
        with pytest.raises(Refused) as refused:
            told(decode, struct_to_binary(fault))
        assert refused.value.code == 0x80790000


def test_an_answer_of_a_read_is_told_by_place():
    response = ua.ReadResponse()
    response.Results = [data_value(ua.Variant(i, ua.VariantType.Int32)) for i in range(5)]
    response.Results[2] = ua.DataValue(StatusCode=ua.StatusCode(0x80340000))
    count, rows = told(read_answer, struct_to_binary(response))
    assert count == 5
    assert [(row[0], row[2], row[3]) for row in rows] == [
        (0, 0, 0), (1, 1, 0), (2, None, 0x80340000), (3, 3, 0), (4, 4, 0),
    ]  # fmt: skip
    with pytest.raises(Malformed, match="answer 634"):
        told(publication, struct_to_binary(response))


WHOLE = notification(*(data_value(ua.Variant(v, k)) for k, v in KINDS.items()))


@settings(max_examples=300)
@given(cut=st.integers(0, len(WHOLE) - 1))
def test_a_message_that_ends_too_early_is_malformed(cut):
    with pytest.raises((Malformed, Refused)):
        told(publication, WHOLE[:cut])


@settings(max_examples=300)
@given(place=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_is_a_value_or_malformed_and_never_anything_else(place, byte):
    changed = bytearray(WHOLE)
    changed[place] = byte
    with contextlib.suppress(Malformed, Refused):
        told(publication, bytes(changed))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_messages_of_the_field(case):
    data = bytes.fromhex("".join((case / "message.hex").read_text().split()))
    wanted = yaml.safe_load((case / "expect.yaml").read_text())
    found, rows = told(publication if wanted["kind"] == "publish" else read_answer, data)
    shown = [{"key": k, "type": t, "value": v, "status": s, "ms": unix_ms(ticks)} for k, t, v, s, ticks in rows]
    assert shown == wanted["values"]
    if wanted["kind"] == "publish":
        assert (found.subscription, found.sequence) == (wanted["subscription"], wanted["sequence"])
