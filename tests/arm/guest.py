"""A booted arm64 system under qemu: a Debian kernel and systemd, without any network device.

What is done in it goes through Debian's qemu-guest-agent, on a virtual serial port: no shell has to be talked to on a
console. Its disk is thrown away with it; files of this machine lie below /media, read-only.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.eventually import wait_until
from tests.support.processes import ROOT, Process, Processes

HERE = Path(__file__).resolve().parent
KEPT = Path(os.environ.get("ARM_GUEST", ROOT / ".cache/arm64-guest"))
_UP = {"running", "degraded"}


def prepare() -> Path:
    """The folder with kernel and disk, made on the first run."""
    subprocess.run([str(HERE / "prepare_guest.sh"), str(KEPT)], check=True, timeout=2400)
    return KEPT


class AgentAway(Exception):
    """The guest's agent does not answer: it is not up, or not any more."""


class Agent:
    """Requests to the guest agent, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._received = b""
        self._syncs = 0

    def ask(self, what: str, within: float = 60.0, **arguments: Any) -> Any:
        """The answer to one request. Raises AgentAway, and AssertionError with what the agent refuses."""
        try:
            if self._socket is None:
                self._connect()
            self._send(what, arguments)
            answer = self._receive(within)
        except OSError as error:
            self.close()
            raise AgentAway(f"{what}: {error}") from None
        assert "error" not in answer, f"{what} {arguments}: {answer['error']}"
        return answer["return"]

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._received = None, b""

    def _connect(self) -> None:
        """Answers to those who asked before are passed over."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(5)
        self._socket.connect(str(self._path))
        self._syncs += 1
        self._send("guest-sync", {"id": self._syncs})
        while self._receive(5).get("return") != self._syncs:
            pass

    def _send(self, what: str, arguments: dict[str, Any]) -> None:
        assert self._socket is not None
        request = {"execute": what, **({"arguments": arguments} if arguments else {})}
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def _receive(self, within: float) -> Any:
        assert self._socket is not None
        end = time.monotonic() + within
        while b"\n" not in self._received:
            self._socket.settimeout(max(0.1, end - time.monotonic()))
            data = self._socket.recv(1 << 20)
            if not data:
                raise ConnectionError("closed")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line)


class Guest:
    """One booted system. `media`: a folder that is /media in it. `line`: a serial port of this machine, at which the
    guest has a USB adapter (FTDI).
    """

    def __init__(self, processes: Processes, folder: Path, media: Path, line: str, say: Callable[[str], None]) -> None:
        kept, self._say = prepare(), say
        port = folder / "agent"
        argv = [
            "timeout", "-k", "5", "7200", "qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72",
            "-accel", "tcg,thread=multi", "-smp", "2", "-m", "768",
            "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-serial", "stdio",
            "-kernel", str(kept / "vmlinuz"), "-initrd", str(kept / "initrd"),
            "-append", "root=/dev/vda rw console=ttyAMA0 panic=-1",
            "-drive", f"file={kept / 'disk.img'},format=raw,if=none,id=disk,snapshot=on",
            "-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
            "-virtfs", f"local,path={media},mount_tag=media,security_model=none,readonly=on",
            "-chardev", f"socket,path={port},server=on,wait=off,id=agent",
            "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
            "-device", "qemu-xhci", "-chardev", f"serial,id=line,path={line}", "-device", "usb-serial,chardev=line",
        ]  # fmt: skip
        self._process: Process = processes.start("guest", argv)
        self._agent = Agent(port)
        self.wait_up()

    def wait_up(self, boot: str = "") -> None:
        """Wait until systemd has started all that it starts, in another boot than `boot`."""
        self._say("waiting for the guest to boot (at most 1000 s)")

        def is_up() -> bool:
            if not self._process.alive:
                raise RuntimeError(f"qemu ended with {self._process.returncode}:\n{self.console()}")
            with contextlib.suppress(AgentAway):
                return self.boot_id() != boot and self.run("systemctl", "is-system-running", check=False).strip() in _UP
            return False

        wait_until(is_up, 200, every=1, why=lambda: f"the guest is up; its console:\n{self.console()}")
        self._say(f"up: {self.run('uname', '-srm').strip()}, {self.run('systemd-analyze', check=False).strip()}")

    def console(self) -> str:
        return self._process.output()[-6000:]

    def boot_id(self) -> str:
        return self.run("cat", "/proc/sys/kernel/random/boot_id").strip()

    def run(self, *argv: str, check: bool = True, within: float = 1800) -> str:
        """Output of a command in the guest, which ends within so many seconds."""
        pid = self._agent.ask(
            "guest-exec", path=argv[0], arg=list(argv[1:]), **{"capture-output": True}, env=["PATH=" + _PATH, "HOME=/root"]
        )["pid"]  # fmt: skip
        end, pause = time.monotonic() + within, 0.05
        while not (done := self._agent.ask("guest-exec-status", pid=pid))["exited"]:
            assert time.monotonic() < end, f"not within {within:g} s in the guest: {argv}"
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)
        said = "".join(
            base64.b64decode(done.get(name, "")).decode(errors="replace") for name in ("out-data", "err-data")
        )
        code = done.get("exitcode", done.get("signal"))
        assert not (check and code), f"{argv} ended with {code}: {said}"
        return said

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", unit, "-p", name, "--value").strip()

    def write(self, path: str, text: str) -> None:
        self.run("/bin/sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"', "sh", path, text)

    def reboot(self) -> None:
        """By its own systemd, and wait until it is up again."""
        before = self.boot_id()
        self.run("systemctl", "--no-block", "reboot")
        self.wait_up(before)

    def close(self) -> None:
        """Off at once: nothing of its disk is kept."""
        self._agent.close()
        self._process.end()


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
