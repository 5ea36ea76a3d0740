"""Downloads over links that fail: resumed where they were cut, bounded, and never believed."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.ota.download import Source, download
from gateway.ota.release import ReleaseRefused
from tests.integration.ota.fileserver import FileServer, serving
from tests.support.certificates import Certificates

CONTENT = os.urandom(3_000_000)


def fetch(server: FileServer, to: Path, **keys: object) -> tuple[int, list[int]]:
    seen: list[int] = []
    words = {"tries": 3, "timeout_s": 5.0, **keys}
    size = download(Source(server.url, **words), to, lambda have, _: seen.append(have), lambda _: None)  # type: ignore[arg-type]
    return size, seen


def test_a_file_comes_whole_with_progress(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        size, seen = fetch(server, tmp_path / "a.fpb")
    assert (tmp_path / "a.fpb").read_bytes() == CONTENT
    assert size == seen[-1] == len(CONTENT)
    assert seen == sorted(seen)
    assert server.asked == [None]
    assert {path.name for path in tmp_path.iterdir()} == {"a.fpb"}


def test_a_download_that_is_cut_goes_on_where_it_was(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        server.cut_after = [1_000_000, 700_000, 1]
        fetch(server, tmp_path / "a.fpb")
    assert (tmp_path / "a.fpb").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-", "bytes=1700000-", "bytes=1700001-"]


def test_a_download_goes_on_after_the_process_ended(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        server.cut_after = [2_000_000, 0, 0, 0]
        with pytest.raises(ReleaseRefused) as caught:
            fetch(server, tmp_path / "a.fpb")
        assert caught.value.reason == "link"
        fetch(server, tmp_path / "a.fpb")
    assert (tmp_path / "a.fpb").read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=2000000-"


@pytest.mark.parametrize("way", ["another file", "no ranges", "no name"])
def test_a_rest_that_may_not_fit_is_not_put_behind_a_part(tmp_path: Path, way: str) -> None:
    other = os.urandom(2_500_000)
    with serving(CONTENT) as server:
        server.cut_after = [1_000_000, 0, 0, 0]
        server.tag = "" if way == "no name" else server.tag
        with pytest.raises(ReleaseRefused):
            fetch(server, tmp_path / "a.fpb")
        server.content = other if way == "another file" else CONTENT
        server.tag = '"two"' if way == "another file" else server.tag
        server.ranges = way != "no ranges"
        fetch(server, tmp_path / "a.fpb")
        wanted = server.content
    assert (tmp_path / "a.fpb").read_bytes() == wanted


def test_a_server_without_a_length_is_believed_at_its_end(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        server.length = False
        fetch(server, tmp_path / "a.fpb")
    assert (tmp_path / "a.fpb").read_bytes() == CONTENT


def test_what_is_known_to_be_longer_is_a_cut_or_somebody_else(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        server.length = False
        with pytest.raises(ReleaseRefused, match=f"cut at {len(CONTENT)} of {len(CONTENT) + 1} bytes") as caught:
            fetch(server, tmp_path / "f", tries=2, least=len(CONTENT) + 1)
        assert caught.value.reason == "link"
        server.length = True
        with pytest.raises(ReleaseRefused, match="are accepted") as caught:
            fetch(server, tmp_path / "g", least=len(CONTENT) + 1)
        assert caught.value.reason == "length"
        assert list(tmp_path.glob("g*")) == []
        fetch(server, tmp_path / "g", least=len(CONTENT))


@pytest.mark.parametrize("length", [True, False])
def test_what_is_too_long_is_cut_off(tmp_path: Path, length: bool) -> None:
    with serving(CONTENT) as server:
        server.length = length
        server.endless = not length
        with pytest.raises(ReleaseRefused) as caught:
            fetch(server, tmp_path / "a.fpb", most=1_000_000)
    assert caught.value.reason == "length"
    part = tmp_path / "a.fpb.part"
    assert not part.exists() or part.stat().st_size <= 1_000_000


def test_a_server_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        server.status = [503, 500]
        fetch(server, tmp_path / "a.fpb")
    assert len(server.asked) == 3


def test_a_server_that_has_no_such_file_is_asked_once(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        server.status = [404, 404]
        with pytest.raises(ReleaseRefused, match="404"):
            fetch(server, tmp_path / "a.fpb")
    assert len(server.asked) == 1


def test_redirects_are_followed_and_bounded(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        server.redirect = "/there"
        fetch(server, tmp_path / "a.fpb")
        server.redirect = "/elsewhere"
        with pytest.raises(ReleaseRefused, match="redirects"):
            fetch(server, tmp_path / "b.fpb")
    assert (tmp_path / "a.fpb").read_bytes() == CONTENT


@pytest.mark.parametrize("place", ["http://[", "http://127.0.0.1:99999/a", "http://127.0.0.1:x/a", "ftp://127.0.0.1/a"])
def test_a_redirect_to_no_address_is_told(tmp_path: Path, place: str) -> None:
    with serving(CONTENT) as server:
        server.redirect = place
        with pytest.raises(ReleaseRefused, match="address"):
            fetch(server, tmp_path / "a.fpb")
    assert not (tmp_path / "a.fpb").exists()


@pytest.mark.parametrize("url", ["ftp://localhost/a", "file:///etc/passwd", "http://user:word@localhost/a", "nothing"])
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ReleaseRefused, match="no http or https address"):
        download(Source(url), tmp_path / "a.fpb", lambda *_: None)


def test_nobody_there_ends_after_the_attempts(tmp_path: Path) -> None:
    pauses: list[float] = []
    with serving(CONTENT) as server:
        url = server.url
    with pytest.raises(ReleaseRefused) as caught:
        download(Source(url, tries=5, timeout_s=2), tmp_path / "a.fpb", lambda *_: None, pauses.append)
    assert caught.value.reason == "link"
    assert len(pauses) == 4
    assert all(low <= pause <= high for pause, low, high in zip(pauses, (1, 2, 4, 8), (2, 4, 8, 16), strict=True))


def test_a_rate_is_kept(tmp_path: Path) -> None:
    """Counted in the pauses that are asked for, not in time that passes."""
    pauses: list[float] = []
    with serving(CONTENT[:1_000_000]) as server:
        download(Source(server.url, rate=100_000), tmp_path / "a.fpb", lambda *_: None, pauses.append)
    assert max(pauses) > 5


def test_tls_needs_an_authority_that_is_trusted(tmp_path: Path) -> None:
    authority = Certificates(tmp_path / "pki")
    pair = authority.make("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    with serving(CONTENT, context) as server:
        fetch(server, tmp_path / "a.fpb", ca=str(authority.ca))
        with pytest.raises(ReleaseRefused, match=r"(?i)certificate"):
            fetch(server, tmp_path / "b.fpb")
        server.redirect = "http://localhost:1/there"
        with pytest.raises(ReleaseRefused, match="without TLS"):
            fetch(server, tmp_path / "b.fpb", ca=str(authority.ca))
    assert (tmp_path / "a.fpb").read_bytes() == CONTENT
    assert not (tmp_path / "b.fpb").exists()


def test_a_token_goes_to_its_own_server_and_only_over_tls(tmp_path: Path) -> None:
    authority = Certificates(tmp_path / "pki")
    pair = authority.make("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    with serving(CONTENT, context) as server, serving(CONTENT, context) as other, serving(CONTENT) as plain:
        fetch(server, tmp_path / "a.fpb", ca=str(authority.ca), token="sesame")
        fetch(plain, tmp_path / "b.fpb", token="sesame")
        server.redirect = other.url
        fetch(server, tmp_path / "c.fpb", ca=str(authority.ca), token="sesame")
    assert server.authorization == ["Bearer sesame"] * 2
    assert plain.authorization == other.authorization == [None]


def test_the_process_says_in_json_what_happens(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway.ota.download"]
    with serving(CONTENT) as server:
        done = subprocess.run(
            [*command, server.url, tmp_path / "a.fpb"], capture_output=True, text=True, timeout=30, check=False
        )
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert (done.returncode, rows[-1]) == (0, {"ok": True, "bytes": len(CONTENT)})
        assert rows[0]["total"] == len(CONTENT)
        server.status = [404]
        done = subprocess.run(
            [*command, server.url, tmp_path / "b.fpb"], capture_output=True, text=True, timeout=30, check=False
        )
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["ok"], last["reason"], done.stderr) == (1, False, "missing", "")
