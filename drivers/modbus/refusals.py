"""What an exception answer means (Modbus Application Protocol V1.1b3, 7)."""

from __future__ import annotations

from gateway.errors import DeviceUnavailable, GatewayError, RequestRefused

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge: the device needs more time",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}

_USELESS = {1, 2, 3}
_UNREACHABLE = {10, 11}


def refusal(code: int) -> GatewayError:
    """The error that an exception code means."""
    text = f"exception {code}: {EXCEPTIONS.get(code, 'unknown')}"
    if code in _UNREACHABLE:
        return DeviceUnavailable(text)
    return RequestRefused(text, code=code, reason="config" if code in _USELESS else "comm")
