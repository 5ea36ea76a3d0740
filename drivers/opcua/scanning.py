"""What a server offers before anybody logs in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from drivers.opcua import pki
from drivers.opcua.connecting import endpoints, policy_name
from drivers.opcua.settings import ChannelSettings

_IDENTITIES = {0: "anonymous", 1: "user", 2: "certificate", 3: "token"}


async def scan(
    settings: ChannelSettings, timeout_s: float, options: Mapping[str, Any]
) -> AsyncIterator[Mapping[str, Any]]:
    """One finding for each endpoint: policy, mode, identities, the server's name and its certificate's thumbprint;
    `keys`: what to write into a channel for it. Raises ValueError, LinkLost.
    """
    if options:
        raise ValueError(f"a scan of OPC UA has no option {next(iter(options))}")
    found = await endpoints(settings, timeout_s)
    for endpoint in sorted(found, key=lambda e: -e.SecurityLevel):
        policy, mode = policy_name(endpoint.SecurityPolicyUri), endpoint.SecurityMode.name.removesuffix("_")
        security = {} if policy == "None" else {"security": {"policy": policy, "mode": mode}}
        yield {
            "endpoint": endpoint.EndpointUrl,
            "policy": policy,
            "mode": mode,
            "level": endpoint.SecurityLevel,
            "identities": list(
                dict.fromkeys(_IDENTITIES.get(t.TokenType.value, "?") for t in endpoint.UserIdentityTokens)
            ),
            "server": endpoint.Server.ApplicationName.Text or "",
            "application_uri": endpoint.Server.ApplicationUri or "",
            "certificate": _thumbprint(endpoint.ServerCertificate),
            "keys": {"driver": "opcua", "url": settings.url, **security},
        }
    yield {"done": len(found), "of": len(found)}


def _thumbprint(der: bytes | None) -> str:
    try:
        return pki.thumbprint(pki.first_certificate(der)) if der else ""
    except ValueError:
        return ""


__all__ = ["scan"]
