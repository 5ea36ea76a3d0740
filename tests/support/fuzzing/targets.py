"""What is fuzzed: each target takes bytes and either does with them what it should, or raises one of its own errors.

A target that needs a precious set-up makes it once, in its function `make`.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from tests.support.fuzzing import fleet
from tests.support.runnable import driver

Consume = Callable[[bytes], None]


class Target(Struct, frozen=True):
    """`seeds`: good inputs, which mutants are made of. `make`: gives the function that is fuzzed."""

    name: str
    seeds: Sequence[bytes]
    make: Callable[[], Iterator[Consume]]

    @contextmanager
    def ready(self) -> Iterator[Consume]:
        yield from self.make()


_CHANNEL = b"""\
driver: modbus
url: tcp://192.0.2.10:502
defaults: {timeout: 1s, word_order: CDAB}
groups: {fast: 500ms, energy: {every: 15m, align: clock}}
devices:
  meter{01..03}: {unit_id: "{n}", profile: em24, params: {base: 100}}
  pump:
    unit_id: 7
    tags:
      run: {address: coil/3, type: bool, access: rw, verify: {tag: fb, settle: 2s}}
      fb: {address: coil/4, type: bool}
      speed: {address: 40101, type: uint16, scale: 0.1, range: [0, 1500], deadband: {percent: 1}, labels: {0: "off"}}
    alarms: {high: {tag: speed, above: 1400, priority: high, text: "Overspeed {speed}"}}
"""
_PROFILE = b"""\
em24:
  params: {base: 0}
  tags:
    power: {address: "holding/{base + 18}", type: int32, scale: 0.1, unit: W, group: fast}
"""
_RULES = b"""\
hot:
  when: pump.speed > 80 and not pump.run
  for: 10s
  start: [{write: {pump.run: true}}]
  alarm: {priority: low, text: "Hot {pump.speed:.1f}"}
"""
_GATEWAY = b"""\
gateway: {id: g1, timezone: Europe/Berlin}
uplinks: {cloud: {urls: ["mqtts://a.example:8883"], codec: json, select: {devices: ["*"]}}}
notify: {mail: {webhook: {url: "http://192.0.2.1/x"}, priority: low}}
vars: {hall: North}
"""


def _tree(file: str) -> Callable[[], Iterator[Consume]]:
    def make() -> Iterator[Consume]:
        from gateway.errors import ConfigError
        from gateway.registry import Registry
        from gateway.settings.credentials import CredentialFolders
        from gateway.settings.loader import load_files
        from rules.expression import RuleExpressions

        good = {"gateway.yaml": _GATEWAY, "channels/line1.yaml": _CHANNEL, "profiles/em24.yaml": _PROFILE}
        good["rules/a.yaml"] = _RULES
        drivers, expressions = Registry().load, RuleExpressions()

        def consume(data: bytes) -> None:
            try:
                load_files(
                    {**good, file: data},
                    drivers,
                    env={},
                    credentials=CredentialFolders(None, None),
                    expressions=expressions,
                )
            except ConfigError as error:
                assert error.problems
                assert all(problem.message for problem in error.problems)

        yield consume

    return make


def _imports() -> Iterator[Consume]:
    from gateway.importing.report import Report
    from gateway.importing.takeover import take_over
    from gateway.importing.writing import files_of

    def consume(data: bytes) -> None:
        report = Report()
        draft = take_over({"f.yaml": data}, report)
        files_of(draft)
        assert draft.channels or draft.profiles or report.problems.sorted() or report.notes

    yield consume


def _release() -> Iterator[Consume]:
    from gateway.ota.release import ReleaseRefused, check_fit, parse_release, slot_name, this_machine

    here = this_machine("1.0.0", 4, 1)

    def consume(data: bytes) -> None:
        try:
            release = parse_release(data)
            assert "/" not in slot_name(release, data)
            check_fit(release, here)
        except ReleaseRefused:
            pass

    yield consume


def _package() -> Iterator[Consume]:
    from gateway.ota.package import parse_package
    from gateway.ota.release import ReleaseRefused

    def consume(data: bytes) -> None:
        try:
            package = parse_package(data)
        except ReleaseRefused:
            return
        assert ".." not in package.target.split("/")
        assert all(wheel.file.startswith(f"drivers/{package.vendor}/") for wheel in package.wheels)

    yield consume


def _wheel() -> Iterator[Consume]:
    import shutil

    from gateway.ota.assembling import install
    from gateway.ota.parts import look
    from gateway.ota.release import ReleaseRefused, Wheel

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, staged, library = folder / "acme_driver-1.0-py3-none-any.whl", folder / "venv", folder / "venv/lib"
        row = Wheel("acme-driver", "1.0", f"drivers/acme/{file.name}", 1, "0" * 64)

        def consume(data: bytes) -> None:
            library.mkdir(parents=True)
            file.write_bytes(data)
            try:
                look(file)
                install(row, file, staged, Path("/final"), library, 1 << 20)
                assert all(not path.is_symlink() and not path.stat().st_mode & 0o6000 for path in staged.rglob("*"))
            except ReleaseRefused:
                pass
            finally:
                assert {path.name for path in folder.iterdir()} == {file.name, "venv"}
                shutil.rmtree(staged)

        yield consume


def _bundle() -> Iterator[Consume]:
    from gateway.ota.bundle import unpack
    from gateway.ota.release import ReleaseRefused

    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name), 0

        def consume(data: bytes) -> None:
            nonlocal count
            count += 1
            inbox = folder / str(count) / "inbox"
            file = folder / "a.fpb"
            file.write_bytes(data)
            try:
                names = unpack(file, inbox)
                assert all((inbox / each).is_file() for each in names)
            except ReleaseRefused:
                pass
            assert {path.name for path in folder.iterdir()} <= {"a.fpb", str(count)}
            if (folder / str(count)).exists():
                import shutil

                shutil.rmtree(folder / str(count))

        yield consume


def _socket() -> Iterator[Consume]:
    from gateway.local.wire import OpError, decode_request

    def consume(data: bytes) -> None:
        try:
            request = decode_request(data)
            assert isinstance(request.args, dict)
        except OpError as error:
            assert error.code == 400

    yield consume


def _command() -> Iterator[Consume]:
    from gateway.uplink.commands import parse_command, too_deep

    def consume(data: bytes) -> None:
        command = parse_command(data)
        if command is not None:
            assert len(command.hash) == 16
            too_deep(command.args)

    yield consume


def _job() -> Iterator[Consume]:
    from types import SimpleNamespace
    from typing import Any

    import msgspec

    from gateway.jobs.messages import JobMessage, parse_job
    from gateway.jobs.row import JobRow
    from gateway.jobs.work import Job, JobRefused
    from gateway.runtime.joblog import from_row, to_row
    from gateway.runtime.otadoc import parse_doc
    from gateway.runtime.restartjob import RestartWork
    from gateway.settings.types import OtaSettings

    allowing = OtaSettings(window=(120, 240), drivers=("*",))
    node: Any = SimpleNamespace()  # nothing of it is needed for a check
    work = RestartWork(node, environ={"NOTIFY_SOCKET": "/x"})

    def consume(data: bytes) -> None:
        found = parse_job(data)
        if not isinstance(found, JobMessage):
            assert found.text
            assert found.code in {400, 413}
            assert "/" not in found.id
            return
        row = JobRow(1, found.id, found.ver, found.op, found.doc, found.digest, "cloud", 1, 1, exp=found.exp)
        assert from_row(row.key, to_row(row)) == row
        assert msgspec.json.encode(row.status())
        try:
            work.check(Job(found.id, found.ver, "restart", found.doc, "cloud", found.exp))
        except JobRefused as refused:
            assert str(refused).startswith("doc.")
        for op in ("ota", "driver"):
            try:
                wanted = parse_doc(Job(found.id, found.ver, op, found.doc, "cloud", found.exp), allowing)
            except JobRefused as refused:
                assert str(refused).startswith("doc.")
            else:
                assert ".." not in wanted.target.split("/")

    yield consume


def _part() -> Iterator[Consume]:
    from gateway.uplink.parts import PART_BYTES, PartLink, parse_part

    link = PartLink("fp/1/t/gw", "j-1", lambda: None)

    def consume(data: bytes) -> None:
        part = parse_part(data)
        if part is not None:
            assert part.file
            assert part.total >= -1
            assert len(part.content) <= PART_BYTES
        link.handle(f"job/j-1/part/{data[:20].decode('latin-1')}", data)
        assert not link._came, "nobody asked for it"

    yield consume


def _message() -> Iterator[Consume]:
    from gateway.uplink.codecs.decode import decode_batch, decode_gap, decode_object, plain_payload

    def consume(data: bytes) -> None:
        for read in (plain_payload, decode_object, decode_batch, decode_gap):
            read(data)

    yield consume


def _payload() -> Iterator[Consume]:
    from drivers.mqtt.formats import BadPayload, decoder, guess

    decoders = [decoder(name) for name in ("json", "msgpack", "cbor", "plain")]

    def consume(data: bytes) -> None:
        guess(data)
        for decode in decoders:
            try:
                decode(data)
            except BadPayload as error:
                assert str(error)

    yield consume


def _modbus() -> Iterator[Consume]:
    from drivers.modbus.framing import Ascii, BadSum, Garbage, Mbap, Rtu

    framings = (Mbap(), Rtu(), Ascii())

    def consume(data: bytes) -> None:
        for framing in framings:
            try:
                adu, used = framing.take(data, 1, 3)
            except (BadSum, Garbage):
                continue
            assert 0 <= used <= len(data)
            assert adu is None or adu.pdu

    yield consume


def _members() -> bytes:
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in (("metadata/timestamp.json", b"{}"), ("targets/wheels/a.b-1.whl", b"x" * 700)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


_EDGEX = b"""\
name: P
deviceResources:
- {name: A, properties: {valueType: Float32, readWrite: RW, scale: "0.1"}, attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: 10.10, rawType: Int16}}
- {name: B, properties: {valueType: Bool, readWrite: R}, attributes: {primaryTable: COILS, startingAddress: 0}}
deviceCommands:
- {name: C, readWrite: RW, resourceOperations: [{deviceResource: A, defaultValue: "1", mappings: {"1": "ON"}}]}
---
deviceList:
- name: D
  profileName: P
  protocols: {modbus-tcp: {Address: 192.0.2.1, Port: 502, UnitID: 1, Timeout: 5}}
  autoEvents: [{interval: 20s, onChange: false, sourceName: C}]
"""
_RELEASE = (
    b'{"schema":1,"name":"fieldpost","version":"1.4.0","rollback_index":1,"compatible":{"platforms":["linux_aarch64"],'
    b'"python":["cp311"],"glibc_min":"2.36","state_schema":[4,5]},"wheels":[{"name":"a","version":"1","file":'
    b'"wheels/a-1-py3-none-any.whl","size":5,"sha256":"' + b"0" * 64 + b'"}],"health":{"tries":3}}'
)
_PACKAGE = (
    b'{"vendor":"acme","name":"acme-driver","version":"1.0","requires_api":1,"compatible":{"python":["cp311"]},"wheels":'
    b'[{"name":"acme-driver","version":"1.0","file":"drivers/acme/a.whl","size":5,"sha256":"' + b"0" * 64 + b'"}]}'
)
_BATCH = b'{"v":1,"gw":"g1","stream":"telemetry","epoch":1,"seq":7,"t":1795000000000,"d":"pump","tags":["speed"],"rows":[[0,[1.5]]]}'
TARGETS = (
    Target("config-gateway", (_GATEWAY,), _tree("gateway.yaml")),
    Target("config-channel", (_CHANNEL,), _tree("channels/line1.yaml")),
    Target("config-profile", (_PROFILE,), _tree("profiles/em24.yaml")),
    Target("config-rules", (_RULES,), _tree("rules/a.yaml")),
    Target("imports", (_EDGEX,), _imports),
    Target("release", (_RELEASE,), _release),
    Target("bundle", (_members(),), _bundle),
    Target("driver-package", (_PACKAGE,), _package),
    Target("wheel", (driver("acme", "1.0", "SPEC = 1\n", ["msgpack>=1"]),), _wheel),
    Target("local-socket", (b'{"id":1,"op":"write","args":{"values":{"pump.run":true}}}\n',), _socket),
    Target("command", (b'{"v":1,"rid":"r-1","op":"write","device":"pump","args":{"values":{"run":true}},"ttl":5000}',), _command),
    Target("job", (b'{"v":1,"id":"r-1","ver":2,"op":"restart","doc":{"window":"02:00-04:00"},"exp":1795086400000}', b'{"v":1,"id":"c-1","ver":1,"op":"config","doc":{"rev":7,"tree":{"channels/line1.yaml":"driver: sim"}}}', b'{"v":1,"id":"o-1","ver":1,"op":"ota","doc":{"target":"releases/fieldpost-1.4.0.json","window":"02:00-04:00","group":"a"}}'), _job),
    Target("part", (b"\0\x17metadata/timestamp.json\0\0\0\0\0\0\0\x02{}",), _part),
    Target("fleet", fleet.SEEDS, fleet.words),
    Target("uplink-message", (_BATCH, b'{"v":1,"gw":"g1","kind":"gap","first":1,"last":9,"reason":"cap"}'), _message),
    Target("mqtt-payload", (b'{"t":21.5,"on":true,"list":[1,2,{"a":null}]}', b"\x82\xa1a\x01\xa1b\xcb@5\x80\x00\x00\x00\x00\x00", b"\xa2aa\x01ab\xf9L\x00", b"21.5"), _payload),
    Target("modbus-answer", (bytes.fromhex("000100000007010304000a0102"), bytes.fromhex("010304000a0102dbb1"), b":010304000A0102EB\r\n", bytes.fromhex("018302c0f1")), _modbus),
)  # fmt: skip
