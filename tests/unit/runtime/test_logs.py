import logging

from gateway.logs import FloodFilter


def record(text="boom"):
    return logging.LogRecord("fieldpost.x", logging.ERROR, "x.py", 7, text, (), None)


def test_fl_51_ten_thousand_identical_errors_become_a_few_lines_and_a_count(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("gateway.logs.time.monotonic", lambda: now[0])
    flood = FloodFilter(burst=5, window_s=10)
    passed = sum(flood.filter(record()) for _ in range(10_000))
    assert passed == 5
    now[0] += 11
    last = record()
    assert flood.filter(last)
    assert last.getMessage() == "boom (9995 more like this in the last 10 s)"


def test_another_place_is_not_held_back_by_a_flood():
    flood = FloodFilter(burst=1)
    assert flood.filter(record())
    assert not flood.filter(record())
    other = logging.LogRecord("fieldpost.x", logging.ERROR, "x.py", 8, "other", (), None)
    assert flood.filter(other)
