"""`ota` of gateway.yaml: where releases come from and when."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.settings.plan import diff
from gateway.settings.types import OtaSettings
from tests.unit.settings.toy import Faults, Load

MAIN = "gateway: {id: gw}\n"
WHOLE = """ota:
  url: https://updates.example.org/fieldpost/
  ca: authorities.pem
  token: ${credential:updates}
  max_rate: 200kB
  window: "22:30-04:00"
  jitter: 5m
  metered: true
  parts: never
  drivers: {allow: [acme/acme-press, "other-*"]}
"""


def ota(load: Load, text: str, **more: Any) -> OtaSettings:
    return load({"gateway.yaml": MAIN + text}, **more).ota


def test_what_is_written_is_what_counts(load: Load, tmp_path: Any) -> None:
    found = ota(load, WHOLE, secrets={"updates": "sesame"}, base=tmp_path)
    assert found == OtaSettings(
        url="https://updates.example.org/fieldpost",
        ca=tmp_path / "authorities.pem",
        token="sesame",
        max_rate=200_000,
        window=(22 * 60 + 30, 4 * 60),
        jitter_s=300.0,
        metered=True,
        parts=False,
        drivers=("acme/acme-press", "other-*"),
    )
    assert "sesame" not in repr(found)


def test_a_configuration_without_updates_keeps_its_name(load: Load) -> None:
    plain = load({"gateway.yaml": MAIN})
    assert plain.ota == OtaSettings()
    assert load({"gateway.yaml": MAIN + "ota: {jitter: 10m}\n"}).hash == plain.hash
    assert load({"gateway.yaml": MAIN + "ota: {url: 'http://u.example'}\n"}).hash != plain.hash


def test_another_token_is_no_other_configuration(load: Load) -> None:
    text = {"gateway.yaml": MAIN + WHOLE}
    first, second = load(text, secrets={"updates": "a"}), load(text, secrets={"updates": "b"})
    assert first.hash == second.hash
    assert (first.ota.token, second.ota.token) == ("a", "b")


def test_a_change_restarts_nothing_and_is_told(load: Load) -> None:
    old = load({"gateway.yaml": MAIN})
    new = load({"gateway.yaml": MAIN + "ota: {url: 'http://u.example', jitter: 0}\n"})
    plan = diff(old, new)
    assert plan.lines() == ["~ updates: url, jitter"]
    assert not plan.touched()
    assert not plan.is_empty


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("url: ftp://u.example", "ota.url", "http or https"),
        ("url: 'https://me:you@u.example'", "ota.url", "no user name or password"),
        ("url: 'https://u.example/a?b=c'", "ota.url", "no `?`"),
        ("url: 'https://u.example:99999/'", "ota.url", "no address"),
        ("url: 'http://u.example', ca: a.pem", "ota.ca", "https"),
        ("url: 'http://u.example', token: '${credential:updates}'", "ota.token", "https"),
        ("url: 'https://u.example', token: sesame", "ota.token", "credential"),
        ("max_rate: 10B", "ota.max_rate", "1kB"),
        ("window: 02:00", "ota.window", "is written as 02:00-04:00"),
        ("window: '02:00-02:00'", "ota.window", "never open"),
        ("window: '24:00-02:00'", "ota.window", "is written as"),
        ("jitter: 25h", "ota.jitter", "0s to 24h"),
        ("jitter: 10", "ota.jitter", "unit"),
        ("metered: maybe", "ota.metered", ""),
        ("parts: always", "ota.parts", ""),
        ("drivers: {allow: ['a/b/c']}", "ota.drivers.allow[0]", "no name of a driver"),
        ("drivers: {alow: []}", "ota.drivers.alow", "did you mean"),
        ("uri: 'https://u.example'", "ota.uri", "unknown key"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(faults: Faults, text: str, place: str, said: str) -> None:
    found = faults({"gateway.yaml": f"{MAIN}ota: {{{text}}}\n"}, secrets={"updates": "sesame"})
    assert [one.path for one in found] == [place]
    assert said in f"{found[0].message} {found[0].hint}"


def test_an_empty_section_is_refused(faults: Faults) -> None:
    assert [one.path for one in faults({"gateway.yaml": f"{MAIN}ota:\n"})] == ["ota"]
