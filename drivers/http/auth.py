"""Who we are: Basic (RFC 7617), Bearer (RFC 6750) and Digest (RFC 7616: MD5 and SHA-256, qop auth or none)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import Final

from drivers.http.settings import ChannelSettings

_PART: Final = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME: Final = re.compile(r"(?:^|,\s*)(Basic|Digest|Bearer)\b", re.IGNORECASE)
# MD5 is what devices of the field speak; the wire's protection is TLS, not this.
_HASHES: Final = {"MD5": "md5", "SHA-256": "sha256"}


def challenges(headers: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Schemes and parameters of WWW-Authenticate headers, in their order; what is no challenge is left out."""
    found: list[tuple[str, dict[str, str]]] = []
    for header in headers:
        places = list(_SCHEME.finditer(header))
        for number, place in enumerate(places):
            end = places[number + 1].start() if number + 1 < len(places) else len(header)
            parts = _PART.findall(header[place.end() : end])
            found.append((place[1].lower(), {key.lower(): quoted or plain for key, quoted, plain in parts}))
    return found


class Identity:
    """Makes Authorization headers; learns from a 401 what the server wants."""

    def __init__(self, settings: ChannelSettings) -> None:
        self._settings = settings
        self._digest: dict[str, str] | None = None
        self._basic = settings.auth == "basic"
        self._count = 0

    def header(self, method: str, path: str) -> str | None:
        """What to send unasked; None for nothing."""
        if self._settings.token:
            return f"Bearer {self._settings.token}"
        if self._digest is not None:
            return self._answered(self._digest, method, path)
        if self._basic and self._settings.username:
            pair = f"{self._settings.username}:{self._settings.password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return None

    def learn(self, headers: list[str], sent: str | None) -> bool:
        """Whether the same request may be asked again, with another header. `sent`: that of the one refused."""
        if not self._settings.username or self._settings.token:
            return False
        offered = challenges(headers)
        for scheme, parts in offered:
            if scheme == "digest" and self._settings.auth != "basic" and self._usable(parts):
                # A second refusal is one of the password, unless the server says that only its number was too old.
                if sent is not None and sent.startswith("Digest") and parts.get("stale", "").lower() != "true":
                    return False
                self._digest, self._count = parts, 0
                return True
        if self._settings.auth == "auto" and sent is None and any(scheme == "basic" for scheme, _ in offered):
            self._basic = True
            return True
        return False

    @staticmethod
    def _usable(parts: dict[str, str]) -> bool:
        qops = [word.strip() for word in parts.get("qop", "auth").split(",")]
        return "nonce" in parts and parts.get("algorithm", "MD5").upper() in _HASHES and "auth" in qops

    def _answered(self, parts: dict[str, str], method: str, path: str) -> str:
        algorithm = parts.get("algorithm", "MD5")

        def hashed(text: str) -> str:
            return hashlib.new(_HASHES[algorithm.upper()], text.encode(), usedforsecurity=False).hexdigest()

        name, realm, nonce = self._settings.username, parts.get("realm", ""), parts["nonce"]
        first, second = hashed(f"{name}:{realm}:{self._settings.password}"), hashed(f"{method}:{path}")
        fields = {"username": name, "realm": realm, "nonce": nonce, "uri": path}
        bare = {"algorithm": algorithm}
        if "qop" in parts:
            self._count += 1
            count, ours = f"{self._count:08x}", secrets.token_hex(8)
            fields |= {"cnonce": ours, "response": hashed(f"{first}:{nonce}:{count}:{ours}:auth:{second}")}
            bare |= {"qop": "auth", "nc": count}
        else:
            fields["response"] = hashed(f"{first}:{nonce}:{second}")
        if "opaque" in parts:
            fields["opaque"] = parts["opaque"]
        texts = [f'{key}="{_escaped(value)}"' for key, value in fields.items()]
        return "Digest " + ", ".join(texts + [f"{key}={value}" for key, value in bare.items()])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
