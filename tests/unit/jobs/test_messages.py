"""What is a job, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.jobs.messages import MAX_PAYLOAD, JobMessage, NoJob, parse_job
from gateway.uplink.joblink import fitting

GOOD = {"v": 1, "id": "j-0815", "ver": 3, "op": "ota", "doc": {"target": "releases/a.json"}, "exp": 1_795_086_400_000}


def body(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def test_a_job_says_what_is_wanted() -> None:
    job = parse_job(body())
    assert isinstance(job, JobMessage)
    assert (job.id, job.ver, job.op, job.doc["target"], job.exp) == ("j-0815", 3, "ota", "releases/a.json", GOOD["exp"])


def test_two_jobs_are_the_same_by_op_and_doc_whatever_the_order_of_keys() -> None:
    first, second, third = (
        parse_job(body(doc=doc, exp=exp)) for doc, exp in (({"a": 1, "b": 2}, 5), ({"b": 2, "a": 1}, 6), ({"a": 1}, 5))
    )
    assert isinstance(first, JobMessage)
    assert isinstance(second, JobMessage)
    assert isinstance(third, JobMessage)
    assert first.digest == second.digest != third.digest


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"url": "http://192.0.2.1/x"}, "url: a job has no such key"),
        ({"sha256": "00"}, "sha256: a job has no such key"),
        ({"v": 2}, "v: version 2"),
        ({"ver": 0}, "ver: "),
        ({"ver": True}, "ver: "),
        ({"ver": 1.5}, "ver: "),
        ({"op": "../x"}, "op: "),
        ({"op": ""}, "op: "),
        ({"doc": []}, "doc: "),
        ({"doc": None}, "doc: "),
        ({"exp": "tomorrow"}, "exp: "),
        ({"exp": -1}, "exp: "),
        ({"doc": {"a": [[[[[[[[[1]]]]]]]]]}}, "doc: nested"),
    ],
)
def test_what_is_no_job_is_refused_with_the_field_and_can_be_answered(changes: dict[str, Any], text: str) -> None:
    refused = parse_job(body(**changes))
    assert isinstance(refused, NoJob)
    assert refused.code == 400
    assert refused.text.startswith(text)
    assert refused.id == "j-0815"
    assert refused.ver == (0 if "ver" in changes else 3)


@pytest.mark.parametrize("id_", ["", "a/b", "a+", "#", "-a", "a" * 65, "ä", 5, None, ["a"], "a\n"])
def test_an_id_that_is_none_is_never_part_of_a_topic(id_: object) -> None:
    refused = parse_job(body(id=id_))
    assert isinstance(refused, NoJob)
    assert refused.id == ""


@pytest.mark.parametrize(
    "payload", [b"{", b"[]", b"null", b"1" * 5000, b'{"v":1}', b"\xff\xfe", b"[" * 20_000, b'{"v":' + b"[" * 20_000]
)
def test_rubbish_is_refused(payload: bytes) -> None:
    refused = parse_job(payload)
    assert isinstance(refused, NoJob)
    assert (refused.id, refused.ver) == ("", 0)


@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('["}",{"id":"inner","ver":9,"b\\"":', "}]")]
)
def test_a_job_that_no_reader_of_json_gets_through_can_be_answered(opening: str, closing: str) -> None:
    doc = '"doc":{"a":' + opening * 1500 + "1" + closing * 1500 + "}"
    for told in ('"id":"j-1","ver":3,' + doc, doc + ',"ver":3 , "id" : "j-1"'):
        refused = parse_job(b'{"v":1,"op":"config",' + told.encode() + b"}")
        assert refused == NoJob("j-1", 3, 400, "doc: nested in more than 8 levels")
    other = parse_job(b'{"v":1,"id":"j-1","ver":3,"doc":' + b"[" * 1500 + b"]" * 1500 + b"}")
    assert other == NoJob("j-1", 3, 400, "doc: Expected `object`, got `array`")
    for unanswered in (doc + ',"id":["j-1"]}', '"v":1,"id":"j-1","ver":3,' + doc):
        assert parse_job(b"{" + unanswered.encode()) == NoJob("", 0, 400, refused.text)


def test_a_job_that_is_too_long_is_told_so() -> None:
    assert isinstance(parse_job(body(doc={"tree": {"a.yaml": "x" * (MAX_PAYLOAD - 200)}})), JobMessage)
    refused = parse_job(body(doc={"tree": {"a.yaml": "x" * MAX_PAYLOAD}}))
    assert isinstance(refused, NoJob)
    assert (refused.id, refused.ver, refused.code) == ("j-0815", 3, 413)


def test_a_status_that_is_too_long_for_an_uplink_says_where_the_rest_is() -> None:
    status = {"v": 1, "id": "j1", "ver": 1, "state": "failed", "step": "validate", "ts": 5}
    whole = {**status, "detail": {"text": "no", "code": 422, "errors": ["x" * 100] * 50}}
    assert json.loads(fitting(whole, 10_000)) == whole
    short = fitting(whole, 1_000)
    assert len(short) <= 1_000
    assert json.loads(short)["detail"]["code"] == 422
    assert "fieldpost jobs" in json.loads(short)["detail"]["text"]
