"""The demo's screen as text: fits every window, hides nothing that is wrong."""

import io

import pytest

from gateway.cli.output import Output
from gateway.demo.screen import View, is_live, lines, screen

TAGS = [
    {"device": device, "tag": f"tag{i}", "value": 20.5 + i, "unit": "rpm", "quality": "good", "ts": 0, "age": 400}
    for device in ("meter", "inverter", "pump", "tank")
    for i in range(9)
]
STATUS = {
    "ready": True,
    "channels": {
        name: {"state": "online", "devices": {name: "online"}} for name in ("meter", "inverter", "pump", "tank")
    },
    "uplinks": {"broker": {"state": "online", "since": 0, "backlog": {"readings": 12, "bytes": 400, "oldest": 1000}}},
    "journal": {"bytes": 123456, "streams": {"telemetry": {"oldest": 1, "last": 900, "gaps": 0}}},
    "issues": [],
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def _view(**changes):
    values = {
        "seconds": 75.0,
        "status": STATUS,
        "tags": TAGS,
        "broker": "mosquitto",
        "broker_running": True,
        "hints": ("keys b q",),
    }
    return View(**{**values, **changes})


PLAIN = Output(io.StringIO())


@pytest.mark.parametrize("width", [20, 80, 104, 200])
@pytest.mark.parametrize("height", [10, 24, 50])
def test_it_fits_the_window(width, height):
    text = screen(_view(), width, height, PLAIN)
    assert len(text) <= height
    assert max(len(line) for line in text) <= width


def test_a_wide_window_shows_every_value_with_unit_quality_and_age():
    text = "\n".join(screen(_view(), 104, 30, PLAIN))
    assert text.count("rpm") == len(TAGS)
    assert text.count("good") == len(TAGS)
    assert text.count("400 ms") == len(TAGS)


def test_a_small_window_says_that_there_is_more():
    assert any("more values" in line for line in screen(_view(), 60, 20, PLAIN))


def test_only_what_is_bad_is_red(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Output(Terminal())
    tags = [{**TAGS[0], "quality": "bad/comm", "value": None}, TAGS[1]]
    red = [line for line in screen(_view(tags=tags), 60, 30, out) if "\x1b[31m" in line]
    assert len(red) == 1
    assert "bad/comm" in red[0]
    assert "-" in red[0]


def test_a_stopped_broker_and_an_issue_are_said():
    status = {**STATUS, "issues": [{"entity": "broker", "text": "not reachable"}]}
    text = "\n".join(screen(_view(status=status, broker_running=False), 104, 40, PLAIN))
    assert "STOPPED" in text
    assert "broker: not reachable" in text
    assert "12 readings wait" in text


def test_lines_for_a_pipe_name_every_value_and_what_is_not_good():
    tags = [{**TAGS[0], "quality": "bad/comm", "age": 5000}, *TAGS[1:]]
    text = lines(_view(tags=tags))
    assert text[0].startswith("0:01:15 meter: tag0 20.5 rpm [bad/comm, 5.0 s old], tag1 21.5 rpm")
    assert sum("uplink" in line for line in text) == 1
    assert any("telemetry 1..900" in line for line in text)


def test_live_means_every_value_is_good():
    assert is_live(TAGS)
    assert not is_live([])
    assert not is_live([*TAGS, {**TAGS[0], "quality": "bad/comm"}])


def test_a_text_from_a_device_cannot_move_the_cursor():
    tags = [{**TAGS[0], "value": "\x1b[2J\x07"}]
    assert "\x1b" not in "".join(screen(_view(tags=tags), 80, 24, PLAIN) + lines(_view(tags=tags)))
