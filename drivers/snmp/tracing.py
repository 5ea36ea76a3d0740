"""A datagram in one line for people."""

from __future__ import annotations

from pyasn1.codec.ber import decoder
from pyasn1.error import PyAsn1Error
from pysnmp.error import PySnmpError
from pysnmp.proto import api
from pysnmp.proto.api import v2c

_MOST = 4
_NOT_OURS = (PySnmpError, PyAsn1Error, ValueError, TypeError, LookupError, AttributeError)


def told(data: bytes) -> str:
    """`get-response 17: 1.3.6.1.2.1.1.3.0 = 4711`; of v3, whose messages are encrypted, the size. Never a community."""
    try:
        if int(api.decodeMessageVersion(data)) != 1:
            return f"v3, {len(data)} bytes"
        message, _ = decoder.decode(data, asn1Spec=v2c.Message())
        pdu = v2c.apiMessage.get_pdu(message)
        kind = type(pdu).__name__.removesuffix("PDU")
        if kind == "GetBulkRequest":
            binds, status = v2c.apiBulkPDU.get_varbinds(pdu), 0
        else:
            binds, status = v2c.apiPDU.get_varbinds(pdu), int(v2c.apiPDU.get_error_status(pdu))
        shown = ", ".join(f"{oid} = {value.prettyPrint()[:40]}" for oid, value in binds[:_MOST])
        more = f" and {len(binds) - _MOST} more" if len(binds) > _MOST else ""
        refused = f" status {status}" if status else ""
        return f"{kind} {int(v2c.apiPDU.get_request_id(pdu))}{refused}: {shown}{more}"
    except _NOT_OURS:
        return "no message of SNMP"
