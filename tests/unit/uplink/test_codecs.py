"""Codecs: round trips, equal contents, sizes, and foreign input."""

from __future__ import annotations

import math
import random
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.journal import Segment
from gateway.model import Quality
from gateway.uplink.codecs.base import Names
from gateway.uplink.codecs.decode import decode_batch, decode_gap, wire_value
from gateway.uplink.codecs.flat import FlatCodec, check_template
from gateway.uplink.codecs.json_codec import JsonCodec
from gateway.uplink.codecs.native import NativeCodec
from gateway.uplink.slices import cut, join

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=8), st.binary(max_size=8)
)
CODES = [int(quality) for quality in Quality if quality]


@st.composite
def segments(draw: Any) -> Segment:
    borders = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    times = [1_795_000_000_000 + draw(st.integers(-5000, 5000)) for _ in borders]
    aliases = [10 * (entry + 1) + tag for entry, n in enumerate(borders) for tag in range(n)]
    values = [draw(VALUES) for _ in aliases]
    quality = {i: draw(st.sampled_from(CODES)) for i in range(len(aliases)) if draw(st.booleans())}
    return Segment(
        "telemetry", 1_794_000_000, draw(st.integers(1, 2**50)), len(aliases), min(times), max(times), 3, "b", 0,
        draw(st.sampled_from("su")), borders, times, aliases, values, quality,
    )  # fmt: skip


def names_of(segment: Segment) -> dict[int, tuple[str, str] | None]:
    return {alias: (f"device{alias // 10}", f"tag{alias % 10}") for alias in segment.aliases}


def read(payload: bytes, names: Names) -> list[tuple[Any, ...]]:
    message = decode_batch(payload)
    assert message is not None
    tags = {alias: (*name, "") for alias, name in names.items() if name is not None}
    return [(*reading[:4], repr(reading.value), reading.quality) for reading in message.readings(tags)]


@given(segments(), st.booleans())
def test_json_and_native_carry_the_same_readings(segment: Segment, historical: bool) -> None:
    """W2, and J17 for the wire: number, device, tag, time, value, quality."""
    names = names_of(segment)
    as_json = JsonCodec("gw1").telemetry(segment, names, historical=historical)
    as_native = NativeCodec("gw1").telemetry(segment, names, historical=historical)
    readings = read(as_native.payload, names)
    assert readings == read(as_json.payload, names)
    assert len(readings) == segment.n
    for (_, _, _, _, value, quality), sent in zip(readings, segment.values, strict=True):
        if isinstance(sent, float) and not math.isfinite(sent):
            assert value == "None"
            assert quality != "good"
        else:
            assert value == repr(wire_value(sent))


@given(segments(), st.integers(1, 20))
def test_cutting_and_joining_give_the_same_segment_and_never_split_an_entry(segment: Segment, limit: int) -> None:
    """J12: entries are the smallest unit."""
    parts: list[Segment] = []
    rest: Segment | None = segment
    while rest is not None:
        part, rest = cut(rest, limit)
        parts.append(part)
        assert part.n <= max(limit, part.border_n[0])
    joined = join(parts)
    assert (joined.border_n, joined.aliases, joined.quality) == (segment.border_n, segment.aliases, segment.quality)
    assert [part.first for part in parts[1:]] == [part.last + 1 for part in parts[:-1]]


@given(segments())
def test_readings_of_devices_not_carried_leave_nothing_but_their_numbers(segment: Segment) -> None:
    names = names_of(segment)
    for alias in names:
        if alias < 20:
            names[alias] = None
    kept = [i for i, alias in enumerate(segment.aliases) if alias >= 20]
    for codec in (JsonCodec("gw1"), NativeCodec("gw1")):
        payload = codec.telemetry(segment, names, historical=False).payload
        message = decode_batch(payload)
        assert message is not None
        assert (message.first, message.n) == (segment.first, segment.n)
        assert [row[0] for row in read(payload, names)] == [segment.first + i for i in kept]


@given(st.binary(max_size=200))
def test_foreign_bytes_never_raise(payload: bytes) -> None:
    """W6."""
    decode_batch(payload)
    decode_gap(payload)


@given(segments(), st.data())
def test_damaged_messages_never_raise(segment: Segment, data: Any) -> None:
    """W6: truncated and bit-flipped."""
    for codec in (JsonCodec("gw1"), NativeCodec("gw1", "none")):
        payload = bytearray(codec.telemetry(segment, names_of(segment), historical=False).payload)
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at] ^= 1 << data.draw(st.integers(0, 7))
        for damaged in (bytes(payload), bytes(payload[:at])):
            message = decode_batch(damaged)
            if message is not None and message.columns is None:
                list(message.readings({}))


def test_a_decompression_bomb_is_refused() -> None:
    assert decode_batch(zlib.compress(b"{" + b" " * 20_000_000)) is None


def test_an_unknown_version_is_refused_and_unknown_keys_are_not() -> None:
    """W7."""
    body = b'"gateway":"g","stream":"telemetry","epoch":1,"seq":1,"n":1,"batches":[{"device":"d","ts":1,"seq":1,"values":{"a":1},"new":0}],"x":1}'
    assert decode_batch(b'{"v":1,' + body) is not None
    assert decode_batch(b'{"v":2,' + body) is None


def reference(readings: int) -> tuple[Segment, dict[int, tuple[str, str] | None]]:
    """The reference load of protocol.md 4.7: 10 devices x 10 tags each second with report by exception."""
    rng = random.Random(7)
    tags = [
        "temperature",
        "ambient_temp",
        "voltage",
        "current",
        "power",
        "energy",
        "runtime",
        "cycles",
        "running",
        "alarm_word",
    ]
    names: dict[int, tuple[str, str] | None] = {
        10 + 10 * device + tag: (f"line1-plc{device:02d}", name)
        for device in range(10)
        for tag, name in enumerate(tags)
    }
    single = struct.Struct("f")
    borders, times, aliases, values, quality = [], [], [], [], {}
    counters = [[1000 * d, 5000 * d, 70 * d] for d in range(10)]
    second = 0
    while len(values) < readings:
        for device in range(10):
            ts = 1_795_000_000_000 + 1000 * second + 10 * device + rng.randrange(-3, 4)
            row: list[tuple[int, Any]] = []
            for tag in (0, 1):
                if second == 0 or rng.random() < 0.6:  # nothing is known at first: everything is reported
                    row.append((tag, round(20 + rng.gauss(0, 3), 1)))
            for tag, level in ((2, 230.0), (3, 12.0), (4, 2700.0)):
                row.append((tag, single.unpack(single.pack(rng.gauss(level, level / 100)))[0]))
            for at in range(3):
                if second == 0 or rng.random() < 0.9:
                    counters[device][at] += rng.randrange(1, 4)
                    row.append((5 + at, counters[device][at]))
            if second == 0 or rng.random() < 0.05:
                row.append((8, rng.random() < 0.5))
            if second == 0 or rng.random() < 0.02:
                row.append((9, rng.randrange(4)))
            row = row[: readings - len(values)]
            if not row:
                break
            borders.append(len(row))
            times.append(ts)
            for tag, value in row:
                if rng.random() < 0.003:
                    quality[len(values)] = int(Quality.BAD_COMM)
                    value = None
                aliases.append(10 + 10 * device + tag)
                values.append(value)
        second += 1
    segment = Segment(
        "telemetry", 1_794_000_000, 91_235, len(values), min(times), max(times), 41, "5f0c9a1e", 0, "s",
        borders, times, aliases, values, quality,
    )  # fmt: skip
    return segment, names


@pytest.mark.parametrize(
    ("codec", "readings", "bar"),
    [
        ("json", 100, 29.5), ("json", 355, 33.0), ("json", 1000, 33.8),
        ("json+zlib", 100, 8.4), ("json+zlib", 355, 7.8), ("json+zlib", 1000, 7.3),
        ("native", 100, 6.1), ("native", 355, 4.7), ("native", 1000, 4.1),
    ],
)  # fmt: skip
def test_bytes_per_reading_stay_within_the_bars(codec: str, readings: int, bar: float) -> None:
    """protocol.md 4.7, + 5 %."""
    segment, names = reference(readings)
    made = NativeCodec("gw-42") if codec == "native" else JsonCodec("gw-42", "zlib" if "zlib" in codec else "none")
    size = len(made.telemetry(segment, names, historical=False).payload) / readings
    print(f"{codec} {readings}: {size:.1f} bytes per reading, bar {bar}")
    assert size <= bar * 1.05


@pytest.mark.parametrize(
    "template", ["fp/{device}/{tag}", "$x/{device}/{tag}", "x/{tag}", "{device}/{tag}/{what}", "a/+/{device}/{tag}"]
)
def test_a_flat_topic_that_could_mix_tags_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        check_template(template)


def test_a_flat_message_has_value_quality_and_time() -> None:
    from gateway.uplink.ports import Latest

    latest = Latest(1, "line", "plc", "pressure", float("nan"), 0, 1_795_000_000_014)
    codec = FlatCodec("acme", "gw1", "plant/{device}/{tag}")
    assert codec.topic(latest) == "plant/plc/pressure"
    assert codec.value(latest).payload == b'{"v":null,"q":"bad/sensor","t":1795000000014}'


def test_integers_beyond_64_bits_travel_as_text_between_floats_of_both_widths() -> None:
    """A value that a rule computed may be wider than any type; the packer goes on to work after it."""
    values = [0.1, 2**70, 0.5, -(2**70), True, None, 1e300, 7]
    segment = Segment(
        "telemetry", 1_794_000_000, 1, 8, 1, 1, 3, "b", 0, "s", [8], [1], list(range(10, 18)), values, {}
    )  # fmt: skip
    names: dict[int, tuple[str, str] | None] = {alias: ("device1", f"tag{alias}") for alias in range(10, 18)}
    codec = NativeCodec("gw1")
    for _ in range(2):
        payload = codec.telemetry(segment, names, historical=False).payload
        assert read(payload, names) == read(JsonCodec("gw1").telemetry(segment, names, historical=False).payload, names)
