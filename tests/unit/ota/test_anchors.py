"""Which clock is believed about releases: one that is synced, or that the operator vouches for where only root could."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.ota import anchors
from gateway.ota.places import Places
from gateway.ota.slots import SlotsView
from gateway.ota.trust import Now


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setattr(anchors, "ntp_synced", lambda: False)
    made = Places(tmp_path)
    made.factory_root.parent.mkdir(parents=True)
    made.factory_root.write_bytes(b"{}")
    made.config.mkdir(parents=True)
    return made


def _now(places: Places, text: str) -> Now:
    (places.config / "gateway.yaml").write_text(text)
    return anchors.anchors(places, SlotsView()).now


@pytest.mark.parametrize(
    ("trust", "vouched"),
    [("rtc", True), ("always", True), ("ntp", False), ("${env:TRUST}", False), ("[rtc]", False), ("", False)],
)
def test_the_operators_word_is_the_clock_trust_of_the_gateway(places: Places, trust: str, vouched: bool) -> None:
    now = _now(places, f"gateway: {{id: gw}}\nclock:\n  trust: {trust}\n")
    assert (now.synced, now.vouched) == (False, vouched)


@pytest.mark.parametrize("text", ["", "gateway: {id: gw}\n", "clock: rtc\n", "clock: {trust: rtc\n", "\x00"])
def test_without_a_word_nobody_vouches(places: Places, text: str) -> None:
    assert not _now(places, text).vouched


def test_what_others_than_root_can_change_is_no_word(places: Places) -> None:
    assert _now(places, "clock: {trust: rtc}\n").vouched
    (places.config / "gateway.yaml").chmod(0o664)
    assert not anchors.anchors(places, SlotsView()).now.vouched
    (places.config / "gateway.yaml").unlink()
    assert not anchors.anchors(places, SlotsView()).now.vouched


def test_a_clock_that_is_synced_needs_nobody(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "ntp_synced", lambda: True)
    now = _now(places, "clock: {trust: rtc}\n")
    assert (now.synced, now.vouched) == (True, False)
