"""The laboratory's web server, asked by clients that are not ours and by the downloader of gateways."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.fleet import FleetError
from gateway.fleet.repositoryfiles import RepositoryFiles
from gateway.fleet.webserver import web_serving
from gateway.ota.download import Source, download

SIZE = 300_001


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "metadata").mkdir(parents=True)
    (folder / "metadata" / "timestamp.json").write_bytes(b"{}")
    (folder / "a+b.whl").write_bytes(os.urandom(SIZE))
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


@pytest.fixture
def url(repository: Path) -> Iterator[str]:
    with web_serving(RepositoryFiles(repository), "127.0.0.1", 0) as found:
        yield found


def ask(url: str, path: str, method: str = "GET", range_: str = "") -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, path, headers={"Range": range_} if range_ else {})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("Content-Range", "")
    finally:
        connection.close()


def test_files_and_ranges_of_them_are_served_and_nothing_outside(url: str, repository: Path) -> None:
    content = (repository / "a+b.whl").read_bytes()
    assert ask(url, "/a%2Bb.whl") == (200, content, "")
    assert ask(url, "/a+b.whl?x=1", "HEAD") == (200, b"", "")
    assert ask(url, "/a+b.whl", range_="bytes=100000-") == (206, content[100_000:], f"bytes 100000-{SIZE - 1}/{SIZE}")
    assert ask(url, "/a+b.whl", range_="bytes=5-9") == (206, content[5:10], f"bytes 5-9/{SIZE}")
    assert ask(url, "/a+b.whl", range_=f"bytes={SIZE}-") == (416, b"", f"bytes */{SIZE}")
    for path in ("/", "/../secret", "/%2e%2e/secret", "/metadata", "/metadata/", "/nothing", "//a+b.whl%00"):
        assert ask(url, path)[0] == 404, path


def test_a_gateway_goes_on_with_a_download_from_it(url: str, repository: Path, tmp_path: Path) -> None:
    content = (repository / "a+b.whl").read_bytes()
    target = tmp_path / "got.whl"
    target.with_name("got.whl.part").write_bytes(content[:123_456])
    download(Source(f"{url}/a%2Bb.whl", None, "", SIZE), target, lambda *_: None)
    assert target.read_bytes() == content


def test_an_address_that_is_taken_is_told(url: str, repository: Path) -> None:
    port = urlsplit(url).port
    assert port is not None
    taken = web_serving(RepositoryFiles(repository), "127.0.0.1", port)
    with pytest.raises(FleetError, match=f"127.0.0.1:{port} cannot be served at"), taken:
        pass
