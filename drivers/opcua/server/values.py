"""Between the gateway's values and OPC UA's: types, qualities as status codes, times, results of writes.

Status codes: OPC 10000-4, 7.39, and OPC 10000-8, table A.2 for those of data access.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from asyncua import ua

from gateway.errors import WriteRejected
from gateway.model import Quality, WriteResult, WriteState
from gateway.serving.contract import BOOL, BYTES, FLOAT, INT, OBJECT, TEXT, Offer, Shown

_CODES = ua.StatusCodes
STATUS = {
    Quality.GOOD: _CODES.Good,
    Quality.LOCAL_OVERRIDE: _CODES.GoodLocalOverride,
    Quality.UNCERTAIN: _CODES.Uncertain,
    Quality.STALE: _CODES.UncertainLastUsableValue,
    Quality.LAST_KNOWN: _CODES.UncertainNoCommunicationLastUsableValue,
    Quality.BAD: _CODES.Bad,
    Quality.BAD_COMM: _CODES.BadNoCommunication,
    Quality.BAD_STALE: _CODES.BadDataUnavailable,
    Quality.BAD_RANGE: _CODES.BadOutOfRange,
    Quality.BAD_CONFIG: _CODES.BadConfigurationError,
    Quality.BAD_SENSOR: _CODES.BadSensorFailure,
}
_REFUSED = {
    400: _CODES.BadTypeMismatch,
    403: _CODES.BadUserAccessDenied,
    404: _CODES.BadNodeIdUnknown,
    408: _CODES.BadTimeout,
    422: _CODES.BadOutOfRange,
    429: _CODES.BadTooManyOperations,
}
_SIZES = (
    ("UInt16", 0, 2**16 - 1),
    ("Int16", -(2**15), 2**15 - 1),
    ("UInt32", 0, 2**32 - 1),
    ("Int32", -(2**31), 2**31 - 1),
    ("UInt64", 0, 2**64 - 1),
    ("Int64", -(2**63), 2**63 - 1),
)
_FIXED = {BOOL: "Boolean", FLOAT: "Double", TEXT: "String", BYTES: "ByteString", OBJECT: "String"}
_NUMBERS = {
    *(ua.VariantType.SByte, ua.VariantType.Byte, ua.VariantType.Int16, ua.VariantType.UInt16, ua.VariantType.Int32),
    *(ua.VariantType.UInt32, ua.VariantType.Int64, ua.VariantType.UInt64, ua.VariantType.Float, ua.VariantType.Double),
}
_TYPES = {BOOL: {ua.VariantType.Boolean}, BYTES: {ua.VariantType.ByteString}, TEXT: {ua.VariantType.String}}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Told(ua.DataValue):  # type: ignore[misc]
    """A value that nobody changes any more: the library copies one for each monitored item, and need not."""

    def __deepcopy__(self, _memo: Any) -> Told:
        return self


def variant_type(offer: Offer) -> ua.VariantType:
    """The type of a tag's values: the smallest integer that holds all of them, Double for every other number."""
    if offer.kind == INT:
        name = next((name for name, low, high in _SIZES if low <= offer.low and offer.high <= high), "Double")
        return ua.VariantType[name]
    return ua.VariantType[_FIXED[offer.kind]]


def data_value(shown: Shown, kind: ua.VariantType, now: dt.datetime) -> ua.DataValue:
    """What a client reads. A value that does not fit its type is none."""
    status, value = STATUS[shown.quality], shown.value
    source = None if shown.ts is None else _EPOCH + dt.timedelta(milliseconds=shown.ts)
    if value is None and shown.quality < Quality.BAD:
        status = _CODES.BadWaitingForInitialData if source is None else _CODES.BadNoData
    elif value is not None and not _fits(value, kind):
        status, value = _CODES.BadOutOfRange, None
    variant = ua.Variant(None, ua.VariantType.Null)
    if value is not None:
        variant = ua.Variant(float(value) if kind is ua.VariantType.Double else value, kind)
    return Told(variant, ua.StatusCode(status), SourceTimestamp=source, ServerTimestamp=now)


def _fits(value: Any, kind: ua.VariantType) -> bool:
    size = next(((low, high) for name, low, high in _SIZES if name == kind.name), None)
    if size is not None:
        return isinstance(value, int) and not isinstance(value, bool) and size[0] <= value <= size[1]
    return kind is not ua.VariantType.Double or isinstance(value, int | float)


def written_value(offer: Offer, value: ua.DataValue) -> Any:
    """What a client wants a tag to be. Any number may be written to a number: its range is checked as everybody's.
    Raises WriteRejected 400.
    """
    variant = value.Value
    if variant is None or variant.Value is None or variant.is_array or isinstance(variant.Value, list):
        raise WriteRejected(f"{offer.name} takes one value", code=400)
    accepted = _TYPES.get(offer.kind, {ua.VariantType.String} if offer.kind == OBJECT else _NUMBERS)
    if variant.VariantType not in accepted:
        raise WriteRejected(f"{offer.name} is a {offer.type.value}; got {variant.VariantType.name}", code=400)
    if isinstance(variant.Value, float) and not math.isfinite(variant.Value):
        raise WriteRejected(f"{offer.name} takes a number; got {variant.Value}", code=422)
    return variant.Value


def write_status(result: WriteResult) -> int:
    """The status code that tells how a write ended."""
    if result.state is WriteState.OK:
        return int(_CODES.Good)
    if result.state is WriteState.REJECTED:
        return int(_REFUSED.get(result.code, _CODES.BadInvalidArgument))
    if result.state is WriteState.EXPIRED:
        return int(_CODES.BadTimeout)
    if result.state is WriteState.SUPERSEDED:
        return int(_CODES.BadRequestCancelledByClient)
    return int(_CODES.BadNoCommunication if result.code == 504 else _CODES.BadDeviceFailure)
