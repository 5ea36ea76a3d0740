"""What waits between the engine and the reader of a recording."""

from __future__ import annotations

from gateway.local.recording import MOST_LINES, _Queue


def test_lines_come_in_order_and_the_last_says_why_it_ends() -> None:
    queue = _Queue()
    for line in ({"time": [1, 2]}, {"outcome": {}}, {"end": "time"}, {"time": [3, 4]}):
        queue.put(line)
    assert queue.ended
    assert queue.take(2) == [{"time": [1, 2]}, {"outcome": {}}]
    assert queue.take(9) == [{"end": "time"}]
    assert queue.take(9) == []


def test_a_reader_that_does_not_keep_up_ends_the_recording_and_costs_no_more_memory() -> None:
    queue = _Queue()
    for number in range(MOST_LINES + 500):
        queue.put({"time": [number, 0]})
    lines = queue.take(10 * MOST_LINES)
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == {"end": "its reader did not keep up"}


async def test_waiting_ends_with_a_line_or_with_the_time() -> None:
    queue = _Queue()
    await queue.wait(0.001)
    assert queue.take(1) == []
    queue.put({"time": [1, 2]})
    await queue.wait(60)
    assert len(queue.take(1)) == 1
