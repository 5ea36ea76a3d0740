"""Deployments over a real broker, the gateways played by a small client (tests/support/job_gateways.py)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.fleet import BrokerRefuses, Fleet
from gateway.fleet.deployment import Deployment, Record
from gateway.fleet.rollout import Limits, Rollout
from tests.integration.fleet.conftest import operator
from tests.support.eventually import eventually
from tests.support.job_gateways import JobGateways

NAMES = [f"gw-{number}" for number in range(6)]
DOC = {"target": "releases/fieldpost-1.4.0.json"}


@pytest.fixture
def make_site(broker: Any) -> Iterator[Callable[..., JobGateways]]:
    made: list[JobGateways] = []

    def make(names: Sequence[str] = NAMES, *, ways: dict[str, str] | None = None, **options: Any) -> JobGateways:
        site = JobGateways(broker.port, names)
        site.ways.update(ways or {})
        made.append(site.start(**options))
        return site

    yield make
    for site in made:
        site.stop()


def planned(name: str = "d-1", waves: Sequence[Sequence[str]] = ((NAMES[0],), NAMES[1:]), **more: Any) -> Deployment:
    values: dict[str, Any] = {
        "id": name,
        "tenant": "default",
        "op": "ota",
        "label": DOC["target"],
        "docs": {"": DOC},
        "waves": tuple(map(tuple, waves)),
        "canaries": len(waves) > 1,
        "made": 1795000000000,
        "exp": 4102444800000,
    }
    return Deployment(**values | more)


class Operator:
    """One operator's run of one deployment. `remarks`: what they were told beside the states."""

    def __init__(self, fleet: Fleet, record: Record, limits: Limits, **options: Any) -> None:
        self.rollout = Rollout(record.deployment.division, limits)
        now = asyncio.get_running_loop().time()
        self.rollout.resume(record.ends, record.sent, now)
        self.remarks: list[str] = []
        self.deploying = fleet.deploying(record, self.rollout, look=self._look, **options)

    def _look(self, _: Rollout, remark: str) -> None:
        if remark:
            self.remarks.append(remark)

    async def run(self, within: float = 30) -> dict[str, str]:
        """Gateway to state."""
        async with asyncio.timeout(within):
            await self.deploying.run()
        return self.states

    @property
    def states(self) -> dict[str, str]:
        return {name: course.state for name, course in self.rollout.courses.items()}


@asynccontextmanager
async def operating(
    broker: Any, folder: Path, deployment: Deployment | None = None, *, resume: str = "", **limits: Any
) -> AsyncIterator[Operator]:
    record = Record.load(folder, resume) if resume else Record.create(folder, deployment or planned())
    options = {key: limits.pop(key) for key in ("replace", "beside") if key in limits}
    async with operator(broker.url, settle_s=0.05, timeout_s=limits.pop("timeout_s", 10)) as fleet:
        yield Operator(fleet, record, Limits(**{"within_s": 20, "answer_s": 5} | limits), **options)


async def test_all_gateways_get_it_and_nothing_stays_at_the_broker(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path
) -> None:
    site = make_site()
    async with operating(broker, tmp_path) as one:
        assert await one.run() == dict.fromkeys(NAMES, "succeeded")
    assert site.begun[0] == ("gw-0", "d-1"), "the canary is first"
    assert sorted(name for name, _ in site.begun) == NAMES
    assert site.taken["gw-3"] == [{"v": 1, "id": "d-1", "ver": 1, "op": "ota", "doc": DOC, "exp": 4102444800000}]
    await eventually(lambda: not site.stands(), why=lambda: str(site.stands()))


@pytest.mark.parametrize(
    ("way", "state", "text"),
    [
        ("rolls back", "failed", "line1 is not up"),
        ("rejects", "rejected", "not among"),
        ("is deaf", "failed", "no word"),
    ],
)
async def test_nothing_is_sent_after_a_canary_that_does_not_succeed(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path, way: str, state: str, text: str
) -> None:
    site = make_site(ways={"gw-0": way})
    async with operating(broker, tmp_path, answer_s=0.5, most_failures=9) as one:
        assert await one.run() == {"gw-0": state, **dict.fromkeys(NAMES[1:], "skipped")}
        assert "canary" in one.rollout.stopped
        end = one.rollout.courses["gw-0"].end
        assert end is not None
        assert text in end.text
    assert {name for name, _ in site.begun} <= {"gw-0"}
    await eventually(lambda: not site.stands())


async def test_too_many_failures_take_out_what_can_still_be_cancelled_and_wait_for_the_rest(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path
) -> None:
    ways = {"gw-1": "holds", "gw-2": "commits", "gw-3": "fails", "gw-4": "succeeds"}
    site = make_site(ways=ways, offline=["gw-5"])
    waves = (("gw-5", "gw-1", "gw-2", "gw-3", "gw-4"), ("gw-0",))
    async with operating(broker, tmp_path, planned(waves=waves, canaries=False), offline_s=20) as one:
        running = asyncio.create_task(one.run())
        await eventually(lambda: one.states["gw-1"] == "cancelled", why=lambda: str(one.states))
        assert one.states["gw-2"] == "in_progress"
        assert site.stands() == {"gw-2"}
        site.finish("gw-2")
        states = await running
    assert states == {
        "gw-0": "skipped",
        "gw-1": "cancelled",
        "gw-2": "succeeded",
        "gw-3": "failed",
        "gw-4": "succeeded",
        "gw-5": "cancelled",
    }
    site.status("gw-5", online=True)
    assert "gw-5" not in {name for name, _ in site.begun}, "its job is gone before it came back"


async def test_a_failure_that_may_be_does_not_stop_it(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path
) -> None:
    make_site(ways={"gw-2": "fails"})
    async with operating(broker, tmp_path, most_failures=1) as one:
        states = await one.run()
    assert states == {**dict.fromkeys(NAMES, "succeeded"), "gw-2": "failed"}


async def test_a_gateway_that_is_away_finds_its_job_when_it_is_back(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path
) -> None:
    site = make_site(offline=["gw-4"])
    async with operating(broker, tmp_path) as one:
        states = await one.run()
        assert states == {**dict.fromkeys(NAMES, "succeeded"), "gw-4": "offline"}
        assert one.rollout.courses["gw-4"].pending
    assert site.stands() == {"gw-4"}
    site.status("gw-4", online=True)
    await eventually(lambda: ("gw-4", "d-1") in site.begun)
    async with operating(broker, tmp_path, resume="d-1") as again:
        assert await again.run() == dict.fromkeys(NAMES, "succeeded")
    await eventually(lambda: not site.stands())
    assert len(site.begun) == len(NAMES), "nothing is begun twice"


async def test_a_broker_that_is_restarted_in_the_middle_changes_nothing(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path
) -> None:
    site = make_site(ways=dict.fromkeys(NAMES[1:3], "holds"))
    async with operating(broker, tmp_path) as one:
        running = asyncio.create_task(one.run())
        await eventually(lambda: one.states["gw-1"] == "in_progress", why=lambda: str(one.states))
        await asyncio.to_thread(broker.stop)
        site.finish("gw-1")  # its word is lost with the broker, and told again
        await asyncio.to_thread(broker.start)
        await eventually(lambda: "the broker is back" in one.remarks, 20)
        await eventually(lambda: one.states["gw-1"] == "succeeded", why=lambda: str(one.states))
        site.finish("gw-2")
        assert await running == dict.fromkeys(NAMES, "succeeded")
    assert len(site.begun) == len(NAMES)


async def test_what_another_operator_has_there_is_left_alone(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path
) -> None:
    site = make_site(ways={"gw-0": "holds"})
    async with operating(broker, tmp_path, planned("theirs", [["gw-0"]])) as theirs:
        running = asyncio.create_task(theirs.run())
        await eventually(lambda: theirs.states["gw-0"] == "in_progress")
        async with operating(broker, tmp_path, planned("ours", [["gw-0"]])) as ours:
            assert await ours.run() == {"gw-0": "rejected"}
        assert site.begun == [("gw-0", "theirs")]
        async with operating(broker, tmp_path, planned("mine", [["gw-0"]]), replace=True) as mine:
            site.ways["gw-0"] = "succeeds"
            assert await mine.run() == {"gw-0": "succeeded"}
        assert await running == {"gw-0": "cancelled"}
    await eventually(lambda: not site.stands())


async def test_two_operators_at_the_same_moment_both_hear_what_became_of_theirs(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path
) -> None:
    """The broker's order decides, for each gateway; whoever was written over is told."""
    make_site(ways=dict.fromkeys(NAMES, "holds"))
    async with (
        operating(broker, tmp_path, planned("one", [NAMES]), within_s=1.5, most_failures=9) as one,
        operating(broker, tmp_path, planned("two", [NAMES]), within_s=1.5, most_failures=9) as two,
    ):
        first, second = await asyncio.gather(one.run(), two.run())
    for name in NAMES:
        assert {first[name], second[name]} <= {"cancelled", "rejected", "timed_out"}
        assert "timed_out" in {first[name], second[name]}, "one of them had it to itself"
        assert first[name] != second[name]


async def test_a_job_that_somebody_takes_out_ends_as_cancelled_and_stops_the_rest(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path
) -> None:
    site = make_site(offline=["gw-1"], ways={"gw-0": "holds"})
    waves = [["gw-0", "gw-1"], ["gw-2"]]
    async with operating(broker, tmp_path, planned(waves=waves, canaries=False), offline_s=20) as one:
        running = asyncio.create_task(one.run())
        await eventually(lambda: site.stands() == {"gw-0", "gw-1"})
        await eventually(lambda: one.states["gw-0"] == "in_progress")
        async with operator(broker.url, settle_s=0.05) as other:
            done = await other.withdraw({"gw-1": "d-1"}, 5)
        assert [(each.gateway, each.state, each.ok) for each in done] == [("gw-1", "cancelled", True)]
        assert await running == {"gw-0": "cancelled", "gw-1": "cancelled", "gw-2": "skipped"}


async def test_garbage_of_a_gateway_is_counted_and_has_no_effect(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path
) -> None:
    site = make_site(ways={"gw-0": "holds"})
    async with operating(broker, tmp_path) as one:
        running = asyncio.create_task(one.run())
        await eventually(lambda: one.states["gw-0"] == "in_progress")
        good = {"v": 1, "id": "d-1", "ver": 1, "state": "succeeded"}
        for body in (
            good | {"v": 2},
            good | {"state": "done"},
            good | {"id": "other"},
            good | {"ver": "1"},
            good | {"detail": []},
            good | {"ver": 0},
            [],
        ):
            site.raw("gw-0/job/d-1/status", json.dumps(body).encode())
        for payload in (b"", b"{", b"\xff", b"[" * 100_000, b'{"v":1,"detail":' + b"[" * 5000):
            site.raw("gw-0/job/d-1/status", payload)
        site.raw("gw-0/job/other/status", json.dumps(good | {"id": "other"}).encode())
        site.raw("gw-9/job/d-1/status", json.dumps(good).encode())
        site.raw("gw-0/status", b"nonsense", retain=True)
        await eventually(lambda: one.deploying.ignored >= 10, why=lambda: str(one.deploying.ignored))
        assert one.states["gw-0"] == "in_progress"
        site.finish("gw-0")
        assert await running == dict.fromkeys(NAMES, "succeeded")


async def test_words_about_a_version_that_was_never_sent_end_nothing(
    make_site: Callable[..., JobGateways], broker: Any, tmp_path: Path
) -> None:
    site = make_site(NAMES[:1], ways={NAMES[0]: "holds"})
    async with operating(broker, tmp_path, planned(waves=((NAMES[0],),))) as run:
        running = asyncio.create_task(run.run())
        await eventually(lambda: run.states == {NAMES[0]: "in_progress"})
        for state in ("failed", "succeeded"):
            body = {"v": 1, "id": "d-1", "ver": 99, "state": state}
            site.raw(f"{NAMES[0]}/job/d-1/status", json.dumps(body).encode())
        site.finish(NAMES[0], "cancelled", "the real end")
        assert await running == {NAMES[0]: "cancelled"}


async def test_canaries_have_to_be_well_for_the_soak(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path
) -> None:
    site = make_site(version="1.4.0")
    async with operating(broker, tmp_path, soak_s=0.6) as one:
        running = asyncio.create_task(one.run())
        await eventually(lambda: one.rollout.soak_until is not None)
        site.session += 1
        site.status("gw-0", online=True, version="1.3.0")
        states = await running
        assert "1.3.0" in one.rollout.stopped
    assert states == {"gw-0": "succeeded", **dict.fromkeys(NAMES[1:], "skipped")}
    assert [name for name, _ in site.begun] == ["gw-0"]


async def test_a_canary_that_falls_back_after_its_end_stops_the_next_wave_and_is_shown(
    broker: Any, make_site: Callable[..., JobGateways], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = make_site(NAMES[:2], ways=dict.fromkeys(NAMES[:2], "holds"))
    plan = planned(waves=[["gw-0"], ["gw-1"]], canaries=True)
    async with operating(broker, tmp_path, plan) as one:
        running = asyncio.create_task(one.run())
        await eventually(lambda: one.states["gw-0"] == "in_progress")
        site.finish("gw-0", slot="1.4.0-aa")
        await eventually(lambda: one.states["gw-1"] == "in_progress")
        site.session += 1
        site.status("gw-0", online=True, version="1.3.0", release="1.3.0-bb")
        assert await running == {"gw-0": "failed", "gw-1": "cancelled"}
        assert one.rollout.stopped == "gw-0 was a canary and had succeeded, and runs 1.3.0-bb since"
        ends = Record.load(tmp_path, "d-1").ends
    assert ends["gw-0"].detail["runs"] == "1.3.0-bb", "the last word is kept"
    site.raw("gw-0/job/next", json.dumps({"v": 1, "id": "d-1", "ver": 1, "op": "ota", "doc": {}}).encode(), retain=True)
    status = await asyncio.to_thread(main, ["fleet", "jobs", "--ask", "--url", broker.url])
    (shown,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("gw-0")]
    assert status == 0
    assert "fell back" in shown
    assert "runs 1.3.0-bb since" in shown


async def test_a_user_who_may_not_deploy_is_told(make_broker: Callable[..., Any], tmp_path: Path) -> None:
    """Refused outright, and where a broker says nothing: then the message does not come back."""
    mute = make_broker(acl="topic read fp/#\n")
    async with operating(mute, tmp_path, planned(waves=[["gw-0"]])) as one:
        with pytest.raises(BrokerRefuses, match="does not let this user publish fp/1/default/gw-0/job/next"):
            await one.run()
    deaf = make_broker(acl="topic readwrite fp/1/default/+/status\ntopic write fp/1/default/+/job/next\n")
    async with operating(deaf, tmp_path / "2", planned(waves=[["gw-0"]]), timeout_s=0.5) as two:
        with pytest.raises(BrokerRefuses, match="did not give it back within"):
            await two.run()


@pytest.fixture
def run(broker: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`run("deploy", ...)` gives (exit status, lines)."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "operator"))

    def call(*words: str) -> tuple[int, list[str]]:
        status = main(["fleet", *words, "--url", broker.url])
        captured = capsys.readouterr()
        return status, (captured.out + captured.err).splitlines()

    return call


def test_people_see_each_change_a_table_and_why_it_stopped(run: Any, make_site: Callable[..., JobGateways]) -> None:
    site = make_site(ways={"gw-1": "rolls back"}, offline=["gw-5"])
    words = ("deploy", "1.4.0", "--to", "gw-*", "--canary", "2", "--id", "d-1")
    status, lines = run(*words, "--dry-run")
    assert (status, lines[1].split()[:3], lines[-1]) == (0, ["wave", "gateway", "state"], "nothing was sent")
    assert [line.split()[:2] for line in lines[2:4]] == [["canary", "gw-0"], ["canary", "gw-1"]]
    assert site.begun == []
    status, lines = run(*words)
    assert status == 1
    assert "deployment d-1: ota releases/fieldpost-1.4.0.json for 6 gateways" in lines
    assert "gw-1: failed: rolled back: channel line1 is not up again" in lines
    assert "stopped: gw-1 was a canary and ended failed" in lines
    table = lines[lines.index(next(line for line in lines if line.startswith("wave"))) + 1 :]
    assert [line.split()[:3] for line in table[:6]] == [
        ["canary", "gw-0", "succeeded"],
        ["canary", "gw-1", "failed"],
        *(["1", f"gw-{number}", "skipped"] for number in (2, 3, 4, 5)),
    ]
    assert table[6] == "1 succeeded, 1 failed, 4 skipped"
