"""What a trace says of frames."""

from __future__ import annotations

import pytest

from drivers.modbus.framing import Ascii, Mbap, Rtu
from drivers.modbus.trace import Tracer
from gateway.clock import SystemClock

ASKED, ANSWERED = bytes((3, 0, 10, 0, 1)), bytes((3, 2, 0, 7))


@pytest.mark.parametrize("framing", [Mbap(), Rtu(), Ascii()])
def test_an_answer_to_what_was_asked_before_the_trace_began_says_so(framing):
    frames = []
    trace = Tracer(framing, SystemClock(), frames.append)
    trace(False, framing.build(9, 1, ANSWERED))
    trace(True, framing.build(10, 1, ASKED))
    trace(False, framing.build(10, 1, ANSWERED))
    texts = [frame.text for frame in frames]
    assert texts[0] == "unit 1: 1 registers: 0007; asked for before the trace began"
    assert texts[1] == "unit 1: read holding/10 (40011, 0xa) x 1"
    assert texts[2].endswith(" ms")
