"""Whatever comes as a desired document or a patch: taken, or refused with a code, and never anything else."""

import json
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.canonical import canonical
from gateway.shadows import messages, paths
from gateway.shadows.values import ShadowError
from tests.support.scale import scaled
from tests.unit.shadows.kit import NOW

GOOD = (
    b'{"v":1,"ver":12,"state":{"set":{"temp":21.5},"mode":"auto","fan":true},"meta":{"set.temp":[12,17],"mode":[9,17]}}'
)
PATCH = b'{"v":1,"ver":13,"rid":"p-19","if_ver":12,"state":{"set":{"temp":22.0},"fan":null}}'


def parse(payload):
    """Both ways of reading; what is taken can be stored and hashed."""
    for read in (lambda: messages.parse_document(payload, NOW).leaves, lambda: messages.parse_patch(payload).values):
        try:
            found = read()
        except ShadowError as error:
            assert error.code in (400, 413)
            continue
        for path, leaf in found.items():
            canonical(getattr(leaf, "value", leaf))
            paths.check_path(path)


def test_a_document_and_a_patch_are_read_as_written():
    whole = messages.parse_document(GOOD, NOW)
    assert (whole.ver, whole.own_versions) == (12, True)
    rows = {path: (leaf.value, leaf.ver, leaf.ts) for path, leaf in whole.leaves.items()}
    assert rows == {"set.temp": (21.5, 12, 17), "mode": ("auto", 9, 17), "fan": (True, 12, NOW)}
    patch = messages.parse_patch(PATCH)
    assert patch == messages.Patch({"set.temp": 22.0, "fan": None}, 13, 12, "p-19")


def test_unknown_keys_are_ignored():
    assert messages.parse_document(b'{"v":1,"ver":1,"state":{},"new":{"a":1}}', NOW).leaves == {}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"v":1,"state":{"a":1}}',
        b'{"v":1,"ver":null,"state":{}}',
        b'{"v":1,"ver":0,"state":{}}',
        b'{"v":1,"ver":-1,"state":{}}',
        b'{"v":1,"ver":true,"state":{}}',
        b'{"v":1,"ver":1.5,"state":{}}',
        b'{"v":1,"ver":9007199254740992,"state":{}}',
        b'{"v":2,"ver":1,"state":{}}',
        b'{"ver":1,"state":{}}',
        b'{"v":1,"ver":1,"state":[]}',
        b'{"v":1,"ver":1,"state":{"a":1e400}}',
        b'{"v":1,"ver":1,"state":{"a":NaN}}',
        b'{"v":1,"ver":3,"state":{"a":1},"meta":{"a":[4,1]}}',
        b'{"v":1,"ver":3,"state":{"a":1},"meta":{"a":[0,1]}}',
        b'{"v":1,"ver":3,"state":{"a":1},"meta":{"a":[true,1]}}',
        b'{"v":1,"ver":3,"state":{"a":1},"meta":{"a":[1]}}',
        b'{"v":1,"ver":3,"state":{"a":1},"meta":{"a":[1,-1]}}',
        b'{"v":1,"ver":3,"state":{"a":1},"meta":[]}',
        b"null",
        b"",
    ],
)
def test_a_document_that_cannot_be_meant_is_refused_with_400(payload):
    with pytest.raises(ShadowError) as error:
        messages.parse_document(payload, NOW)
    assert error.value.code == 400


@pytest.mark.parametrize("rid", ['""', '"a b"', '"a/b"', f'"{"x" * 65}"', "7", '"a\\n"'])
def test_a_patch_with_a_rid_that_is_no_id_is_refused(rid):
    with pytest.raises(ShadowError) as error:
        messages.parse_patch(b'{"v":1,"ver":1,"state":{},"rid":' + rid.encode() + b"}")
    assert error.value.code == 400


def test_a_payload_beyond_the_limit_is_not_read():
    with pytest.raises(ShadowError) as error:
        messages.parse_patch(b" " * (paths.HARD_BYTES * 2 + 1))
    assert error.value.code == 413


def test_deep_nesting_is_refused_and_not_followed():
    for payload in (b'{"v":1,"ver":1,"state":' + b'{"a":' * 5000 + b"1" + b"}" * 5001, b"[" * 60_000):
        parse(payload)
    deep = b'{"v":1,"ver":1,"state":{"a":' + b"[" * 900 + b"]" * 900 + b"}}"
    with pytest.raises(ShadowError):
        messages.parse_document(deep, NOW)


@settings(max_examples=scaled(300, 50_000), deadline=None)
@given(st.binary(max_size=200))
def test_garbage_raises_nothing_but_a_shadow_error(payload):
    parse(payload)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=scaled(300, 50_000), deadline=None)
@given(st.fixed_dictionaries({"v": st.just(1), "state": _JSON}, optional={"ver": _JSON, "meta": _JSON, "rid": _JSON}))
@example({"v": 1, "ver": 1, "state": {"a": "\ud800"}})
@example({"v": 1, "ver": 1, "state": {"a": {"\ud800": []}}})
@example({"v": 1, "ver": 1, "state": {"a": [{"\ud800": 1}]}})
def test_any_json_raises_nothing_but_a_shadow_error(body):
    parse(json.dumps(body).encode("utf-8", "surrogatepass"))


def test_truncated_and_bit_flipped_messages_raise_nothing_but_a_shadow_error():
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for message in (GOOD, PATCH):
        for end in range(len(message)):
            parse(message[:end])
        for _ in range(scaled(1_000, 100_000)):
            flipped = bytearray(message)
            for _ in range(rng.randint(1, 3)):
                flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
            try:
                parse(bytes(flipped))
            except Exception as error:
                raise AssertionError(f"seed {seed}: {bytes(flipped)!r}") from error
