"""The HTTP driver against servers of other authors, in processes of their own: node's, nginx, and Python's."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.http.settings import Tls
from gateway.errors import AuthError, DeviceUnavailable, LinkLost, RequestRefused
from tests.drivers.http.kit import channel_of, driving, found, tag_spec
from tests.support.certificates import Certificates
from tests.support.eventually import wait_until
from tests.support.parts import command, require
from tests.support.ports import free_port, is_open
from tests.support.processes import Process

SETPOINT = tag_spec("setpoint", json="setpoint", access="rw", set={"path": "/set", "body": {"setpoint": "$value"}})


@pytest.fixture
def node(tmp_path) -> Iterator[Process]:
    require("node")
    port = free_port()
    argv = [command("node"), str(Path(__file__).with_name("http_server.js")), str(port)]
    process = Process("node", argv, tmp_path / "node.log", os.environ, tmp_path)
    process.wait_output("listening")
    yield process
    process.kill()


def port_of(process: Process) -> int:
    return int(process.argv[-1])


async def test_node_is_read_and_written_over_connections_that_it_ends_meanwhile(node) -> None:
    text = tag_spec("text", "string", json="text")
    spec = channel_of(port_of(node), SETPOINT, text, device={"time": "time"})
    async with driving(spec) as (driver, context):
        assert await found(driver, context) == {
            "setpoint": (20.5, 0, 1_790_000_000_123),
            "text": ("Außen 21 °C", 0, 1_790_000_000_123),
        }
        for value in (7.5, 8.5):
            await asyncio.sleep(0.3)  # longer than its keep-alive
            await driver.write(context.devices[0], context.devices[0].tags[0], value)
            await asyncio.sleep(0.3)
            assert (await found(driver, context))["setpoint"][0] == value
        assert driver.counters()["connections"] >= 4


async def test_node_that_is_slow_cuts_refuses_or_is_killed_gives_errors_of_the_contract(node) -> None:
    tags = [tag_spec(path, at=f"/{path}", json="setpoint") for path in ("chunks", "slow", "cut", "none")]
    async with driving(channel_of(port_of(node), *tags, timeout_s=3)) as (driver, context):
        chunks, *bad = driver.plan(context.devices[0], context.devices[0].tags)
        for request, error in zip(bad, (DeviceUnavailable, Exception, RequestRefused), strict=True):
            with pytest.raises(error):
                await driver.read(request)
            assert (await driver.read(chunks)).values == [20.5]
        node.kill()
        with pytest.raises(LinkLost):
            await driver.read(chunks)


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {cert}; ssl_certificate_key {key};
    location / {{ root {folder}/www; auth_basic plant; auth_basic_user_file {folder}/users; gzip on; gzip_types *;
      gzip_min_length 1; }}
    location /old {{ return 301 /status.json; }}
    location /away {{ return 302 https://192.0.2.1/; }}
    location /busy {{ return 503; }}
  }}
}}
"""


async def test_nginx_with_tls_a_password_and_redirects(tmp_path) -> None:
    require("nginx")
    certificates = Certificates(tmp_path / "tls")
    pair, port, www = certificates.make("server"), free_port(), tmp_path / "www"
    www.mkdir()
    (www / "status.json").write_text('{"setpoint": 1.25}')
    (tmp_path / "users").write_text("admin:{PLAIN}s3cret\n")
    tmp_path.chmod(0o755)
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        "user root;" * (os.getuid() == 0) + NGINX.format(folder=tmp_path, port=port, cert=pair.cert, key=pair.key)
    )
    argv = [command("nginx"), "-e", str(tmp_path / "early.log"), "-c", str(conf)]
    process = Process("nginx", argv, tmp_path / "nginx.log", os.environ, tmp_path)
    try:
        wait_until(lambda: is_open(port))
        url = f"https://127.0.0.1:{port}"
        pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair.cert.read_text())).hexdigest()
        tags = [tag_spec("x", at="/status.json", json="setpoint"), tag_spec("y", at="/old", json="setpoint")]
        for keys in ({"tls": Tls(ca=str(certificates.ca))}, {"fingerprint": pin}):
            spec = channel_of(0, *tags, url=url, username="admin", password="s3cret", **keys)
            async with driving(spec) as (driver, context):
                assert [value for value, _, _ in (await found(driver, context)).values()] == [1.25, 1.25]
        for at, error in (("/status.json", AuthError), ("/busy", RequestRefused), ("/away", RequestRefused)):
            spec = channel_of(0, tag_spec("x", at=at), url=url, username="admin", password="no", fingerprint=pin)
            with pytest.raises(error):
                async with driving(spec) as (driver, context):
                    await found(driver, context)
    finally:
        process.kill()


async def test_python_serves_a_captured_answer_over_http_1_0(tmp_path) -> None:
    (tmp_path / "status").write_text('{"setpoint": 3.5}')
    port = free_port()
    argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    process = Process("http.server", argv, tmp_path / "server.log", os.environ, tmp_path)
    try:
        wait_until(lambda: is_open(port))
        async with driving(channel_of(port, SETPOINT)) as (driver, context):
            for _ in range(3):
                assert (await found(driver, context))["setpoint"][0] == 3.5
            with pytest.raises(RequestRefused):  # 501, it takes no POST
                await driver.write(context.devices[0], context.devices[0].tags[0], 1.0)
    finally:
        process.kill()
