"""UUIDs as people write them: `2a6e`, `0x2A6E`, or 128 bits. Inside they are the long lower-case text of BlueZ."""

from __future__ import annotations

import re

_BASE = "-0000-1000-8000-00805f9b34fb"
_SHORT = re.compile(r"(?:0x)?([0-9a-f]{4}|[0-9a-f]{8})\Z")
_LONG = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def uuid_of(written: str | int) -> str:
    """The long form. Raises ValueError."""
    text = f"{written:04x}" if isinstance(written, int) else written.strip().lower()
    if found := _SHORT.match(text):
        return f"{found[1]:0>8}{_BASE}"
    if _LONG.match(text):
        return text
    raise ValueError(f"{written!r} is no UUID: write 2a6e, or all 32 digits with their hyphens")


def short(uuid: str) -> str:
    """The four digits of a UUID that the Bluetooth SIG assigned, else the whole."""
    return uuid[4:8] if uuid.endswith(_BASE) and uuid.startswith("0000") else uuid


def company_of(written: str | int) -> int:
    """A company identifier, 0 to 65535. Raises ValueError."""
    try:
        number = written if isinstance(written, int) else int(written.strip(), 16 if "x" in written.lower() else 10)
    except ValueError:
        number = -1
    if not 0 <= number <= 0xFFFF:
        raise ValueError(f"{written!r} is no company identifier: write 0x0499")
    return number
