"""Frames on the three kinds of wire, in the pieces and with the noise that wires bring."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.framing import Adu, Ascii, BadSum, Garbage, Mbap, Rtu
from tests.support.serial_line import crc

UNIT, READ = 7, 3


def lrc(body: bytes) -> int:
    """The longitudinal check sum (MODBUS over Serial Line V1.02, 2.5.2.2)."""
    return -sum(body) & 0xFF


def rtu(pdu: bytes, unit: int = UNIT) -> bytes:
    frame = bytes((unit,)) + pdu
    return frame + crc(frame)


def ascii_(pdu: bytes, unit: int = UNIT) -> bytes:
    body = bytes((unit,)) + pdu
    return b":" + (body + bytes((lrc(body),))).hex().upper().encode() + b"\r\n"


def mbap(pdu: bytes, unit: int = UNIT, number: int = 99) -> bytes:
    return struct.pack(">HHHB", number, 0, len(pdu) + 1, unit) + pdu


def answer(words: list[int]) -> bytes:
    return bytes((READ, 2 * len(words))) + struct.pack(f">{len(words)}H", *words)


def fed(framing, pieces):
    """What comes out when bytes arrive in these pieces."""
    buffer, found = b"", []
    for piece in pieces:
        buffer += piece
        while buffer:
            adu, used = framing.take(buffer, UNIT, READ)
            buffer = buffer[used:]
            if adu is None:
                break
            found.append(adu)
    return found


def test_a_request_in_ascii_is_the_one_of_the_specification():
    # MODBUS over Serial Line V1.02, 2.5.2: colon, two letters a byte, check sum, CR LF.
    assert Ascii().build(0, 0x11, bytes.fromhex("03006B0003")) == b":1103006B00037E\r\n"


WIRES = [(Rtu, rtu, 0), (Ascii, ascii_, 0), (Mbap, mbap, 99)]


@pytest.mark.parametrize(("framing", "framed", "number"), WIRES)
@given(words=st.lists(st.integers(0, 65535), min_size=1, max_size=40), cuts=st.sets(st.integers(1, 170)))
def test_an_answer_in_any_pieces_is_that_answer(framing, framed, number, words, cuts):
    frame = framed(answer(words))
    places = [0, *sorted(cut for cut in cuts if cut < len(frame)), len(frame)]
    pieces = [frame[a:b] for a, b in itertools.pairwise(places)]
    assert fed(framing(), pieces) == [Adu(number, UNIT, answer(words))]


def test_data_that_look_like_an_answer_of_their_own_are_not_taken_out_of_the_middle():
    inner = rtu(answer([0xBEEF]))
    words = list(struct.unpack(">4H", inner.ljust(8, b"\0")))
    frame = rtu(answer([1, *words, 2]))
    pieces = [frame[:-3], frame[-3:]]
    assert fed(Rtu(), pieces) == [Adu(0, UNIT, answer([1, *words, 2]))]


@given(noise=st.binary(max_size=30).filter(lambda b: bytes((UNIT,)) not in b), words=st.lists(st.integers(0, 65535), min_size=1, max_size=20))  # fmt: skip
def test_noise_before_an_answer_is_passed_over(noise, words):
    found = fed(Rtu(), [noise, rtu(answer(words))])
    assert found[-1:] == [Adu(0, UNIT, answer(words))]


def test_a_damaged_answer_is_told_as_one():
    frame = bytearray(rtu(answer([1, 2])))
    frame[4] ^= 0x10
    with pytest.raises(BadSum):
        Rtu().take(bytes(frame), UNIT, READ)
    text = bytearray(ascii_(answer([1, 2])))
    text[9] = ord("F")
    with pytest.raises(BadSum):
        Ascii().take(bytes(text), UNIT, READ)
    with pytest.raises(Garbage):
        Mbap().take(b"HTTP/1.1 400 Bad Request\r\n", UNIT, READ)


@pytest.mark.parametrize("framing", [Rtu, Ascii, Mbap])
@given(data=st.binary(max_size=600))
def test_garbage_is_refused_or_passed_over_and_never_keeps_us_busy(framing, data):
    buffer = data
    for _ in range(len(data) + 2):
        try:
            adu, used = framing().take(buffer, UNIT, READ)
        except (BadSum, Garbage):
            return
        assert 0 <= used <= len(buffer)
        if adu is None:
            assert len(buffer) - used <= 1024
            return
        assert used
        buffer = buffer[used:]
    raise AssertionError("never done")
