"""Run inside the gateway's sandbox: tries what a hostile gateway would try, prints what became of it as JSON.

Standard library only. Each answer is an errno's name, or `done`.
"""

import ctypes
import errno
import json
import mmap
import os
import socket
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
NAMES = ("/opt/fieldpost/x", "/opt/fieldpost/state/state.json", "/usr/lib/fieldpost/slotctl", "/etc/fieldpost/x", "/x")
OWN = Path("/var/lib/fieldpost/own-program")


def call(number_or_name, *arguments):
    """A call of libc that may not be allowed."""
    status = getattr(LIBC, number_or_name)(*arguments)
    return "done" if status == 0 else errno.errorcode[ctypes.get_errno()]


def tried(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


def own_program():
    OWN.write_text("#!/bin/sh\nexit 0\n")
    OWN.chmod(0o755)
    try:
        os.spawnv(os.P_WAIT, str(OWN), [str(OWN)])
        os.execv(str(OWN), [str(OWN)])
    finally:
        OWN.unlink()


def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{name}:"))


found = {
    "writes": {name: tried(lambda name=name: os.open(name, os.O_WRONLY | os.O_CREAT)) for name in NAMES},
    "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "namespace": call("unshare", CLONE_NEWUSER),
    "swap": call("swapon", b"/x", 0),
    "reboot": call("reboot", 0),
    "clock": tried(lambda: __import__("time").clock_settime(0, 0)),
    "packets": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "writable_code": tried(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)),
    "own_program": tried(own_program),
    "home": tried(lambda: os.listdir("/home")),
    "seccomp": status("Seccomp"),
    "new_privileges": status("NoNewPrivs"),
    "bounding": status("CapBnd"),
    "files": os.sysconf("SC_OPEN_MAX"),
}
print(json.dumps(found))
