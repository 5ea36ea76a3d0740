"""Devices that discovery brought in, as a file of a generation: joined, refused, superseded by the folder."""

from __future__ import annotations

import json

import pytest

from gateway.errors import ConfigError
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files
from gateway.settings.plan import diff
from gateway.settings.provisioned import Provisioned, joined, provisioned_of

TAGS = {"tags": {"level": {"type": "float64"}}}
FOLDER = {
    "gateway.yaml": {"gateway": {"id": "gw"}},
    "channels/air.yaml": {"driver": "sim", "devices": {"own": TAGS}},
    "channels/other.yaml": {"driver": "sim", "devices": {"m{1..3}": TAGS}},
}
WATCH = {"r": {"match": {"name": "x*"}, "profile": "p"}}


def tree(**channels):
    files = {name: json.dumps(data).encode() for name, data in FOLDER.items()}
    return files | {f"channels/{name}.yaml": json.dumps(data).encode() for name, data in channels.items()}


def load(files, env=None):
    return load_files(files, Registry().load, env=env or {}, credentials=CredentialFolders(None, None))


def ids(settings):
    return {channel.id: [device.id for device in channel.devices] for channel in settings.channels}


def one(device="new", channel="air", keys=TAGS, profiles=None):
    return Provisioned().with_device(channel, device, keys, profiles or {})


def test_an_accepted_device_is_a_device_and_the_file_is_what_it_was_made_of():
    files = joined(tree(), one())
    settings = load(files)
    assert ids(settings)["air"] == ["own", "new"]
    assert settings.accepted == (("air", "new"),)
    assert provisioned_of(files) == one()
    assert diff(load(tree()), settings).channels_changed == ("air",)


def test_where_a_device_is_written_does_not_change_what_the_configuration_means():
    folder = tree(air={"driver": "sim", "devices": {"own": TAGS, "new": TAGS}})
    assert load(folder).hash == load(joined(tree(), one())).hash


@pytest.mark.parametrize(("device", "channel"), [("own", "air"), ("own", "other"), ("m2", "air"), ("new", "gone")])
def test_what_the_folder_has_by_now_and_what_has_no_channel_is_left_out(device, channel):
    settings = load(joined(tree(), one(device, channel)))
    assert settings.accepted == ()
    assert settings.hash == load(tree()).hash


def test_a_profile_comes_along_unless_the_folder_has_one_of_that_name():
    brought = one(keys={"profile": "p"}, profiles={"p": {"tags": {"a": {"type": "int16"}}}})
    assert [tag.path for tag in load(joined(tree(), brought)).channels[0].devices[1].tags] == ["a"]
    mine = tree() | {"profiles/p.yaml": b"p: {tags: {mine: {type: int16}}}\n"}
    assert [tag.path for tag in load(joined(mine, brought)).channels[0].devices[1].tags] == ["mine"]
    assert brought.without("air", "new") == Provisioned()


def test_what_a_profile_extends_stays_as_long_as_a_device_needs_it():
    profiles = {"large": {"tags": {}}, "small": {"extends": "large"}, "other": {"extends": "other"}}
    brought = Provisioned().with_device("air", "one", {"profile": "small"}, profiles)
    both = brought.with_device("air", "two", {"profile": "other"}, {})
    assert set(both.without("air", "two").profiles) == {"small", "large"}
    assert set(both.without("air", "one").profiles) == {"other"}


def test_a_wrong_one_is_refused_at_its_place():
    with pytest.raises(ConfigError) as error:
        load(joined(tree(), one(keys={**TAGS, "speed": 3})))
    (problem,) = error.value.problems
    assert (problem.file, problem.path) == ("provisioned.yaml", "channels.air.new.speed")
    assert problem.line > 1


def test_what_a_stranger_says_is_no_reference():
    keys = {**TAGS, "meta": {"said": "${env:SECRET}"}}
    with pytest.raises(ConfigError, match="no parameter `env`"):
        load(joined(tree(), one(keys=keys)), env={"SECRET": "1234"})


def test_what_two_devices_share_is_written_twice():
    both = one().with_device("air", "newer", TAGS, {})
    assert ids(load(joined(tree(), both)))["air"] == ["own", "new", "newer"]


@pytest.mark.parametrize(
    ("watch", "said"),
    [
        ({"r": {"match": {}}}, "would take everything"),
        ({"r": {"match": {"name": "/(/"}}}, "no regular expression"),
        ({"r": {"match": {"name": {"a": 1}}}}, "takes a pattern or a list"),
        ({"r": {"match": {"name": "x"}, "profil": "p"}}, "unknown key `profil`"),
        ({"r": {"match": {"name": "x"}, "profile": "p"}}, "there is no profile `p`"),
        ({"r": {"match": {"name": "x"}, "keys": {"speed": 3}}}, "unknown key `speed` of a device"),
        ({"r": {"match": {"name": "x"}, "keys": {"profile": "p"}}}, "stands beside `keys`"),
        ({"r": {"match": {"name": "x"}, "approve": "yes"}}, "approve"),
        ({"r": {"match": {"name": "x"}, "limit": 0}}, "limit"),
        ({"a b": {"match": {"name": "x"}}}, "is not an id"),
        ({"r": None}, "is empty"),
    ],
)
def test_a_wrong_rule_is_told_with_its_place(watch, said):
    with pytest.raises(ConfigError) as error:
        load(tree(air={"driver": "sim", "watch": watch}))
    assert any(said in problem.message and problem.file == "channels/air.yaml" for problem in error.value.problems)
    assert all(problem.line > 0 for problem in error.value.problems)


def test_other_rules_restart_nothing_and_are_told_in_the_plan():
    before = load(tree(air={"driver": "sim", "watch": {"r": {"match": {"name": "x"}}}}))
    after = load(tree(air={"driver": "sim", "watch": {"r": {"match": {"name": "y", "port": 300}}}}))
    plan = diff(before, after)
    assert plan.touched() == ()
    assert plan.lines() == ["~ watch rules of channel air change"]
    assert not plan.is_empty
    assert before.hash != after.hash
    assert after.watch[0].match == (("name", ("y",)), ("port", ("300",)))
