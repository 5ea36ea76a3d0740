"""A real broker: mosquitto on a port of its own that it keeps over restarts."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from pathlib import Path

from tests.support import parts, ports
from tests.support.certificates import Certificates
from tests.support.eventually import wait_until
from tests.support.processes import Process, Processes


@dataclass(frozen=True)
class BrokerOptions:
    """`acl`: lines of an access file (anonymous clients have no `user` line). `tls`: server certificate from this
    authority, client certificates required and used as user names. `max_inflight`: unacknowledged publishes.
    """

    persistence: bool = True
    acl: str | None = None
    tls: Certificates | None = None
    max_inflight: int | None = None
    max_packet: int | None = None
    extra: str = ""


class Broker:
    """One mosquitto. stop() is a clean end (sessions are saved with persistence), kill() is SIGKILL."""

    def __init__(self, processes: Processes, directory: Path, options: BrokerOptions, port: int | None = None) -> None:
        self._binary = parts.command("mosquitto")
        self._processes = processes
        self._directory = directory
        self._options = options
        self._process: Process | None = None
        self.port = port or ports.free_port()
        directory.mkdir(parents=True, exist_ok=True)
        self._write_config()

    @property
    def url(self) -> str:
        return f"mqtts://localhost:{self.port}" if self._options.tls else f"mqtt://127.0.0.1:{self.port}"

    @property
    def process(self) -> Process:
        assert self._process is not None, "the broker was never started"
        return self._process

    def start(self) -> Broker:
        self._process = self._processes.start(
            f"mosquitto-{self.port}", [self._binary, "-c", str(self._directory / "mosquitto.conf")]
        )
        wait_until(self._listens, 20, why="mosquitto accepts connections")
        return self

    def stop(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        self.process.freeze()

    def thaw(self) -> None:
        self.process.thaw()

    def set_acl(self, lines: str) -> None:
        """Replace the access file and have it read again (SIGHUP)."""
        import signal

        self._acl_file().write_text(lines)
        self.process.signal(signal.SIGHUP)

    def log(self) -> str:
        return self.process.output()

    def _listens(self) -> bool:
        if not self.process.alive:
            raise RuntimeError(f"mosquitto ended:\n{self.log()[-2000:]}")
        return ports.is_open(self.port)

    def _acl_file(self) -> Path:
        return self._directory / "acl"

    def _write_config(self) -> None:
        options = self._options
        # Unlimited queues: a slow sink must never be the reason for a missing reading.
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"user {getpass.getuser()}",
            "max_queued_messages 10000000",  # 0 would make mosquitto 2.0.11 end connections after each refused publish
            "max_queued_bytes 0",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "log_type subscribe",
            "log_timestamp_format %H:%M:%S",
        ]
        if options.persistence:
            lines += ["persistence true", f"persistence_location {self._directory}/", "autosave_interval 0"]
        if options.max_inflight is not None:
            lines.append(f"max_inflight_messages {options.max_inflight}")
        if options.max_packet is not None:
            lines.append(f"max_packet_size {options.max_packet}")
        if options.acl is not None:
            self._acl_file().write_text(options.acl)
            self._acl_file().chmod(0o600)
            lines.append(f"acl_file {self._acl_file()}")
        if options.tls is not None:
            server = options.tls.make("localhost")
            lines += [
                f"cafile {options.tls.ca}",
                f"certfile {server.cert}",
                f"keyfile {server.key}",
                "require_certificate true",
                "use_identity_as_username true",
            ]
        else:
            lines.append("allow_anonymous true")
        if options.extra:
            lines.append(options.extra)
        (self._directory / "mosquitto.conf").write_text("\n".join(lines) + "\n")


class Brokers:
    """Makes brokers for one test."""

    def __init__(self, processes: Processes, directory: Path) -> None:
        self._processes = processes
        self._directory = directory
        self._count = 0

    def make(
        self,
        *,
        persistence: bool = True,
        acl: str | None = None,
        tls: Certificates | None = None,
        max_inflight: int | None = None,
        max_packet: int | None = None,
        extra: str = "",
        port: int | None = None,
        start: bool = True,
    ) -> Broker:
        """A broker, running unless `start` is False."""
        self._count += 1
        options = BrokerOptions(persistence, acl, tls, max_inflight, max_packet, extra)
        broker = Broker(self._processes, self._directory / f"broker{self._count}", options, port)
        return broker.start() if start else broker
