"""`fieldpost simulate` seen from outside: by other people's clients and, for what no client sends, by a bare socket."""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import struct
import subprocess

import pytest
import yaml

from tests.support.parts import command
from tests.support.serial_line import crc
from tests.support.simulated import Simulated

PROFILE = {
    "pump": {
        "tags": {
            "flow": {"address": "holding/10", "type": "float32", "word_order": "CDAB"},
            "state": {"address": "holding/12", "type": "uint16"},
            "setpoint": {"address": "holding/20", "type": "int16", "scale": 0.1, "access": "rw"},
            "run": {"address": "coil/3", "type": "bool", "access": "rw"},
            "level": {"address": "input/5", "type": "uint16"},
        }
    }
}
FIXED = ["--static", "--set", "flow=12.5", "--set", "state=3", "--set", "setpoint=21.5", "--set", "level=640"]


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "pump.yaml"
    path.write_text(yaml.safe_dump(PROFILE))
    return str(path)


@pytest.fixture
def pump(processes, tmp_path, profile):
    return Simulated(processes, tmp_path, profile, "--unit", "1-2", *FIXED)


def port_of(device: Simulated) -> int:
    return int(device.place.rpartition(":")[2])


class Client:
    """A socket that sends whatever it is told."""

    def __init__(self, device: Simulated, timeout: float = 5.0) -> None:
        self.wire = socket.create_connection(("127.0.0.1", port_of(device)), timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.close()

    def send(self, pdu: bytes, unit: int = 1, number: int = 7) -> None:
        self.wire.sendall(struct.pack(">HHHB", number, 0, len(pdu) + 1, unit) + pdu)

    def receive(self) -> tuple[int, int, bytes]:
        """Number, unit and PDU of the next answer."""
        head = self._exactly(7)
        number, _, length, unit = struct.unpack(">HHHB", head)
        return number, unit, self._exactly(length - 1)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.wire.recv(size - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data

    def ask(self, pdu: bytes, unit: int = 1) -> bytes:
        self.send(pdu, unit)
        return self.receive()[2]


def read(first: int, count: int, code: int = 3) -> bytes:
    return struct.pack(">BHH", code, first, count)


def test_mbpoll_reads_and_writes_what_the_profile_says(pump):
    poll = [command("mbpoll"), "-m", "tcp", "-p", str(port_of(pump)), "-0", "-1", "-q"]

    def ask(*words: str) -> str:
        return subprocess.run([*poll, *words], capture_output=True, text=True, timeout=20, check=True).stdout

    assert "12.5" in ask("-t", "4:float", "-r", "10", "-c", "1", "127.0.0.1")
    assert re.search(r"\[5\]:\s+640", ask("-t", "3", "-r", "5", "127.0.0.1"))
    subprocess.run([*poll, "-t", "4", "-r", "20", "127.0.0.1", "198"], capture_output=True, timeout=20, check=True)
    assert "198" in ask("-t", "4", "-r", "20", "127.0.0.1")
    assert "units 2, tags 5" in pump.say("show")["text"]
    functions = [row["function"] for row in pump.requests(1)]
    assert functions[:4] == [3, 4, 6, 3] or functions[:4] == [3, 4, 16, 3]


def test_mbpoll_over_a_pseudo_terminal(processes, tmp_path, profile):
    device = Simulated(processes, tmp_path, profile, "--pty", str(tmp_path / "line"), *FIXED)
    assert device.place.startswith(f"serial: {{port: {tmp_path}/line")
    words = ["-m", "rtu", "-b", "9600", "-P", "none", "-a", "1", "-0", "-1", "-q", "-r", "12", str(tmp_path / "line")]
    done = subprocess.run([command("mbpoll"), *words], capture_output=True, text=True, timeout=20, check=True)
    assert re.search(r"\[12\]:\s+3", done.stdout)


def test_what_the_profile_does_not_name_does_not_exist(pump):
    with Client(pump) as client:
        assert client.ask(read(500, 1)) == b"\x83\x02"
        assert client.ask(read(10, 126)) == b"\x83\x03"
        assert client.ask(read(10, 0)) == b"\x83\x03"
        assert client.ask(struct.pack(">BHH", 6, 12, 1)) == b"\x86\x02", "no access: rw, no write"
        assert client.ask(b"\x63") == b"\xe3\x01"
        assert client.ask(b"\x03\x00") == b"\x83\x03", "half a request"
        assert client.ask(struct.pack(">BHHB", 16, 20, 2, 4) + b"\0\1") == b"\x90\x03", "fewer bytes than announced"
        assert client.ask(struct.pack(">BHHH", 22, 20, 0xFF00, 0x0012)) == struct.pack(">BHHH", 22, 20, 0xFF00, 0x12)
        assert client.ask(read(20, 1)) == b"\x03\x02\x00\x12"
        assert client.ask(struct.pack(">BHH", 5, 3, 0xFF00)) == struct.pack(">BHH", 5, 3, 0xFF00)
        assert client.ask(read(3, 1, code=1)) == b"\x01\x01\x01"
        assert client.ask(b"\x08\x00\x00\xab\xcd") == b"\x08\x00\x00\xab\xcd"
        assert b"pump" in client.ask(b"\x2b\x0e\x01\x00")


def test_what_the_gateway_computes_is_in_no_device(processes, tmp_path):
    tags = PROFILE["pump"]["tags"] | {
        "full": {"type": "bool", "value": "{level} > 600"},
        "runs": {"type": "uint32", "counts": "{run}"},
    }
    path = tmp_path / "computed.yaml"
    path.write_text(yaml.safe_dump({"pump": {"tags": tags}}))
    device = Simulated(processes, tmp_path, str(path), *FIXED)
    assert "tags 5" in device.say("show")["text"]
    with Client(device) as client:
        assert good(client)


def good(client: Client) -> bool:
    return client.ask(read(12, 1)) == b"\x03\x02\x00\x03"


@pytest.mark.parametrize(
    ("words", "first", "count", "answer"),
    [
        ("exception 4", 12, 1, b"\x83\x04"),
        ("exception 2 at holding/12", 11, 2, b"\x83\x02"),
        ("exception 2 at holding/12", 10, 2, b"\x03\x04\x00\x00\x41\x48"),
        ("limit 1", 11, 2, b"\x83\x03"),
        ("limit 1", 11, 1, b"\x03\x02\x41\x48"),
        ("short", 11, 2, b"\x03\x04\x41\x48"),
    ],
)
def test_a_fault_changes_the_answer_until_it_is_cleared(pump, words, first, count, answer):
    with Client(pump) as client:
        pump.say(f"fault {words}")
        assert client.ask(read(first, count)) == answer
        pump.say("clear")
        assert good(client)


@pytest.mark.parametrize("words", ["garbage", "half"])
def test_what_a_fault_makes_of_the_bytes(pump, words):
    true = struct.pack(">HHHB", 7, 0, 5, 1) + b"\x03\x02\x00\x03"
    with Client(pump) as client:
        pump.say(f"fault {words}")
        client.send(read(12, 1))
        seen = client.wire.recv(100)
        assert seen != true
        assert len(seen) == (len(true) if words == "garbage" else len(true) // 2)
        pump.say("clear")
        assert good(client)


def test_faults_of_time_number_and_connection(pump):
    with Client(pump, timeout=0.5) as client:
        pump.say("fault wrong id")
        client.send(read(12, 1), number=7)
        assert client.receive()[0] != 7
        pump.say("clear")
        pump.say("fault wrong unit")
        client.send(read(12, 1))
        assert client.receive()[1] == 2
        pump.say("clear")
        pump.say("fault silence")
        client.send(read(12, 1))
        with pytest.raises(TimeoutError):
            client.receive()
        pump.say("clear")
        assert good(client)
        pump.say("fault drop")
        client.send(read(12, 1))
        with pytest.raises(ConnectionError):
            client.receive()


def test_every_third_answer_is_late(pump):
    pump.say("fault slow 700ms every 3")
    late = 0
    with Client(pump, timeout=0.4) as client:
        for number in range(6):
            client.send(read(12, 1), number=number)
            try:
                assert client.receive()[0] == number
            except TimeoutError:
                late += 1
                client.wire.settimeout(5)
                assert client.receive()[0] == number, "it comes after all"
                client.wire.settimeout(0.4)
    assert late == 2


def test_a_unit_that_is_not_there_says_nothing_and_two_are_kept_apart(pump):
    with Client(pump, timeout=0.4) as client:
        client.send(read(12, 1), unit=9)
        with pytest.raises(TimeoutError):
            client.receive()
        assert client.ask(struct.pack(">BHH", 6, 20, 5), unit=2) == struct.pack(">BHH", 6, 20, 5)
        assert client.ask(read(20, 1), unit=1) == b"\x03\x02\x00\xd7"
        assert client.ask(read(20, 1), unit=2) == b"\x03\x02\x00\x05"


def test_rtu_over_tcp(processes, tmp_path, profile):
    device = Simulated(processes, tmp_path, profile, "--rtu", *FIXED)
    with Client(device) as client:
        frame = b"\x01" + read(12, 1)
        client.wire.sendall(frame + crc(frame))
        answer = b"\x01\x03\x02\x00\x03"
        assert client._exactly(7) == answer + crc(answer)


@pytest.mark.parametrize(
    "before",
    [
        b"\xff",
        b"\x01\x03\x00",
        b"\x01\x10\x00\x00\x00\x7b\xf6",
        bytes(range(40)),
        b"\x01\x07\x41\xe2",
        b"\x01\x63\x00\x00\x00",
    ],
)
def test_what_is_no_request_on_a_line_ends_with_a_silence(processes, tmp_path, profile, before):
    device = Simulated(processes, tmp_path, profile, "--rtu", *FIXED)
    with Client(device) as client:
        client.wire.sendall(before)
        client.wire.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            assert client.wire.recv(100) == b"\x01\x87\x01\x82\x30", "function 7 is not known"
        frame = b"\x01" + read(12, 1)
        client.wire.sendall(frame + crc(frame))
        answer = b"\x01\x03\x02\x00\x03"
        assert client._exactly(7) == answer + crc(answer)


def test_garbage_from_clients_ends_their_connection_at_most(pump):
    for junk in (b"", b"\0" * 7, b"\xff" * 300, b"GET / HTTP/1.1\r\n\r\n", struct.pack(">HHHB", 1, 0, 0, 1)):
        with Client(pump) as client:
            client.wire.sendall(junk)
    with Client(pump) as client:
        assert good(client)


def test_a_length_that_no_frame_has_is_hung_up_on_without_a_traceback(pump):
    for length in (0, 1, 255, 65535):
        with Client(pump) as client:
            client.wire.sendall(struct.pack(">HHHB", 1, 0, length, 1))
            assert client.wire.recv(1) == b"", length
    assert "Traceback" not in pump.process.output()


@pytest.fixture
def line(processes, tmp_path, profile):
    """A simulated device on a pseudo-terminal, and what asks there for `state`."""
    device = Simulated(processes, tmp_path, profile, "--pty", str(tmp_path / "line"), *FIXED)
    port = os.open(tmp_path / "line", os.O_RDWR | os.O_NOCTTY)

    def ask(frame: bytes = b"\x01" + read(12, 1), within: float = 5.0) -> bytes:
        os.write(port, frame + crc(frame))
        return os.read(port, 300) if select.select([port], [], [], within)[0] else b""

    yield device, port, ask
    os.close(port)


STATE = b"\x01\x03\x02\x00\x03"


def test_noise_on_a_line_costs_one_request_at_most(line):
    _, port, ask = line
    for noise in (b"\x01", b"\x01\x10\x00\x00\x00\x02\xff", b"\x55" * 11):
        os.write(port, noise)
        ask(within=0.5)  # it may have been taken for a part of the noise
        assert ask() == STATE + crc(STATE), noise


def test_the_fault_drop_on_a_line_is_over_when_it_is_cleared(line):
    device, _, ask = line
    device.say("fault drop")
    assert ask(within=0.5) == b"", "a line cannot hang up, it is silent"
    device.say("clear")
    assert ask() == STATE + crc(STATE)


def test_lines_that_no_person_types_are_told_or_left_out_and_it_goes_on(processes, tmp_path, profile):
    command = [command_path(), "simulate", profile, "--control", str(tmp_path / "device.sock"), *FIXED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as device:
        try:
            device.stdin.write(b"x" * 300_000 + b"\n" + b"set flow=" + b"[" * 20_000 + b"\nset flow=3\n")
            device.stdin.flush()
            said = []
            while not said or "flow = 3" not in said[-1]:
                said.append(device.stdout.readline().decode())
                assert said[-1], said
            assert not any("Traceback" in each for each in said)
        finally:
            device.terminate()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fault", "explode"], "faults: silence"),
        (["--set", "nothing=1"], "nothing"),
        (["--set", "setpoint=warm"], "setpoint"),
        (["--unit", "x"], "'x' is no unit"),
        (["--line", "fast"], "9600-8E1"),
        (["--name", "absent"], "absent"),
    ],
)
def test_words_it_does_not_know_are_told(tmp_path, profile, words, said):
    done = subprocess.run(
        [command_path(), "simulate", profile, *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2 or "absent" in words, done
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def command_path() -> str:
    from tests.support.gateway import FIELDPOST

    return str(FIELDPOST)
