"""Errors of Fieldpost. The class says what happens next; data travels as attributes, never in the text alone."""

from __future__ import annotations

from msgspec import Struct


class GatewayError(Exception):
    """Root of every error that Fieldpost raises on purpose."""


class DeviceUnavailable(GatewayError):
    """A device did not answer in time or said that it is unreachable. Retried for ever by the arbiter."""


class LinkLost(DeviceUnavailable):
    """The channel's connection is gone: every device on it is away until the driver has connected again."""


class RequestRefused(GatewayError):
    """The device answered and said no. Only the tags of this request are bad; the device is online.

    `code` is the protocol's own number (Modbus: the exception code), `reason` the quality reason it means:
    `config` when asking again is useless, `comm` when later may help.
    """

    def __init__(self, text: str, *, code: int = 0, reason: str = "config") -> None:
        super().__init__(text)
        self.code = code
        self.reason = reason


class BadFrame(GatewayError):
    """Bytes came that cannot be the answer to what was asked: never becomes a value, counted."""


class WriteRejected(GatewayError):
    """A write that is not tried: `code` is the result code of protocol.md 1.3 (400, 403, 404, 422, 429...)."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code = code


class AuthError(GatewayError):
    """The other side refuses our identity: an issue, retried slowly."""


class PermanentError(GatewayError):
    """Trying again cannot help: stops this driver only."""


class StoreError(GatewayError):
    """The store refused an operation; nothing of the transaction was kept."""


class StoreFull(StoreError):
    """Disk or map is full, and freeing by policy did not help."""


class StoreDamaged(StoreError):
    """A store file is truncated or fails a check."""


class Problem(Struct, frozen=True):
    """One thing wrong with a configuration tree, where a person can find it.

    `line` and `column` are 1-based; 0 means that no position in the file is to blame.
    `path` is the field path in the file (`devices.pump.tags.speed.type`); `hint` shows the corrected form.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(GatewayError):
    """A configuration cannot be used. Carries every problem found, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
