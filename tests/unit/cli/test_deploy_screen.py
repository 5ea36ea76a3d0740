"""A deployment on a terminal: it stays within the screen, and nothing that a gateway says moves the cursor."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from gateway.cli.deploy_screen import Screen
from gateway.cli.deploy_tables import outcome
from gateway.cli.output import Output
from gateway.fleet.deployment import Deployment
from gateway.fleet.jobwire import JobStatus, parse_status
from gateway.fleet.rollout import Limits, Rollout

STYLE = re.compile(r"\x1b\[[0-9;]*m")
NAMES = tuple(f"press-{number:02d}" for number in range(40))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Scene:
    """A deployment for 40 gateways on a terminal of 60 columns and 12 lines."""

    def __init__(self, terminal: Terminal, *, live: bool) -> None:
        self.terminal = terminal
        plan: dict[str, Any] = {"id": "d-1", "tenant": "t", "op": "ota", "label": "releases/fieldpost-1.4.0.json"}
        deployment = Deployment(**plan, docs={"": {}}, waves=(NAMES,), canaries=False, made=0)
        self.deployment = deployment
        self.rollout = Rollout(deployment.division, Limits(within_s=100, most_failures=99))
        for course in self.rollout.courses.values():
            course.see(online=True, version="1.3.2", now=0)
        self.rollout.step(0)
        self.screen = Screen(Output(terminal), deployment, self.rollout)
        self.live = live

    def says(self, gateway: str, state: str, step: str = "", text: str = "") -> None:
        self.rollout.hear(gateway, JobStatus("d-1", 1, state, step, 40, None, text), 1)
        self.rollout.step(1)
        self.screen.look(self.rollout, "the broker is back" if self.live else "")  # a remark is drawn at once

    def drawn(self) -> list[str]:
        """The lines since the cursor last went up."""
        last = re.split(r"\r\x1b\[\d+A", self.terminal.getvalue())[-1]
        return [STYLE.sub("", line).replace("\x1b[K", "") for line in last.removesuffix("\x1b[J").splitlines()]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Scene:
    terminal = Terminal() if getattr(request, "param", True) else io.StringIO()
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "12")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Scene(terminal, live=terminal.isatty())  # type: ignore[arg-type]


def test_a_large_fleet_stays_within_the_screen_and_what_moves_is_seen(scene: Scene) -> None:
    for name in NAMES[:20]:
        scene.says(name, "succeeded")
    scene.says("press-33", "failed", text="not enough room " * 20)
    scene.says("press-34", "in_progress", "download")
    lines = scene.drawn()
    assert len(lines) <= 11
    assert max(map(len, lines)) <= 60
    assert any(line.split()[1:3] == ["press-33", "failed"] for line in lines), lines
    assert lines[-1].startswith("20 succeeded, 1 in progress, 18 sent, 1 failed; the broker")
    assert not [line for line in lines if "press-05" in line], "what is done gives way"
    up = [int(count) for count in re.findall(r"\x1b\[(\d+)A", scene.terminal.getvalue())]
    assert set(up) == {len(lines)}
    scene.screen.close()
    assert scene.terminal.getvalue().endswith(f"\r\x1b[{len(lines)}A\x1b[J")


@pytest.mark.parametrize("scene", [True, False], indirect=True)
def test_nothing_that_a_gateway_says_moves_the_cursor(scene: Scene) -> None:
    for text in ("\x1b[2J\x1b[H", "\r\nfake: succeeded", "\x9b31m", "a\x1b]0;title\x07"):
        scene.says("press-00", "in_progress", f"step{text}", text)
        scene.says("press-01", "in_progress", "download", text)
    scene.says("press-02", "failed", text="\x1b[2Jgone\nfake: succeeded")
    scene.says("press-03", "in_progress", "\x1b[2J" * 30, "x")
    out = scene.terminal.getvalue()
    ours = re.sub(r"\r\x1b\[\d+A|\x1b\[[KJ]", "", STYLE.sub("", out))
    assert all(char.isprintable() or char == "\n" for char in ours)
    assert not re.search(r"(?m)^fake", ours)


@pytest.mark.parametrize("scene", [False], indirect=True)
def test_without_a_terminal_each_change_is_one_line(scene: Scene) -> None:
    for _ in range(3):
        scene.says("press-00", "queued", "accepted")
    scene.says("press-00", "in_progress", "download")
    scene.says("press-00", "failed", text="not enough room")
    lines = [line for line in scene.terminal.getvalue().splitlines() if line.startswith("press-00")]
    assert lines == [
        "press-00: queued accepted",
        "press-00: in_progress download",
        "press-00: failed: not enough room",
    ]


@pytest.mark.parametrize("scene", [False], indirect=True)
def test_without_a_terminal_a_reason_is_whole_and_told_once(scene: Scene) -> None:
    reason = "taken back: not up again in time: " + ", ".join(f"pump-{number}" for number in range(20))
    body = {"v": 1, "id": "d-1", "ver": 1, "state": "failed", "detail": {"text": reason, "rolled_back": True}}
    status = parse_status(json.dumps(body).encode())
    assert status is not None
    scene.rollout.hear("press-00", status, 1)
    scene.screen.look(scene.rollout, "")
    outcome(Output(scene.terminal), scene.deployment, scene.rollout)
    lines = [line for line in scene.terminal.getvalue().splitlines() if "press-00" in line]
    assert lines[0] == f"press-00: failed: {reason}"
    assert lines[-1].endswith(f"1.3.2    {reason}"), lines[-1]
