"""The library queues socket callbacks for the loop; a socket may be closed, and its number taken, before they run."""

import asyncio
import socket

from gateway.mqttclient.ackclient import AckClient


class Paho:
    """Counts writes."""

    def __init__(self):
        self.writes = 0

    def loop_write(self):
        self.writes += 1


class Loop:
    """Keeps what was queued, and what was registered."""

    def __init__(self):
        self.queued = []
        self.writers = {}

    def call_soon_threadsafe(self, callback, *args):
        self.queued.append((callback, args))

    def add_writer(self, number, callback):
        self.writers[number] = callback

    def turn(self):
        for callback, args in self.queued:
            callback(*args)


def registered(*, close):
    ours, peer = socket.socketpair()
    number = ours.fileno()
    client, paho, loop = AckClient(hostname="127.0.0.1"), Paho(), Loop()
    client._loop = loop
    client._on_socket_register_write(paho, None, ours)
    if close:
        ours.close()
    loop.turn()
    ours.close()
    peer.close()
    return loop.writers.get(number), loop.writers, paho


async def test_a_socket_that_is_closed_before_the_loop_turns_never_gets_a_writer():
    _, writers, _ = registered(close=True)
    assert writers == {}


async def test_a_socket_that_is_open_is_written_to():
    write, _, paho = registered(close=False)
    write()
    assert paho.writes == 1


async def test_a_write_that_fails_ends_the_connection_and_raises_nowhere_else():
    ours, peer = socket.socketpair()
    client, loop = AckClient(hostname="127.0.0.1"), Loop()
    client._loop = loop

    class Broken:
        def loop_write(self):
            raise BrokenPipeError("gone")

    client._on_socket_register_write(Broken(), None, ours)
    loop.turn()
    loop.writers[ours.fileno()]()
    assert isinstance(client._disconnected.exception(), BrokenPipeError)
    ours.close()
    peer.close()
    await asyncio.sleep(0)
