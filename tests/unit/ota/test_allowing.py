"""Which drivers a machine takes: what the operator wrote, as long as nobody else could have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.ota.allowing import Allowed
from gateway.ota.package import Package
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused, Wheel

WHEEL = Wheel("acme-press", "1.0", "drivers/acme/acme_press-1.0-py3-none-any.whl", 5, "0" * 64)
PRESS = Package("acme", "acme-press", "1.0", 1, (WHEEL,))


def _allowed(root: Path, text: str) -> Allowed:
    places = Places(root)
    places.config.mkdir(parents=True)
    (places.config / "gateway.yaml").write_text(text)
    return Allowed(places)


def _with(*patterns: str) -> str:
    return f"gateway: {{id: gw}}\nota: {{drivers: {{allow: {list(patterns)}}}}}\n"


@pytest.mark.parametrize(
    "pattern", ["acme/acme-press", "acme/*", "acme-*", "acme-press", "*", "*/acme-press", "acme/?cme-press"]
)
def test_patterns_are_of_names_or_of_vendor_and_name(tmp_path: Path, pattern: str) -> None:
    assert _allowed(tmp_path, _with("other/*", pattern))(PRESS)


@pytest.mark.parametrize(
    "text",
    [
        "gateway: {id: gw}\n",
        "ota: {}\n",
        "ota: {drivers: {}}\n",
        "ota: {drivers: {allow: yes-all}}\n",
        "ota: {drivers: [allow]}\n",
        "- ota\n",
        _with(),
        _with("acme"),
        _with("other/*", "Acme/*", "acme/press"),
    ],
)
def test_what_is_not_written_is_not_allowed(tmp_path: Path, text: str) -> None:
    assert not _allowed(tmp_path, text)(PRESS)


@pytest.mark.parametrize(
    "text", ["ota: [", "", "ota: {drivers: {allow: }}\n", "\x00", "ota: &a {drivers: *a}\n", "[" * 10_000]
)
def test_a_file_that_cannot_be_read_allows_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReleaseRefused, match="no driver is allowed"):
        _allowed(tmp_path, text)(PRESS)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_others_can_change_allows_nothing(tmp_path: Path, what: str, mode: int) -> None:
    allowed = _allowed(tmp_path, _with("*"))
    path = tmp_path / "etc/fieldpost" / ("gateway.yaml" if what == "file" else "")
    path.chmod(mode | (0o111 if what == "folder" else 0))
    with pytest.raises(ReleaseRefused, match="others than root can change") as caught:
        allowed(PRESS)
    assert caught.value.reason == "allow"


# Only root can give a file to somebody else; where tests run without it (a laptop) this is a visible skip.
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away: root")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_belongs_to_the_gateway_allows_nothing(tmp_path: Path, what: str) -> None:
    allowed = _allowed(tmp_path, _with("*"))
    os.chown(tmp_path / "etc/fieldpost" / ("gateway.yaml" if what == "file" else ""), 1234, 1234)
    with pytest.raises(ReleaseRefused, match="others than root can change"):
        allowed(PRESS)


def test_a_link_and_a_missing_file_allow_nothing(tmp_path: Path) -> None:
    allowed = _allowed(tmp_path, _with("*"))
    main = tmp_path / "etc/fieldpost/gateway.yaml"
    main.rename(main.with_name("elsewhere.yaml"))
    with pytest.raises(ReleaseRefused, match="no driver is allowed"):
        allowed(PRESS)
    main.symlink_to("elsewhere.yaml")
    with pytest.raises(ReleaseRefused):
        allowed(PRESS)
