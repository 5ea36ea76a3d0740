"""The rules of a deployment without a broker: fed with words and times, asked what has to stand where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fleet import FleetError
from gateway.fleet.course import End
from gateway.fleet.deployment import Deployment, Record
from gateway.fleet.jobboard import JobBoard
from gateway.fleet.jobwire import ENDS, JobStatus, parse_job, parse_status
from gateway.fleet.rollout import Limits, Rollout
from gateway.fleet.waves import Waves
from gateway.mqttclient.connection import Inbound

ABCD = (("a",), ("b", "c"), ("d",))


def rolling(waves: Sequence[Sequence[str]] = ABCD, *, canaries: bool = True, **limits: float) -> Rollout:
    values = {"within_s": 100, "answer_s": 10, **limits}
    made = Rollout(Waves(tuple(map(tuple, waves)), canaries), Limits(**values))  # type: ignore[arg-type]
    for course in made.courses.values():
        course.see(online=True, version="1.0", now=0)
    made.step(0)
    return made


def says(rollout: Rollout, gateway: str, state: str, now: float, step: str = "", **detail: object) -> None:
    code = detail.get("code")
    status = JobStatus(
        "j", 1, state, step, None, None, str(detail.get("text", "")), code if isinstance(code, int) else None
    )
    rollout.hear(gateway, status, now)
    rollout.step(now)


def sent(rollout: Rollout) -> set[str]:
    return {name for name, course in rollout.courses.items() if course.active and course.withdrawn_at is None}


def test_a_wave_begins_when_the_one_before_has_ended() -> None:
    rollout = rolling()
    assert sent(rollout) == {"a"}
    says(rollout, "a", "in_progress", 1)
    assert sent(rollout) == {"a"}
    says(rollout, "a", "succeeded", 2)
    assert sent(rollout) == {"b", "c"}
    says(rollout, "b", "succeeded", 3)
    assert sent(rollout) == {"c"}
    says(rollout, "c", "succeeded", 4)
    assert sent(rollout) == {"d"}
    says(rollout, "d", "succeeded", 5)
    assert rollout.done
    assert rollout.stopped == ""


def test_the_rest_begins_when_the_soak_is_over() -> None:
    rollout = rolling(soak_s=60)
    says(rollout, "a", "succeeded", 5)
    rollout.step(64.9)
    assert sent(rollout) == set()
    rollout.step(65)
    assert sent(rollout) == {"b", "c"}


def test_canaries_alone_are_watched_too() -> None:
    rollout = rolling((("a",),), soak_s=60)
    says(rollout, "a", "succeeded", 5)
    assert not rollout.done
    rollout.courses["a"].see(online=False, version=None, now=30)
    rollout.step(66)
    assert rollout.done
    assert "offline after the soak" in rollout.stopped


def kept(rollout: Rollout, gateway: str, now: float) -> None:
    """A release is kept there."""
    detail = {"slot": "1.4.0-aa", "rolled_back": False}
    rollout.hear(gateway, JobStatus("j", 1, "succeeded", detail=detail), now)
    rollout.step(now)


def runs(rollout: Rollout, gateway: str, release: str | None, now: float, *, online: bool = True) -> None:
    rollout.courses[gateway].see(online=online, version="1.3.0", release=release, now=now)
    rollout.step(now)


def test_a_canary_that_gives_its_release_up_later_stops_the_waves_that_follow() -> None:
    rollout = rolling(most_failures=9)
    runs(rollout, "a", "1.3.0-bb", 1)  # as it was before
    kept(rollout, "a", 2)
    says(rollout, "b", "in_progress", 3)
    for harmless in ("1.4.0-aa", None):
        runs(rollout, "a", harmless, 4)
    runs(rollout, "a", "1.3.0-bb", 5, online=False)
    assert sent(rollout) == {"b", "c"}
    runs(rollout, "a", "1.3.0-bb", 6)
    assert rollout.stopped == "a was a canary and had succeeded, and runs 1.3.0-bb since"
    end = rollout.courses["a"].end
    assert end is not None
    assert (end.state, end.detail["slot"], end.detail["runs"]) == ("failed", "1.4.0-aa", "1.3.0-bb")
    assert sent(rollout) == set()
    kept(rollout, "a", 7)  # told again with its connection
    assert rollout.courses["a"].state == "failed"
    assert rollout.courses["d"].state == "skipped"


def test_of_the_others_as_many_may_give_their_release_up_as_may_fail() -> None:
    rollout = rolling((("a", "b"), ("c",)), canaries=False, most_failures=1)
    kept(rollout, "a", 1)
    runs(rollout, "a", "1.3.0-bb", 2)
    assert not rollout.stopped
    kept(rollout, "b", 3)
    assert sent(rollout) == {"c"}
    runs(rollout, "b", "1.3.0-bb", 4)
    assert "2 failed (a, b), 1 may" in rollout.stopped


def test_what_is_no_release_is_not_measured_by_what_runs() -> None:
    rollout = rolling()
    says(rollout, "a", "succeeded", 1)
    runs(rollout, "a", "1.3.0-bb", 2)
    assert rollout.courses["a"].state == "succeeded"


@pytest.mark.parametrize("state", sorted(ENDS - {"succeeded"}))
def test_no_canary_may_end_otherwise_than_well(state: str) -> None:
    rollout = rolling(most_failures=9)
    says(rollout, "a", state, 1)
    assert rollout.done
    assert {course.state for course in rollout.courses.values()} == {state, "skipped"}


def test_a_canary_that_goes_away_before_it_said_anything_is_waited_for_and_then_failed() -> None:
    rollout = rolling()
    rollout.courses["a"].see(online=False, version=None, now=1)
    rollout.step(50)
    assert not rollout.done
    rollout.step(101)
    assert rollout.courses["a"].state == "timed_out"
    assert "canary" in rollout.stopped


def test_the_number_of_failures_that_may_be() -> None:
    rollout = rolling((("a", "b", "c"), ("d",)), canaries=False, most_failures=1)
    says(rollout, "a", "failed", 1)
    assert not rollout.stopped
    says(rollout, "b", "rejected", 2)
    assert "2 failed (a, b), 1 may" in rollout.stopped
    assert rollout.courses["d"].state == "skipped"
    assert not rollout.done, "c has its job still"
    says(rollout, "c", "cancelled", 3)
    assert rollout.done


@pytest.mark.parametrize(("step", "code"), [("trial", None), ("gates", None), ("stage", 409)])
def test_what_cannot_be_cancelled_is_waited_for(step: str, code: int | None) -> None:
    rollout = rolling((("a", "b"),), canaries=False)
    says(rollout, "b", "in_progress", 1, step, code=code)
    says(rollout, "a", "failed", 2)
    assert sent(rollout) == {"b"}
    rollout.step(50)
    assert not rollout.done
    says(rollout, "b", "succeeded", 60)
    assert rollout.done


def test_what_said_nothing_yet_is_cancelled_by_taking_it_out() -> None:
    rollout = rolling((("a", "b", "c"),), canaries=False, offline_s=50)
    rollout.courses["c"].see(online=False, version=None, now=0)
    says(rollout, "a", "failed", 2)
    assert sent(rollout) == set()
    assert rollout.courses["c"].state == "cancelled", "it cannot know of it"
    assert not rollout.done, "b may have begun it"
    rollout.step(12)
    assert rollout.done


def test_the_first_word_is_owed_from_when_a_gateway_is_online() -> None:
    rollout = rolling((("a", "b"),), canaries=False, offline_s=60, most_failures=9)
    course = rollout.courses["a"]
    course.see(online=False, version=None, now=5)
    rollout.step(30)
    course.see(online=True, version=None, now=40)
    rollout.step(49)
    assert course.state == "sent"
    assert rollout.courses["b"].state == "failed"
    rollout.step(50)
    assert course.state == "failed"


def test_a_gateway_that_is_away_is_pending_and_counts_again_when_it_is_back() -> None:
    rollout = rolling((("a",), ("b",)), canaries=False, offline_s=20)
    course = rollout.courses["a"]
    course.see(online=False, version=None, now=1)
    rollout.step(20)
    assert not course.pending
    rollout.step(21)
    assert course.pending
    assert sent(rollout) == {"a", "b"}, "its job stays at the broker"
    says(rollout, "a", "in_progress", 300)
    assert not course.pending
    rollout.step(399)
    assert course.state == "in_progress"
    rollout.step(400)
    assert course.state == "timed_out"


def test_nobody_is_blamed_for_the_time_without_a_broker() -> None:
    rollout = rolling((("a",),), canaries=False)
    rollout.pause(500)
    rollout.step(505)
    assert rollout.courses["a"].state == "sent"
    rollout.step(510)
    assert rollout.courses["a"].state == "failed"


def test_the_first_end_counts_and_lower_versions_do_not() -> None:
    rollout = rolling((("a", "b"),), canaries=False)
    says(rollout, "a", "succeeded", 1)
    says(rollout, "a", "failed", 2)
    assert rollout.courses["a"].state == "succeeded"
    assert not rollout.hear("b", JobStatus("j", 0, "queued"), 1) or rollout.courses["b"].state == "queued"
    says(rollout, "b", "in_progress", 2)
    assert not rollout.hear("b", JobStatus("j", 0, "failed"), 3)
    assert rollout.courses["b"].state == "in_progress"


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from([*sorted(ENDS), "queued", "in_progress", "off", "on"])),
        max_size=40,
    )
)
def test_whatever_is_said_it_comes_to_an_end_and_sends_nothing_after_a_stop(words: list[tuple[str, str]]) -> None:
    rollout = rolling(offline_s=5, soak_s=1)
    begun: set[str] = set()
    now = 0.0
    for gateway, word in words:
        now += 3
        stopped = rollout.stopped
        if word in {"on", "off"}:
            rollout.courses[gateway].see(online=word == "on", version=None, now=now)
            rollout.step(now)
        else:
            says(rollout, gateway, word, now)
        fresh = sent(rollout) - begun
        assert not (stopped and fresh)
        begun |= fresh
    for _ in range(10):
        now += 200
        rollout.step(now)
    assert rollout.done
    assert not rollout.stopped or all(course.end is not None for course in rollout.courses.values())


def deployment(name: str = "d-1") -> Deployment:
    return Deployment(
        id=name,
        tenant="default",
        op="restart",
        label="restart",
        docs={"": {}},
        waves=ABCD,
        canaries=True,
        made=1,
        exp=9,
    )


def test_a_record_survives_a_torn_line_and_gives_back_what_was(tmp_path: Path) -> None:
    record = Record.create(tmp_path, deployment())
    record.note_sent("a", 5)
    record.note_end("a", 6, End("succeeded", "", 200, {"to": "1.4"}))
    with record.path.open("ab") as file:
        file.write(b'{"gateway":"b","ts":7')
    Record.load(tmp_path, "d-1").note_sent("c", 8)
    again = Record.load(tmp_path, "d-1")
    assert again.deployment == deployment()
    assert again.sent == {"a": 5, "c": 8}
    assert again.ends == {"a": End("succeeded", "", 200, {"to": "1.4"})}
    rollout = Rollout(again.deployment.division, Limits(within_s=100, soak_s=50))
    rollout.resume(again.ends, again.sent, 1000)
    rollout.step(1001)
    assert sent(rollout) == {"b", "c"}, "the canary had its soak, since others were sent theirs after it"


def test_what_was_not_sent_or_was_taken_out_is_sent_when_a_stopped_deployment_goes_on(tmp_path: Path) -> None:
    record = Record.create(tmp_path, deployment())
    for name, state in (("a", "succeeded"), ("b", "failed"), ("c", "cancelled")):
        record.note_sent(name, 5)
        record.note_end(name, 6, End(state))
    record.note_end("d", 7, End("skipped"))
    again = Record.load(tmp_path, "d-1")
    assert set(again.ends) == {"a", "b"}
    for may, begun in ((0, set()), (1, {"c"})):
        rollout = Rollout(again.deployment.division, Limits(within_s=100, most_failures=may))
        rollout.resume(again.ends, again.sent, 1000)
        for course in rollout.courses.values():
            course.see(online=True, version="1.0", now=1000)
        rollout.step(1001)
        assert sent(rollout) == begun
    says(rollout, "c", "succeeded", 1002)
    assert sent(rollout) == {"d"}


def test_a_record_that_is_there_or_is_none_is_told(tmp_path: Path) -> None:
    Record.create(tmp_path, deployment())
    with pytest.raises(FleetError, match="--resume"):
        Record.create(tmp_path, deployment())
    with pytest.raises(FleetError, match="no deployment d-2 was made here"):
        Record.load(tmp_path, "d-2")
    (tmp_path / "d-3.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(FleetError, match="no record of a deployment"):
        Record.load(tmp_path, "d-3")


def test_a_job_goes_over_the_wire_and_comes_back() -> None:
    job = deployment().job("a")
    assert parse_job(deployment().payload("a")) == job
    huge = Deployment(
        id="d",
        tenant="t",
        op="config",
        label="x",
        docs={"": {"tree": {"a": "x" * 70_000}}},
        waves=ABCD,
        canaries=True,
        made=1,
    )
    with pytest.raises(FleetError, match="65536 are allowed") as refused:
        huge.payload("a")
    assert refused.value.code == 413


@given(st.binary(max_size=200))
def test_rubbish_is_no_status_and_no_job(payload: bytes) -> None:
    assert parse_status(payload) is None or payload.startswith(b"{")
    assert parse_job(payload) is None or payload.startswith(b"{")


def test_a_status_is_read_with_its_text_and_within_bounds() -> None:
    status = parse_status(
        b'{"v":1,"id":"j","ver":1,"state":"failed","step":"trial","percent":140.4,"detail":{"reason":"line1 down","code":500}}'
    )
    assert status == JobStatus(
        "j", 1, "failed", "trial", 100, None, "line1 down", 500, {"reason": "line1 down", "code": 500}
    )
    long = parse_status(b'{"v":1,"id":"j","ver":1,"state":"failed","detail":{"text":"' + b"x" * 5000 + b'"}}')
    assert long is not None
    assert len(long.text) == 500


def test_words_about_a_version_that_does_not_stand_there_are_not_shown() -> None:
    board = JobBoard()

    def comes(topic: str, **body: object) -> None:
        board.take(Inbound(f"fp/1/t/gw/job/{topic}", json.dumps({"v": 1, "id": "j", **body}).encode(), True, 1, 0))

    comes("next", ver=1, op="restart", doc={})
    comes("j/status", ver=99, state="failed")
    assert board.said("gw") is None
    comes("j/status", ver=1, state="in_progress")
    comes("j/status", ver=99, state="succeeded")
    said = board.said("gw")
    assert said is not None
    assert said.state == "in_progress"
