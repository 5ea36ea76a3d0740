"""The tools of the tests are tested too: a fault that does not happen makes every test of it worthless."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.eventually import wait_until
from tests.support.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """Port of a server that answers each connection's bytes with themselves."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            while data := peer.recv(4096):
                peer.sendall(data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.fixture
def proxy(echo: int, make_proxy: Callable[[int], Proxy]) -> Proxy:
    return make_proxy(echo)


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as peer:
        yield peer


def test_passes_bytes_both_ways(client: socket.socket) -> None:
    client.sendall(b"hello")
    assert client.recv(10) == b"hello"


def test_a_black_hole_delivers_nothing_and_everything_after_it_heals(client: socket.socket, proxy: Proxy) -> None:
    proxy.black_hole()
    client.sendall(b"held")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(10)
    proxy.pass_()
    client.settimeout(5)
    assert client.recv(10) == b"held"


def test_swallowed_bytes_never_arrive_and_new_connections_work(client: socket.socket, proxy: Proxy) -> None:
    proxy.swallow()
    client.sendall(b"lost")
    wait_until(lambda: proxy.up_bytes == 4)
    proxy.pass_()
    client.sendall(b"more")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(10)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as fresh:
        fresh.sendall(b"fresh")
        assert fresh.recv(10) == b"fresh"


def test_a_reset_reaches_the_client(client: socket.socket, proxy: Proxy) -> None:
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_cuts_after_that_many_bytes(client: socket.socket, proxy: Proxy) -> None:
    proxy.cut_after(3)
    client.sendall(b"abc")
    with pytest.raises(ConnectionResetError):
        while client.recv(1):
            pass
