"""Certificates as files: made, renewed, trusted, refused."""

import datetime as dt
import os
import stat
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from drivers.opcua.pki import LIFE, RENEW_BEFORE, NotTrusted, Pki, PkiError, self_signed, thumbprint, uri_of

URI = "urn:fieldpost:gw"
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def der(cert):
    return cert.public_bytes(serialization.Encoding.DER)


def test_a_certificate_is_made_once_and_carries_uri_and_hosts(tmp_path):
    pki = Pki(tmp_path / "pki")
    first = pki.own(URI, ["gw.example", "192.0.2.1"], now=NOW)
    again = pki.own("", ["another.example"], now=NOW)
    assert again.application_uri == URI
    assert first.renewed
    assert not again.renewed
    assert again.certificate == first.certificate
    assert stat.S_IMODE(pki.own_key.stat().st_mode) == 0o600
    cert = x509.load_der_x509_certificate(first.certificate)
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert uri_of(cert) == URI
    assert names.get_values_for_type(x509.DNSName) == ["gw.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]


def test_it_is_renewed_before_it_expires_with_the_same_key(tmp_path):
    pki = Pki(tmp_path)
    first = pki.own(URI, now=NOW)
    before = pki.own(URI, now=NOW + LIFE - RENEW_BEFORE - dt.timedelta(days=1))
    late = pki.own(URI, now=NOW + LIFE - RENEW_BEFORE + dt.timedelta(days=1))
    assert before.certificate == first.certificate
    assert late.renewed
    assert late.key == first.key
    assert late.expires > first.expires


def test_another_application_uri_makes_another_certificate(tmp_path):
    pki = Pki(tmp_path)
    pki.own(URI, now=NOW)
    other = pki.own("urn:other", now=NOW)
    assert other.renewed
    assert uri_of(x509.load_der_x509_certificate(other.certificate)) == "urn:other"


def test_a_stranger_is_refused_and_trusted_by_moving_its_file(tmp_path, key):
    pki = Pki(tmp_path)
    stranger = self_signed(key, "urn:server", now=NOW)
    with pytest.raises(NotTrusted) as refused:
        pki.check(der(stranger), now=NOW)
    assert refused.value.thumbprint == thumbprint(stranger)
    assert refused.value.file == pki.rejected / f"{thumbprint(stranger)}.der"
    refused.value.file.rename(pki.trusted / "line-1.der")
    assert pki.check(der(stranger), now=NOW) == stranger


def test_trusting_by_thumbprint_moves_the_one_that_was_meant(tmp_path, key):
    pki = Pki(tmp_path)
    certs = [self_signed(key, f"urn:server:{i}", now=NOW) for i in range(3)]
    for cert in certs:
        pki.reject(cert)
    with pytest.raises(PkiError, match="no rejected certificates"):
        pki.trust("zz")
    with pytest.raises(PkiError, match="no rejected certificates"):
        pki.trust("")
    name = thumbprint(certs[1]).upper()
    entry = pki.trust(":".join(name[i : i + 2] for i in range(0, 40, 2)))
    assert entry.application_uri == "urn:server:1"
    assert {e.application_uri: e.state for e in pki.entries()} == {
        "urn:server:0": "rejected", "urn:server:1": "trusted", "urn:server:2": "rejected",
    }  # fmt: skip


def test_a_trusted_certificate_is_refused_out_of_its_time(tmp_path, key):
    pki = Pki(tmp_path)
    cert = self_signed(key, "urn:server", now=NOW)
    pki.reject(cert)
    pki.trust(thumbprint(cert))
    with pytest.raises(NotTrusted, match="is valid from") as refused:
        pki.check(der(cert), now=NOW + LIFE + dt.timedelta(days=1))
    assert refused.value.reason == "expired"


def authority(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plant ca")])
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )


def issued(ca, ca_key, key, serial):
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plc")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .sign(ca_key, hashes.SHA256())
    )


def test_what_a_trusted_authority_issued_is_trusted_until_it_is_revoked(tmp_path, key):
    pki = Pki(tmp_path)
    ca_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ca = authority(ca_key)
    good, bad = issued(ca, ca_key, key, 10), issued(ca, ca_key, key, 11)
    with pytest.raises(NotTrusted):
        pki.check(der(good))
    (pki.trusted / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    now = dt.datetime.now(dt.UTC)
    revoked = x509.RevokedCertificateBuilder().serial_number(11).revocation_date(now).build()
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.subject)
        .last_update(now)
        .next_update(now + dt.timedelta(days=1))
        .add_revoked_certificate(revoked)
        .sign(ca_key, hashes.SHA256())
    )
    (pki.revoked / "ca.crl").write_bytes(crl.public_bytes(serialization.Encoding.DER))
    assert pki.check(der(good)) == good
    with pytest.raises(NotTrusted, match="revoked"):
        pki.check(der(bad))


def test_a_trusted_application_is_no_authority(tmp_path, key):
    pki = Pki(tmp_path)
    application = self_signed(key, "urn:server")
    pki.reject(application)
    pki.trust(thumbprint(application))
    forged = issued(application, key, rsa.generate_private_key(public_exponent=65537, key_size=2048), 12)
    with pytest.raises(NotTrusted, match="is not trusted"):
        pki.check(der(forged))


def test_strangers_do_not_fill_the_disk(tmp_path, key):
    pki = Pki(tmp_path)
    earliest = self_signed(key, "urn:earliest", now=NOW)
    pki.reject(earliest)
    for i in range(70):
        pki.reject(self_signed(key, f"urn:{i}", now=NOW))
    assert len(list(pki.rejected.iterdir())) == 64
    first = pki.rejected / f"{thumbprint(earliest)}.der"
    assert first.exists()  # the crowd pushed nobody out
    os.utime(first, (time.time() - 7200, time.time() - 7200))
    late = self_signed(key, "urn:late", now=NOW)
    assert pki.reject(late).exists()
    assert not first.exists()
    assert len(list(pki.rejected.iterdir())) == 64


@pytest.mark.parametrize("data", [b"", b"0", b"\x30\x82\xff\xff" + bytes(10), b"hello certificate"])
def test_bytes_that_are_no_certificate_are_refused_in_words(tmp_path, data):
    with pytest.raises(PkiError, match="cannot be read"):
        Pki(tmp_path).check(data)
