"""Serial lines and TLS against servers and clients that other people wrote."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.errors import LinkLost
from tests.drivers.modbus.kit import channel_of, device_of, driver_on, read_all, tag_spec
from tests.drivers.modbus.matrix import check_matrix
from tests.support.certificates import Certificates
from tests.support.parts import command
from tests.support.serial_line import joined_ports


@pytest.fixture
def ports():
    with joined_ports() as pair:
        yield pair


@pytest.fixture
def rtu(libmodbus_server, processes, ports):
    """A line with libmodbus' server on it, as a channel says it."""
    processes.start("libmodbus", [str(libmodbus_server), "rtu", ports[1]]).wait_output("ready")
    return {"serial": {"port": ports[0], "line": "9600-8N1", "gap": "2ms"}}


@contextlib.asynccontextmanager
async def bridge(target: int | str, context: ssl.SSLContext | None = None):
    """A TCP port that passes bytes on to a port or a serial line, with TLS where a context is given."""

    async def pump(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", target)
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, inner_writer))
            group.create_task(pump(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)


def test_fl_27_every_type_and_word_order_over_a_serial_line(rtu):
    check_matrix(rtu, examples=3)


async def test_what_we_write_over_a_serial_line_mbpoll_reads_and_the_other_way_round(rtu):
    device = device_of([tag_spec(f"t{i}", f"holding/{i}", access="rw") for i in range(3)])
    mbpoll = [command("mbpoll"), "-m", "rtu", "-a", "1", "-b", "9600", "-P", "none", "-r", "1"]
    port = rtu["serial"]["port"]
    async with driver_on(channel_of(device, port=rtu), device) as driver:
        for i, tag in enumerate(device.tags):
            await driver.write(device, tag, 100 + i)
    done = subprocess.run([*mbpoll, "-c", "3", "-1", port], capture_output=True, text=True, timeout=20, check=True)
    assert re.findall(r"^\[(\d)\]:\s+(\d+)", done.stdout, re.MULTILINE) == [("1", "100"), ("2", "101"), ("3", "102")]
    subprocess.run([*mbpoll, port, "7", "8", "9"], capture_output=True, timeout=20, check=True)
    async with driver_on(channel_of(device, port=rtu), device) as driver:
        assert list((await read_all(driver, device)).values()) == [7, 8, 9]


def test_rtu_frames_over_tcp_reach_the_same_server(rtu, processes):
    socat = processes.start(
        "socat", [command("socat"), "-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1", f"{rtu['serial']['port']},raw,echo=0"]
    )
    found = re.search(r"listening on .*:(\d+)", socat.wait_output("listening on"))
    assert found is not None

    async def check():
        device = device_of([tag_spec("f", "holding/10", "float32", access="rw", word_order="CDAB")])
        place = {"url": f"rtu+tcp://127.0.0.1:{found[1]}"}
        async with driver_on(channel_of(device, port=place), device) as driver:
            await driver.write(device, device.tags[0], 12.5)
            assert await read_all(driver, device) == {"f": 12.5}

    asyncio.run(check())


@pytest.fixture
def tls(tmp_path):
    """An authority, and what the server uses: it demands a client certificate."""
    authority = Certificates(tmp_path / "ca")
    pair = authority.make("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return authority, context


@pytest.fixture
def inner(libmodbus_server, processes):
    server = processes.start("libmodbus", [str(libmodbus_server), "tcp", "0"])
    found = re.search(r"listening (\d+)", server.wait_output("listening "))
    assert found is not None
    return int(found[1])


async def test_tls_with_a_client_certificate_reads_and_writes(tls, inner):
    authority, context = tls
    mine = authority.make("gateway")
    device = device_of([tag_spec("f", "holding/10", "float64", access="rw", word_order="GHEFCDAB")])
    async with bridge(inner, context) as port:
        place = {
            "url": f"tls://127.0.0.1:{port}",
            "tls": {"ca": str(authority.ca), "cert": str(mine.cert), "key": str(mine.key)},
        }
        async with driver_on(channel_of(device, port=place), device) as driver:
            await driver.write(device, device.tags[0], -1e9)
            assert await read_all(driver, device) == {"f": -1e9}


async def test_a_server_of_another_authority_is_refused_with_the_reason(tls, inner, tmp_path):
    _, context = tls
    other = Certificates(tmp_path / "other")
    device = device_of([tag_spec("t", "holding/0")])
    async with bridge(inner, context) as port:
        place = {"url": f"tls://127.0.0.1:{port}", "tls": {"ca": str(other.ca)}}
        with pytest.raises(LinkLost, match="certificate verify failed"):
            async with driver_on(channel_of(device, port=place), device):
                pass


async def test_without_a_client_certificate_nothing_is_read(tls, inner):
    """TLS 1.3 tells a client only after the handshake that its certificate is missed."""
    authority, context = tls
    device = device_of([tag_spec("t", "holding/0")])
    async with bridge(inner, context) as port:
        place = {"url": f"tls://127.0.0.1:{port}", "tls": {"ca": str(authority.ca)}}
        with pytest.raises(LinkLost, match=r"lost.*client certificate"):
            async with driver_on(channel_of(device, port=place), device) as driver:
                await read_all(driver, device)


async def test_fl_30_an_expired_server_and_a_port_without_tls_are_told_as_that(tls, inner):
    authority, context = tls
    expired = authority.make("expired", expired=True)
    context.load_cert_chain(expired.cert, expired.key)
    device = device_of([tag_spec("t", "holding/0")])
    async with bridge(inner, context) as port:
        place = {"url": f"tls://127.0.0.1:{port}", "tls": {"ca": str(authority.ca)}}
        with pytest.raises(LinkLost, match="expired"):
            async with driver_on(channel_of(device, port=place), device):
                pass
    greeter = await asyncio.start_server(lambda _, writer: writer.write(b"login: ") or writer.close(), "127.0.0.1", 0)
    async with greeter:
        place = {"url": f"tls://127.0.0.1:{greeter.sockets[0].getsockname()[1]}", "tls": {"ca": str(authority.ca)}}
        with pytest.raises(LinkLost, match="does not speak TLS"):
            async with driver_on(channel_of(device, port=place), device):
                pass


@pytest.mark.parametrize("broken", ["ca", "cert", "key", "mixed", "locked"])
async def test_a_certificate_file_that_cannot_be_used_is_named(tls, tmp_path, broken):
    """A key with a pass phrase would else be asked for on the terminal, by a thread that never ends."""
    authority, _ = tls
    mine, other = authority.make("gateway"), authority.make("other")
    junk, locked = tmp_path / "junk.pem", tmp_path / "locked.key"
    junk.write_text("no certificate")
    key = serialization.load_pem_private_key(mine.key.read_bytes(), None)
    phrase = serialization.BestAvailableEncryption(b"secret")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    locked.write_bytes(key.private_bytes(*form, phrase))
    files = {"ca": authority.ca, "cert": mine.cert, "key": mine.key}
    files |= {"mixed": {"key": other.key}, "locked": {"key": locked}}.get(broken) or {broken: junk}
    device = device_of([tag_spec("t", "holding/0")])
    place = {"url": "tls://127.0.0.1:1", "tls": {name: str(file) for name, file in files.items()}}
    with pytest.raises(LinkLost, match={"mixed": "other.key", "locked": "locked.key.*pass phrase"}.get(broken, "junk")):
        async with driver_on(channel_of(device, port=place), device):
            pass


async def test_a_certificate_file_that_is_not_there_is_named(tls, inner):
    device = device_of([tag_spec("t", "holding/0")])
    place = {"url": "tls://127.0.0.1:1", "tls": {"ca": "/nowhere/ca.pem"}}
    with pytest.raises(LinkLost, match=r"/nowhere/ca.pem"):
        async with driver_on(channel_of(device, port=place), device):
            pass
