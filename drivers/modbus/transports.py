"""What a Modbus channel is connected to: the `url` or `serial` of its settings, checked, and how it is opened.

TLS: MODBUS/TCP Security V3.6 (port 802, client certificates). Serial lines: MODBUS over Serial Line V1.02, 2.5.1.1
(silence of 3.5 characters between frames, 1.75 ms above 19200 baud).
"""

from __future__ import annotations

import asyncio
import re
import ssl
import termios
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from drivers.modbus.point import PointError
from drivers.modbus.settings import ChannelSettings

PORT, TLS_PORT = 502, 802
FRAMINGS = {"tcp": "mbap", "tls": "mbap", "rtu+tcp": "rtu", "ascii+tcp": "ascii"}
"""What a url's scheme speaks."""
_EXAMPLE = "tcp://192.0.2.10:502"
_SERIAL_EXAMPLE = "serial: {port: /dev/serial/by-id/usb-adapter, line: 9600-8E1}"
_LINE = re.compile(r"(?P<baud>[1-9][0-9]{1,7})-(?P<bits>[78])(?P<parity>[NEOneo])(?P<stop>[12])")
_TIME = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?) ?(?P<unit>ms|s)")
_SERIAL_KEYS = ("port", "line", "turnaround", "gap", "framing", "echo", "rs485")
_SLOWEST, _FASTEST = 50, 4_000_000
"""Speeds that serial ports know (termios)."""
_FAST_BAUD, _FAST_GAP_S = 19200, 0.00175
_LONGEST_S = 5.0


class Line(Struct, frozen=True):
    """A serial line. `gap_s`: silence between frames; `turnaround_s`: what units need more after an answer.

    `echo`: the adapter gives our own bytes back. `rs485`: let the kernel switch the direction by RTS.
    """

    port: str
    baud: int = 9600
    bits: int = 8
    parity: str = "E"
    stop: int = 1
    framing: str = "rtu"
    gap_s: float = 0.0
    turnaround_s: float = 0.0
    echo: bool = False
    rs485: bool = False

    @property
    def char_s(self) -> float:
        """Seconds of one character on the line: start bit, data, parity, stop bits."""
        return (1 + self.bits + (self.parity != "N") + self.stop) / self.baud

    @property
    def text(self) -> str:
        return f"{self.baud}-{self.bits}{self.parity}{self.stop}"


class Net(Struct, frozen=True):
    """A server on the network. `secure`: by TLS, with what `tls` names."""

    scheme: str
    host: str
    port: int
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    @property
    def framing(self) -> str:
        return FRAMINGS[self.scheme]

    @property
    def secure(self) -> bool:
        return self.scheme == "tls"

    @property
    def doubt(self) -> str:
        """What may be wrong when the server hangs up without a word: TLS 1.3 judges a client after the handshake."""
        return ": the server may want a client certificate, or refuse the one it got" if self.secure else ""

    @property
    def name(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Place = Line | Net


def place_of(settings: ChannelSettings) -> Place:
    """Where a channel leads. Raises PointError with the field to blame."""
    if settings.serial is not None:
        if settings.url:
            raise PointError("serial", "`url` and `serial` both say where the devices are", "keep one of them")
        return _line(settings.serial)
    if not settings.url:
        raise PointError("url", "a Modbus channel needs a `url` or a `serial` line", f"url: {_EXAMPLE}")
    net = _net(settings.url)
    return _with_tls(net, settings.tls)


def _net(url: str) -> Net:
    if "://" not in url:
        scheme, colon, rest = url.partition(":")
        meant = f"{scheme}://{rest.lstrip('/')}" if colon and scheme in FRAMINGS else f"tcp://{url}"
        raise PointError("url", f"url {url!r} names no transport", meant)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as err:
        raise PointError("url", f"url {url!r}: {err}", _EXAMPLE) from None
    if parts.scheme not in FRAMINGS:
        known = ", ".join(FRAMINGS)
        raise PointError("url", f"there is no transport {parts.scheme!r} (known: {known})", _EXAMPLE)
    if port == 0 or not _is_host(parts) or parts.path not in {"", "/"} or parts.query or parts.username:
        raise PointError("url", f"url {url!r} is not of the form {parts.scheme}://host:port", _EXAMPLE)
    assert parts.hostname is not None
    return Net(parts.scheme, parts.hostname, port or (TLS_PORT if parts.scheme == "tls" else PORT))


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return bool(re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?", host))


def _with_tls(net: Net, tls: Mapping[str, Any] | None) -> Net:
    if tls is None:
        return net
    if not net.secure:
        raise PointError("tls", f"`tls` is set but {net.scheme}:// is not encrypted", f"url: tls://{net.name}")
    for key, value in tls.items():
        if key not in {"ca", "cert", "key"}:
            raise PointError(
                f"tls.{key}", f"unknown key `{key}` in `tls`", "tls: {ca: ca.pem, cert: gw.pem, key: gw.key}"
            )
        if not isinstance(value, str) or not value:
            raise PointError(f"tls.{key}", f"`{key}` is the name of a file")
    if ("cert" in tls) != ("key" in tls):
        missing = "key" if "cert" in tls else "cert"
        raise PointError("tls", f"`tls` has no `{missing}`", "a client certificate needs `cert` and `key`")
    return Net(net.scheme, net.host, net.port, tls.get("ca"), tls.get("cert"), tls.get("key"))


def _line(keys: Mapping[str, Any]) -> Line:
    for key in keys:
        if key not in _SERIAL_KEYS:
            raise PointError(f"serial.{key}", f"unknown key `{key}` in `serial`", f"known: {', '.join(_SERIAL_KEYS)}")
    port = keys.get("port")
    if not isinstance(port, str) or not port.startswith("/"):
        raise PointError("serial" if port is None else "serial.port", "a serial line needs a `port`", _SERIAL_EXAMPLE)
    framing = keys.get("framing", "rtu")
    if framing not in {"rtu", "ascii"}:
        raise PointError("serial.framing", f"there is no framing {framing!r}", "framing: rtu or ascii")
    text = keys.get("line", "9600-8E1" if framing == "rtu" else "9600-7E1")
    match = _LINE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise PointError(
            "serial.line", f"line {text!r} is not of the form 9600-8E1", "baud-bits parity stop: 19200-8N1"
        )
    baud = int(match["baud"])
    if not _SLOWEST <= baud <= _FASTEST:
        raise PointError("serial.line", f"{baud} baud is outside {_SLOWEST} to {_FASTEST}", "line: 9600-8E1")
    bits = int(match["bits"])
    if framing == "rtu" and bits != 8:
        raise PointError("serial.line", "RTU needs characters of 8 bits", f"line: {baud}-8E1")
    line = Line(port, baud, bits, match["parity"].upper(), int(match["stop"]), framing)
    gap = max(3.5 * line.char_s, 0.0) if line.baud <= _FAST_BAUD else _FAST_GAP_S
    return Line(
        *(port, line.baud, bits, line.parity, line.stop, framing),
        gap_s=_seconds(keys, "gap", gap if framing == "rtu" else 0.0),
        turnaround_s=_seconds(keys, "turnaround", 0.0),
        echo=_flag(keys, "echo"),
        rs485=_flag(keys, "rs485"),
    )


def _flag(keys: Mapping[str, Any], name: str) -> bool:
    value = keys.get(name, False)
    if not isinstance(value, bool):
        raise PointError(f"serial.{name}", f"`{name}` is true or false", f"{name}: true")
    return value


def _seconds(keys: Mapping[str, Any], name: str, default: float) -> float:
    value = keys.get(name)
    if value is None:
        return default
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PointError(f"serial.{name}", f"`{name}` is a time, {value!r} is not", f"{name}: 5ms")
    seconds = float(match["number"]) * (0.001 if match["unit"] == "ms" else 1.0)
    if seconds > _LONGEST_S:
        raise PointError(f"serial.{name}", f"`{name}` is at most {_LONGEST_S:g} s", f"{name}: 5ms")
    return seconds


# --- opening ----------------------------------------------------------------------------------------------------


def connector(place: Place) -> Callable[[Callable[[], Any]], Any]:
    """How the connection is opened: a coroutine function that takes a protocol factory. It raises OSError."""
    if isinstance(place, Net):
        return lambda factory: _open_net(place, factory)
    return lambda factory: _open_serial(place, factory)


async def _open_net(net: Net, factory: Callable[[], Any]) -> Any:
    context = await asyncio.to_thread(tls_context, net) if net.secure else None
    try:
        _, protocol = await asyncio.get_running_loop().create_connection(factory, net.host, net.port, ssl=context)
    except ssl.SSLError as error:
        if error.reason == "WRONG_VERSION_NUMBER":
            raise ConnectionError(71, "this port does not speak TLS") from error
        raise
    return protocol


def tls_context(net: Net) -> ssl.SSLContext:
    """The context of a client: system authorities or only `ca`; with our certificate if one is set. Raises OSError."""
    for file in (net.ca, net.cert, net.key):
        if file is not None and not Path(file).is_file():
            raise FileNotFoundError(2, f"there is no file {file}")
    try:
        context = ssl.create_default_context(cafile=net.ca)
    except ssl.SSLError as error:
        raise OSError(22, f"{net.ca} holds no certificates ({error.reason or error})") from error
    if net.cert:

        def phrase() -> str:  # OpenSSL would ask for it on the terminal
            raise OSError(22, f"{net.key} is locked by a pass phrase; a key without one is needed")

        try:
            context.load_cert_chain(net.cert, net.key, phrase)
        except ssl.SSLError as error:
            why = error.reason or error
            raise OSError(22, f"{net.cert} and {net.key} are no certificate and its key ({why})") from error
    return context


async def _open_serial(line: Line, factory: Callable[[], Any]) -> Any:
    """Open the port for us alone, with nothing left in its input."""
    from pymodbus.transport.serialtransport import create_serial_connection

    if (absent := _missing(line.port)) is not None:
        raise FileNotFoundError(2, absent)
    try:
        transport, protocol = await create_serial_connection(
            asyncio.get_running_loop(),
            factory,
            line.port,
            baudrate=line.baud,
            bytesize=line.bits,
            parity=line.parity,
            stopbits=line.stop,
            timeout=0,
        )
    except (termios.error, ValueError) as error:  # a pseudo-terminal has no parity, an adapter not every speed
        raise OSError(22, f"the port cannot be set to {line.text}") from error.with_traceback(None)  # it holds the port
    try:
        for _ in range(
            2
        ):  # the transport is set up in the next turn of the loop and meets its protocol in the one after
            await asyncio.sleep(0)
        _prepare(transport.sync_serial, line)  # type: ignore[attr-defined]
    except BaseException:
        transport.close()
        raise
    return protocol


def _prepare(port: Any, line: Line) -> None:
    """What is left to do with an open port. Raises OSError."""
    if line.rs485:
        from serial.rs485 import RS485Settings

        try:
            port.rs485_mode = RS485Settings()
        except ValueError as error:
            raise OSError(22, "the port knows no RS-485 mode; `rs485` is not for adapters that do it alone") from error
    try:
        port.reset_input_buffer()
    except termios.error as error:
        raise OSError(*error.args) from error


def _missing(port: str) -> str | None:
    """What to say when the port is not there: with what is."""
    if Path(port).exists():
        return None
    folder = Path("/dev/serial/by-id")
    found = sorted(str(path) for path in folder.iterdir()) if folder.is_dir() else []
    return f"there is no such port; plugged in: {', '.join(found)}" if found else "there is no such port"
