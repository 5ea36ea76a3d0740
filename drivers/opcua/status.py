"""Status codes of OPC UA as qualities, and as words for people. Source: OPC 10000-4, 7.38 and OPC 10000-8."""

from __future__ import annotations

from gateway.model import Quality

_BAD = 0x80000000
_SEVERITY = 0xC0000000
_CODE = 0xFFFF0000
_OVERFLOW = 0x0480
"""Info type "data value" with the bit that says values were lost in the server's queue."""

_LOCAL_OVERRIDE = 0x00960000
_UNCERTAIN = {
    0x408F0000: Quality.STALE,  # UncertainNoCommunicationLastUsableValue
    0x40900000: Quality.STALE,  # UncertainLastUsableValue
}
_NAMED = {
    Quality.BAD_COMM: (
        0x80050000,  # BadCommunicationError
        0x800A0000,  # BadTimeout
        0x80310000,  # BadNoCommunication
        0x80320000,  # BadWaitingForInitialData
        0x808A0000,  # BadNotConnected
        0x808B0000,  # BadDeviceFailure
        0x808D0000,  # BadOutOfService
    ),
    Quality.BAD_CONFIG: (
        0x80330000,  # BadNodeIdInvalid
        0x80340000,  # BadNodeIdUnknown
        0x80350000,  # BadAttributeIdInvalid
        0x80360000,  # BadIndexRangeInvalid
        0x80370000,  # BadIndexRangeNoData
        0x803A0000,  # BadNotReadable
        0x801F0000,  # BadUserAccessDenied
        0x80740000,  # BadTypeMismatch
        0x80890000,  # BadConfigurationError
        0x803D0000,  # BadNotSupported
        0x806F0000,  # BadNoMatch
        0x80600000,  # BadBrowseNameInvalid
    ),
    Quality.BAD_SENSOR: (0x808C0000,),  # BadSensorFailure
    Quality.BAD_RANGE: (0x803C0000,),  # BadOutOfRange
}
_BY_CODE = {code: int(quality) for quality, codes in _NAMED.items() for code in codes}


def quality_of(code: int) -> int:
    """The quality that a status means."""
    if not code & _SEVERITY:
        return int(Quality.LOCAL_OVERRIDE) if code & _CODE == _LOCAL_OVERRIDE else int(Quality.GOOD)
    if code & _BAD:
        return _BY_CODE.get(code & _CODE, int(Quality.BAD))
    return int(_UNCERTAIN.get(code & _CODE, Quality.UNCERTAIN))


def is_bad(code: int) -> bool:
    return bool(code & _BAD)


def is_gone(code: int) -> bool:
    """Whether there is no such node (any more): its monitored item never speaks again, even if the node comes back."""
    return code & _CODE in {0x80330000, 0x80340000}  # BadNodeIdInvalid, BadNodeIdUnknown


def has_overflowed(code: int) -> bool:
    """Whether the server says that values between this one and the one before are lost."""
    return code & _OVERFLOW == _OVERFLOW


def words(code: int) -> str:
    """`BadNodeIdUnknown: The node id refers to a node that does not exist...`; empty for a good one."""
    if not code & _SEVERITY:
        return ""
    from asyncua.ua import status_codes

    name, doc = status_codes.get_name_and_doc(code & _CODE)
    return f"{name}: {doc.rstrip('.')}" if doc and doc != name else str(name)
