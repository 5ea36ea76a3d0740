"""Settings: what cannot work is found without a network, at its place; no library is loaded for that."""

from __future__ import annotations

import subprocess
import sys

import pytest

from drivers.http import SPEC
from drivers.http.target import below
from tests.drivers.http.kit import channel_of, tag_spec

SET = {"path": "/set", "body": {"v": "$value"}}


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"url": "tcp://192.0.2.1:80"}, "url"),
        ({"url": "http://name:word@192.0.2.1"}, "url"),
        ({"url": "http://192.0.2.1:99999"}, "url"),
        ({"url": "http://[::1"}, "url"),
        ({"url": "http://192.0.2.1/?x"}, "url"),
        ({"fingerprint": "00" * 32}, "fingerprint"),
        ({"url": "https://h", "fingerprint": "0011"}, "fingerprint"),
        ({"token": "a", "username": "b"}, "token"),
        ({"token": "a\nb"}, "token"),
        ({"password": "a"}, "password"),
        ({"auth": "digest"}, "auth"),
        ({"username": "a:b"}, "username"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": {"X Y": "x"}}, "headers"),
        ({"headers": {"X-Y": "a\r\nb"}}, "headers"),
        ({"redirects": 11}, "redirects"),
        ({"max_answer": 1}, "max_answer"),
        ({"device": {"base": "solar"}}, "devices.plug.base"),
        ({"device": {"time": "a..b"}}, "devices.plug.time"),
        ({"device": {"timezone": "Mars/Base"}}, "devices.plug.timezone"),
    ],
)
def test_what_is_wrong_with_a_channel_is_told_at_its_place(keys, place) -> None:
    assert [fault.path for fault in SPEC.check(channel_of(80, tag_spec("x", json="v"), **keys))] == [place]


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"at": "status"}, ".path"),
        ({"at": "/a b"}, ".path"),
        ({"at": "/a\r\nX: y"}, ".path"),
        ({"json": "a[x"}, ".json"),
        ({"json": "a]"}, ".json"),
        ({"kind": "object"}, ".json"),
        ({"regex": "("}, ".regex"),
        ({"regex": "(a)(b)"}, ".regex"),
        ({"if_null": "no number"}, ".if_null"),
        ({"access": "rw"}, ".set"),
        ({"set": SET}, ".set"),
        ({"access": "rw", "set": {"path": "/x"}}, ".set"),
        ({"access": "rw", "set": {"method": "GET", "body": "$value"}}, ".set.body"),
        ({"access": "rw", "set": {**SET, "on": "x"}}, ".set.on"),
    ],
)
def test_what_is_wrong_with_a_tag_is_told_at_its_place(keys, place) -> None:
    spec = channel_of(80, tag_spec("x", **keys))
    assert [fault.path for fault in SPEC.check(spec)] == [f"devices.plug.tags.x{place}"]


def test_a_configuration_is_looked_at_without_any_library_of_the_protocol() -> None:
    code = "import sys, drivers.http; sys.exit(bool({'h11', 'regex'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.parametrize(
    ("parts", "path"), [(("", ""), "/"), (("/a/", "/b"), "/a/b"), (("/a", "?x=1"), "/a?x=1"), (("", "/b/"), "/b/")]
)
def test_paths_are_put_together(parts, path) -> None:
    assert below(*parts) == path
