"""The description of a release: bounded, exact, and the reasons why a machine cannot run it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.ota.release import (
    Machine,
    ReleaseRefused,
    check_fit,
    parse_release,
    slot_name,
    this_machine,
    version_key,
)

WHEEL = {"name": "a", "version": "1", "file": "wheels/a-1-py3-none-any.whl", "size": 5, "sha256": "0" * 64}
GOOD: dict[str, Any] = {"schema": 1, "kind": "runtime", "name": "fieldpost", "version": "1.4.0", "wheels": [WHEEL]}
BOX = Machine("linux_aarch64", "cp311", "2.36", "1.2.0", 4, 2, (3, 5))


def parsed(**keys: Any) -> Any:
    return parse_release(json.dumps(GOOD | keys).encode())


def test_a_good_description_is_read() -> None:
    release = parsed(drivers=[WHEEL | {"name": "b", "file": "drivers/acme/b-1.whl"}])
    assert (release.target, len(release.files)) == ("releases/fieldpost-1.4.0.json", 2)


@pytest.mark.parametrize(
    "keys",
    [
        {"schema": 2},
        {"kind": "os-rauc"},
        {"version": "1.4.0/../.."},
        {"version": "latest"},
        {"name": "../x"},
        {"wheels": []},
        {"wheels": [WHEEL, WHEEL]},
        {"wheels": [WHEEL] * 401},
        {"wheels": [WHEEL | {"file": "wheels/../../etc/passwd.whl"}]},
        {"wheels": [WHEEL | {"file": "/etc/a.whl"}]},
        {"wheels": [WHEEL | {"file": "wheels/a.tar"}]},
        {"wheels": [WHEEL | {"size": -1}]},
        {"wheels": [WHEEL | {"size": 10**12}]},
        {"wheels": [WHEEL | {"sha256": "0" * 63}]},
        {"wheels": [WHEEL | {"sha256": "Z" * 64}]},
        {"wheels": [WHEEL | {"url": "http://evil.example"}]},
        {"url": "http://evil.example"},
        {"rollback_index": -1},
        {"health": {"tries": 0}},
        {"health": {"confirm_s": 10**9}},
        {"sbom": {"file": "../sbom.json", "sha256": "0" * 64}},
        {"compatible": {"platforms": "linux_aarch64"}},
    ],
)
def test_what_is_no_release_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ReleaseRefused) as caught:
        parsed(**keys)
    assert caught.value.reason == "description"


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_without_another_exception(raw: bytes) -> None:
    with pytest.raises(ReleaseRefused):
        parse_release(raw)


def test_deep_and_large_descriptions_are_refused() -> None:
    for raw in (b"[" * 100_000, b'{"a":' * 50_000, b" " * 600_000):
        with pytest.raises(ReleaseRefused):
            parse_release(raw)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"compatible": {"platforms": ["linux_x86_64"]}}, "platform"),
        ({"compatible": {"python": ["cp313"]}}, "python"),
        ({"compatible": {"glibc_min": "2.41"}}, "glibc"),
        ({"compatible": {"min_from": "1.3.0"}}, "min_from"),
        ({"compatible": {"state_schema": [5, 6]}}, "schema"),
        ({"compatible": {"state_schema": [4, 6], "state_writes": 6}}, "schema"),
        ({"rollback_index": 1}, "rollback"),
    ],
)
def test_each_reason_why_it_does_not_fit_is_told(keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(ReleaseRefused) as caught:
        check_fit(parsed(**{"rollback_index": 2, **keys}), BOX)
    assert caught.value.reason == reason


def test_a_release_for_this_machine_fits_it() -> None:
    here = this_machine()
    fitting = {"platforms": [here.platform], "python": [here.python], "glibc_min": "2.17"}
    check_fit(parsed(compatible=fitting), here)
    check_fit(
        parsed(rollback_index=2, compatible={"glibc_min": "2.36", "min_from": "1.2", "state_schema": [4, 4]}), BOX
    )


def test_a_release_may_write_what_the_one_that_runs_reads() -> None:
    check_fit(parsed(rollback_index=2, compatible={"state_schema": [4, 6], "state_writes": 5}), BOX)


def test_a_machine_without_glibc_does_not_fit_where_one_is_needed() -> None:
    with pytest.raises(ReleaseRefused):
        check_fit(parsed(rollback_index=2, compatible={"glibc_min": "2.17"}), replace(BOX, glibc=""))


def test_versions_are_in_their_order() -> None:
    order = ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.0.1", "1.9", "1.10", "2.0"]
    assert sorted(order, key=version_key) == order
    assert version_key("1.0") == version_key("1.0.0")


def test_equal_content_has_an_equal_slot_and_other_content_another() -> None:
    raw, other = json.dumps(GOOD).encode(), json.dumps(GOOD | {"created": "x"}).encode()
    assert slot_name(parse_release(raw), raw) == slot_name(parse_release(raw), raw)
    assert slot_name(parse_release(raw), raw) != slot_name(parse_release(other), other)
    assert slot_name(parse_release(raw), raw).startswith("1.4.0-")
