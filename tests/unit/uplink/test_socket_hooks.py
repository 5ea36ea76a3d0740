"""The library queues socket callbacks for the loop; a socket may be closed, and its number taken, before they run."""

import asyncio
import os
import socket

from gateway.uplink.mqtt import AckClient


class Paho:
    """Counts writes."""

    def __init__(self):
        self.writes = 0

    def loop_write(self):
        self.writes += 1


async def test_a_socket_that_is_closed_before_the_loop_turns_never_gets_a_writer():
    client, paho = AckClient(hostname="127.0.0.1"), Paho()
    ours, peer = socket.socketpair()
    number = ours.fileno()
    client._on_socket_register_write(paho, None, ours)
    ours.close()
    other, other_peer = socket.socketpair()
    if other.fileno() != number:
        os.dup2(other.fileno(), number)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not asyncio.get_running_loop().remove_writer(number)
    assert paho.writes == 0
    for each in (peer, other, other_peer):
        each.close()
    if other.fileno() != number:
        os.close(number)


async def test_a_socket_that_is_open_is_written_to():
    client, paho = AckClient(hostname="127.0.0.1"), Paho()
    ours, peer = socket.socketpair()
    client._on_socket_register_write(paho, None, ours)
    for _ in range(100):
        if paho.writes:
            break
        await asyncio.sleep(0.01)
    assert paho.writes
    asyncio.get_running_loop().remove_writer(ours.fileno())
    ours.close()
    peer.close()
