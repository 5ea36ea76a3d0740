"""Who is at the other end of a local socket, and what that lets them do.

root and the gateway's own user are `admin`; a member of the socket's group is `operate`; anybody else who got
through the file mode (0660 keeps them out unless an administrator widened it) is `read`.
"""

from __future__ import annotations

import enum
import os
import pwd
import socket
import struct

from msgspec import Struct

_SO_PEERGROUPS = 59  # linux/asm-generic/socket.h; not in Python's socket module
_MOST_GROUPS = 4096


class Scope(enum.IntEnum):
    """What an op needs and a caller has. A higher one includes the lower ones."""

    READ = 1
    OPERATE = 2
    ADMIN = 3

    @classmethod
    def parse(cls, text: str) -> Scope:
        return cls[text.upper()]


class Peer(Struct, frozen=True):
    """Credentials that the kernel recorded when the peer connected."""

    pid: int
    uid: int
    groups: frozenset[int]


def peer_of(sock: socket.socket) -> Peer:
    """Ask the kernel (SO_PEERCRED, SO_PEERGROUPS); the peer has no say in it."""
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    groups = {gid}
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS)
    except OSError:  # an old kernel or an emulator: the primary group alone counts
        raw = b""
    groups.update(struct.unpack(f"{len(raw) // 4}I", raw[: len(raw) // 4 * 4]))
    return Peer(pid, uid, frozenset(groups))


def scope_of(peer: Peer, group: int) -> Scope:
    """What `peer` may do when the socket file belongs to `group`."""
    if peer.uid in {0, os.geteuid()}:
        return Scope.ADMIN
    return Scope.OPERATE if group in peer.groups else Scope.READ


def user_of(peer: Peer) -> str:
    """The name of the peer's user. May ask a name service: not on the event loop."""
    try:
        return pwd.getpwuid(peer.uid).pw_name
    except KeyError:
        return f"uid {peer.uid}"


def signed(claimed: object, user: object) -> str:
    """Who is told to have done something: the user that the kernel knows, behind the name a program gives for whom."""
    name, known = (text if isinstance(text, str) else "" for text in (claimed, user))
    if not known or not name or name == known:
        return known or name or "local"
    return f"{name[:40]} ({known})"
