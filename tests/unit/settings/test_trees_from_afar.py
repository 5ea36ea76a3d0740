"""What a tree that a job brings may not be: no path of a configuration, a way to this machine's files, a closed door."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.registry import Registry
from gateway.settings import afar, load_files
from gateway.settings.credentials import credentials_of
from gateway.settings.types import GatewaySettings

GATEWAY = """\
gateway: {id: gw}
uplinks:
  cloud: {urls: ["mqtts://127.0.0.1:8883"], tls: {ca: /etc/ssl/site.pem}, username: "${env:SITE}"}
"""


def load(text: str) -> GatewaySettings:
    env = {"SITE": "hall", "HOME": "/root"}
    files = {"gateway.yaml": text}
    return load_files(files, Registry().load, env=env, credentials=credentials_of(Path("/nowhere")), base=Path("/base"))


def refused(what: ConfigError) -> list[str]:
    return [str(problem) for problem in what.problems]


@pytest.mark.parametrize(
    "name",
    [
        "../gateway.yaml", "/etc/passwd", "channels/../gateway.yaml", "channels/a/b.yaml", "channels\\a.yaml", "other.yaml",
        "chanels/a.yaml", "channels/.a.yaml", "channels/a.txt", "rules/a.json", "profiles/pump.cases.yaml", "", "channels/",
        "channels/a\n.yaml", "provisioned.yaml", "credentials/key", "channels/" + "a" * 300 + ".yaml",
        "channels/\ud800.yaml", "gateway.yml", ".fieldpost-write.json",
    ],
)  # fmt: skip
def test_a_path_that_no_configuration_has_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        afar.tree_of({"gateway.yaml": GATEWAY, name: "x: 1\n"})
    assert len(caught.value.problems) == 1


def test_a_whole_tree_comes_out_as_it_is() -> None:
    tree = {"gateway.yaml": GATEWAY, "channels/Line 1.yml": "ä", "channels/edgex.json": "{}", "rules/r.yaml": "", "alarms/a.yaml": ""}  # fmt: skip
    assert afar.tree_of(tree) == {name: text.encode() for name, text in tree.items()}


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"channels/a.yaml": "x"},
        {"gateway.yaml": 5},
        {"gateway.yaml": None},
        {"gateway.yaml": "\ud800"},
        {"gateway.yaml": "#" * (afar.MAX_BYTES + 1)},
        {"gateway.yaml": "", **{f"rules/r{number}.yaml": "" for number in range(2001)}},
    ],
)
def test_what_is_no_tree_is_refused(tree: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        afar.tree_of(tree)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("/etc/ssl/site.pem", "/etc/shadow", "gateway.yaml:3:55: "),
        ("/etc/ssl/site.pem", "../../etc/shadow", "gateway.yaml:3:55: "),
        ("/etc/ssl/site.pem", '"${env:SITE}/x"', "gateway.yaml:3:55: "),
        ("/etc/ssl/site.pem", '"~/key"', "gateway.yaml:3:55: "),
        ("${env:SITE}", "${env:HOME}", "gateway.yaml:3:85: "),
        ("${env:SITE}", "\\u0024{env:HOME}", "gateway.yaml:3:85: "),
        ("${env:SITE}", "a-${env:SITE}-${env:HOME}", "gateway.yaml:3:85: "),
    ],
)
def test_files_and_words_of_this_machine_are_named_only_where_they_were_before(old: str, new: str, place: str) -> None:
    running = {"gateway.yaml": GATEWAY.encode()}
    afar.refuse_reaching(running, running)
    afar.refuse_reaching({"gateway.yaml": GATEWAY.replace(old, "certs/ca.pem").encode()}, running)
    with pytest.raises(ConfigError) as caught:
        afar.refuse_reaching({"gateway.yaml": GATEWAY.replace(old, new).encode()}, running)
    assert refused(caught.value)[0].startswith(place), refused(caught.value)


def test_what_cannot_be_read_is_left_to_the_loader() -> None:
    afar.refuse_reaching({"gateway.yaml": b"a: [", "channels/x.json": b"{"}, {"gateway.yaml": GATEWAY.encode()})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (GATEWAY.replace("id: gw", "id: other"), "`gateway.id`"),
        (GATEWAY.replace("id: gw", "id: gw, tenant: acme"), "`gateway.tenant`"),
        (GATEWAY + "store: {path: /tmp/elsewhere}\n", "`store.path`"),
        (GATEWAY + "remote_config: off\n", "`remote_config`"),
        (GATEWAY + 'ota: {url: "https://updates.example/"}\n', "`ota`"),
        ("gateway: {id: gw}\n", "no uplink brings jobs"),
        (GATEWAY.replace("cloud: {", "cloud: {jobs: [restart], "), "no uplink brings jobs"),
    ],
)
def test_nobody_afar_shuts_the_door_behind_himself(text: str, key: str) -> None:
    old = load(GATEWAY)
    afar.refuse_lockout(old, old, {"gateway.yaml": GATEWAY.encode()})
    with pytest.raises(ConfigError) as caught:
        afar.refuse_lockout(old, load(text), {"gateway.yaml": text.encode()})
    (problem,) = refused(caught.value)
    assert key in problem


def test_words_of_remote_config_and_times_of_apply_are_checked() -> None:
    for text, word in [
        ("remote_config: maybe\n", "open, signed or off"),
        ("remote_config: true\n", "open, signed or off"),
        ("apply: {uplinks: 2d}\n", "1s to 24h"),
        ("apply: {hold: 2m}\n", "longer"),
    ]:
        with pytest.raises(ConfigError) as caught:
            load(GATEWAY + text)
        assert word in refused(caught.value)[0]
    settings = load(GATEWAY + "remote_config: signed\napply: {uplinks: 10m, hold: 0}\n")
    assert (settings.remote_config, settings.apply.uplinks_s, settings.apply.hold_s) == ("signed", 600.0, 0.0)
    assert settings.hash != load(GATEWAY).hash


NAMES = st.one_of(
    st.text(max_size=30), st.from_regex(r"(channels|rules|profiles)/[a-z.]{1,6}(yaml|json)?", fullmatch=True)
)
YAML = st.lists(
    st.sampled_from(["a: ", "ca: ", "/x", "${env:A}", "{", "}", "[", "- ", "\n", "  ", '"', "&a", "*a", "\t", "\ud800", "key: "]),
    max_size=12,
).map("".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, st.one_of(YAML, st.none(), st.integers()), max_size=4), YAML)
def test_whatever_is_sent_is_a_tree_or_told_to_be_none(tree: dict[str, object], main: str) -> None:
    try:
        files = afar.tree_of({**tree, "gateway.yaml": main})
        afar.refuse_reaching(files, {"gateway.yaml": GATEWAY.encode()})
    except ConfigError as error:
        assert error.problems
    else:
        assert b"${env:A}" not in files["gateway.yaml"] or not _loads(files)


def _loads(files: dict[str, bytes]) -> bool:
    """What the loader refuses whole does no harm, whatever it names."""
    try:
        load_files(files, Registry().load, env={"A": "x"}, credentials=credentials_of(Path("/nowhere")))
    except ConfigError:
        return False
    return True
