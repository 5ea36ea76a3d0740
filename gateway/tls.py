"""TLS towards a server: the files a user names, and the context made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import ssl


class TlsSettings(Struct, frozen=True):
    """Files: the authority to trust, our certificate and its key."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def client_context(tls: TlsSettings | None) -> ssl.SSLContext:
    """The context for a secure address: system authorities, or only `ca`; with our certificate if one is set."""
    import ssl

    context = ssl.create_default_context(cafile=str(tls.ca) if tls and tls.ca else None)
    if tls and tls.cert:
        context.load_cert_chain(str(tls.cert), str(tls.key) if tls.key else None)
    return context
