"""An application's own certificate and the list of those it trusts, as files that a person can look at and move.

`own.der` and `own.key`: who we are (OPC 10000-6, 6.2.2). `trusted/`: certificates that are trusted, of applications or
of authorities that issue them. `rejected/`: what was refused, by thumbprint; moving a file from `rejected` to `trusted`
is to trust it. `crl/`: revocation lists of the authorities. All files may be DER or PEM.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

LIFE = dt.timedelta(days=3 * 365)
RENEW_BEFORE = dt.timedelta(days=60)
_BITS = 2048
_MOST_REJECTED = 64
"""Files kept in `rejected`: whoever can reach a port must not fill a disk."""
_SAFE_S = 3600.0
"""A file in `rejected` gives way to a newer one after this time only: a crowd must not push out the one that somebody
is about to look at.
"""
_MOST_BYTES = 64 * 1024
_SUFFIXES = {".der", ".pem", ".crt", ".cer"}


class PkiError(Exception):
    """A certificate, key or list that cannot be used. The text names the file."""


class NotTrusted(PkiError):
    """The other side's certificate is refused. `thumbprint`: SHA-1, hex; `file`: where it was put; `reason`: unknown
    (in no list), expired (or not valid yet), revoked.
    """

    def __init__(self, text: str, thumbprint: str, file: Path, reason: str = "unknown") -> None:
        super().__init__(text)
        self.reason = reason
        self.thumbprint = thumbprint
        self.file = file


class Own(Struct, frozen=True):
    """Our certificate and key, DER and PEM. `expires`: UTC. `renewed`: it was made just now."""

    certificate: bytes
    key: bytes
    application_uri: str
    expires: dt.datetime
    renewed: bool = False


class Entry(Struct, frozen=True):
    """A certificate in a list. `state`: trusted or rejected."""

    state: str
    thumbprint: str
    subject: str
    application_uri: str
    expires: dt.datetime
    file: Path


class Pki:
    """The folder of one application. Making the object touches nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.own_certificate = folder / "own.der"
        self.own_key = folder / "own.key"
        self.trusted = folder / "trusted"
        self.rejected = folder / "rejected"
        self.revoked = folder / "crl"

    def own(
        self,
        application_uri: str,
        hosts: Sequence[str] = (),
        *,
        name: str = "Fieldpost",
        now: dt.datetime | None = None,
    ) -> Own:
        """Our certificate; made where there is none, and made anew (with the same key) before it expires or when it
        carries another application URI. Other `hosts` alone change nothing: whoever trusts it would have to do so
        again. An empty `application_uri` stands for what is there. Raises PkiError when the files cannot be read or
        written.
        """
        moment = now or dt.datetime.now(dt.UTC)
        try:
            self._make_folders()
            key = self._key()
            known = _load(self.own_certificate) if self.own_certificate.exists() else None
            application_uri = application_uri or (uri_of(known) if known is not None else "") or default_uri()
            if known is not None and _fits(known, key, application_uri, moment):
                return self._as_own(known, key, application_uri)
            fresh = self_signed(key, application_uri, hosts, name=name, now=moment)
            _write(self.own_certificate, fresh.public_bytes(serialization.Encoding.DER), 0o644)
            return self._as_own(fresh, key, application_uri, renewed=True)
        except (OSError, ValueError) as error:
            raise PkiError(f"{self.folder}: {error}") from error

    def check(self, der: bytes, now: dt.datetime | None = None, *, keep: bool = True) -> x509.Certificate:
        """The other side's certificate, when it is trusted and valid now. Raises NotTrusted; what is not in the list is
        put into `rejected`, unless that is full or it is not to be kept.
        """
        moment = now or dt.datetime.now(dt.UTC)
        try:
            cert = first_certificate(der)
        except ValueError as error:
            raise PkiError(f"the other side's certificate cannot be read: {error}") from error
        thumb = thumbprint(cert)
        trusted = [known for _, known in _certificates(self.trusted)]
        issuers = [known for known in trusted if _has_issued(known, cert)]
        if cert not in trusted and not issuers:
            file = self.reject(cert) if keep else self.rejected / f"{thumb}.der"
            raise NotTrusted(f"certificate {thumb} of {_text(cert)} is not trusted", thumb, file)
        place = self.trusted / f"{thumb}.der"
        if not cert.not_valid_before_utc <= moment <= cert.not_valid_after_utc:
            span = f"{cert.not_valid_before_utc:%Y-%m-%d} to {cert.not_valid_after_utc:%Y-%m-%d}"
            raise NotTrusted(f"certificate {thumb} of {_text(cert)} is valid from {span} only", thumb, place, "expired")
        if any(_is_revoked(crl, issuers, cert) for crl in _lists(self.revoked)):
            raise NotTrusted(f"certificate {thumb} of {_text(cert)} is revoked", thumb, place, "revoked")
        return cert

    def reject(self, cert: x509.Certificate) -> Path:
        """Keep a refused certificate where a person can find it; none is pushed out within an hour. Returns the file,
        also when it was not written.
        """
        file = self.rejected / f"{thumbprint(cert)}.der"
        with contextlib.suppress(OSError):
            self._make_folders()
            if not file.exists() and self._has_room():
                _write(file, cert.public_bytes(serialization.Encoding.DER), 0o644)
        return file

    def _has_room(self) -> bool:
        """Whether one more fits into `rejected`; the oldest gives way when it has been there for long enough."""
        files = sorted((each.stat().st_mtime, each) for each in self.rejected.iterdir())
        late = time.time() - _SAFE_S
        for at, old in files[: max(0, len(files) - _MOST_REJECTED + 1)]:
            if at > late:
                return False
            old.unlink()
        return True

    def entries(self) -> list[Entry]:
        """Everything in `trusted` and `rejected`."""
        return [
            Entry(folder.name, thumbprint(cert), _text(cert), uri_of(cert), cert.not_valid_after_utc, file)
            for folder in (self.trusted, self.rejected)
            for file, cert in _certificates(folder)
        ]

    def trust(self, prefix: str) -> Entry:
        """Move the rejected certificate whose thumbprint begins with `prefix`. Raises PkiError unless it is one."""
        wanted = prefix.replace(":", "").replace(" ", "").lower()
        found = [e for e in self.entries() if e.state == "rejected" and wanted and e.thumbprint.startswith(wanted)]
        if len(found) != 1:
            what = "no" if not found else f"{len(found)}"
            raise PkiError(f"{what} rejected certificates begin with {prefix!r} in {self.rejected}")
        entry = found[0]
        target = self.trusted / entry.file.name
        try:
            self._make_folders()
            shutil.move(entry.file, target)
        except OSError as error:
            raise PkiError(f"{entry.file}: {error}") from error
        return Entry("trusted", entry.thumbprint, entry.subject, entry.application_uri, entry.expires, target)

    def _make_folders(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.trusted, self.rejected, self.revoked):
            folder.mkdir(exist_ok=True)

    def _key(self) -> rsa.RSAPrivateKey:
        if self.own_key.exists():
            key = serialization.load_pem_private_key(self.own_key.read_bytes(), None)
            if not isinstance(key, rsa.RSAPrivateKey):
                raise PkiError(f"{self.own_key} holds no RSA key: OPC UA's policies need one")
            return key
        key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
        _write(self.own_key, _key_pem(key), 0o600)
        return key

    def _as_own(self, cert: x509.Certificate, key: rsa.RSAPrivateKey, uri: str, *, renewed: bool = False) -> Own:
        der = cert.public_bytes(serialization.Encoding.DER)
        return Own(der, _key_pem(key), uri, cert.not_valid_after_utc, renewed)


def self_signed(
    key: rsa.RSAPrivateKey,
    application_uri: str,
    hosts: Sequence[str] = (),
    *,
    name: str = "Fieldpost",
    now: dt.datetime | None = None,
    life: dt.timedelta = LIFE,
) -> x509.Certificate:
    """A certificate of an application, client and server in one, as OPC 10000-6, 6.2.2 asks for it."""
    moment = now or dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - dt.timedelta(days=1))  # the other side's clock may be behind
        .not_valid_after(moment + life)
        # many servers' lists hold authorities only, and a certificate that signed itself passes there as one
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(_usage(), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(_names(application_uri, hosts)), critical=False)
        .sign(key, hashes.SHA256())
    )


def thumbprint(cert: x509.Certificate) -> str:
    """SHA-1 of the DER form in hex: how OPC UA names a certificate."""
    return cert.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - a name, no proof


def uri_of(cert: x509.Certificate) -> str:
    """The application URI that a certificate carries, or an empty text."""
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), "")


def first_certificate(data: bytes) -> x509.Certificate:
    """The leading certificate of DER bytes (a server may send its chain in one piece). Raises ValueError."""
    if len(data) < 4 or data[0] != 0x30 or data[1] != 0x82:
        raise ValueError("these bytes are no DER certificate")
    return x509.load_der_x509_certificate(data[: int.from_bytes(data[2:4], "big") + 4])


def load_certificate(file: Path) -> x509.Certificate:
    """A certificate from a DER or PEM file. Raises PkiError."""
    try:
        return _load(file)
    except (OSError, ValueError) as error:
        raise PkiError(f"{file}: {error}") from error


def load_key_pem(file: Path) -> bytes:
    """An RSA key from a DER or PEM file, as PEM. Raises PkiError."""
    try:
        data = file.read_bytes()
        load = serialization.load_pem_private_key if b"-----BEGIN" in data else serialization.load_der_private_key
        key = load(data, None)
    except (OSError, ValueError, TypeError) as error:
        raise PkiError(f"{file}: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise PkiError(f"{file} holds no RSA key: OPC UA's policies need one")
    return _key_pem(key)


def default_uri() -> str:
    """The application URI of a certificate that is made here, unless somebody says another."""
    return f"urn:{socket.gethostname()}:fieldpost"


def default_folder() -> Path:
    """Where certificates are when nothing is said: `opcua` in the state directory of the service."""
    return Path(os.environ.get("STATE_DIRECTORY") or "/var/lib/fieldpost") / "opcua"


def _fits(cert: x509.Certificate, key: rsa.RSAPrivateKey, uri: str, moment: dt.datetime) -> bool:
    ours = cert.public_key() == key.public_key() and uri_of(cert) == uri
    return ours and moment < cert.not_valid_after_utc - RENEW_BEFORE


def _names(uri: str, hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri)]
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=True, data_encipherment=True,
        key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _key_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(file: Path, data: bytes, mode: int) -> None:
    """A whole file or none: a start that is cut must not leave half a key."""
    fresh = file.with_name(f".{file.name}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)


def _load(file: Path) -> x509.Certificate:
    data = file.read_bytes()
    return x509.load_pem_x509_certificate(data) if b"-----BEGIN" in data else first_certificate(data)


def _certificates(folder: Path) -> Iterator[tuple[Path, x509.Certificate]]:
    """Readable certificates of a folder; what is something else is passed over."""
    if not folder.is_dir():
        return
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in _SUFFIXES and file.stat().st_size <= _MOST_BYTES:
            with contextlib.suppress(OSError, ValueError):
                yield file, _load(file)


def _lists(folder: Path) -> Iterator[x509.CertificateRevocationList]:
    if not folder.is_dir():
        return
    for file in sorted(folder.iterdir()):
        with contextlib.suppress(OSError, ValueError):
            data = file.read_bytes()
            yield x509.load_pem_x509_crl(data) if b"-----BEGIN" in data else x509.load_der_x509_crl(data)


def _has_issued(authority: x509.Certificate, cert: x509.Certificate) -> bool:
    """Whether a trusted certificate is that of an authority that signed this one. An application's is none, whatever
    it says of itself: it is known by its URI.
    """
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        cert.verify_directly_issued_by(authority)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature):
        return False
    now = dt.datetime.now(dt.UTC)
    return (
        not uri_of(authority)
        and constraints.ca
        and authority.not_valid_before_utc <= now <= authority.not_valid_after_utc
    )


def _is_revoked(
    crl: x509.CertificateRevocationList, issuers: Sequence[x509.Certificate], cert: x509.Certificate
) -> bool:
    for issuer in issuers:
        key = issuer.public_key()
        if crl.issuer == issuer.subject and crl.is_signature_valid(key):  # type: ignore[arg-type]
            return crl.get_revoked_certificate_by_serial_number(cert.serial_number) is not None
    return False


def _text(cert: x509.Certificate) -> str:
    return f"{cert.subject.rfc4514_string()} ({uri_of(cert) or 'no application URI'})"


__all__ = [
    "LIFE", "RENEW_BEFORE", "Entry", "NotTrusted", "Own", "Pki", "PkiError", "default_folder", "default_uri",
    "first_certificate",
    "load_certificate", "load_key_pem", "self_signed", "thumbprint", "uri_of",
]  # fmt: skip
