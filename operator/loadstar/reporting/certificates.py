"""The endpoint's own certificate authority, and the certificate it shows. Pure, but for randomness of keys.

Pods get the authority's certificate when they are created and keep it while they run, so it lasts for years and stays
over restarts; what the server shows is renewed often, and whenever its names change.
"""

import ipaddress
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LASTS: Final = timedelta(days=3650)
AUTHORITY_RENEWED_BEFORE: Final = timedelta(days=365)
"""Pods that started under the old authority can't report any more after this: it leaves them a year."""
SERVER_LASTS: Final = timedelta(days=90)
SERVER_RENEWED_BEFORE: Final = timedelta(days=30)
_CLOCK_SLACK: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificates:
    """All in PEM."""

    authority: bytes
    authority_key: bytes
    server: bytes
    server_key: bytes


def up_to_date(kept: Certificates | None, hosts: Iterable[str], now: datetime) -> Certificates:
    """`kept` as it is while it is good for these host names, else with what must be new made anew."""
    names = sorted(set(hosts))
    if kept is None or not _authority_is_good(kept, now):
        key = _new_key()
        authority = _authority(key, now)
        kept = Certificates(_pem(authority), _key_pem(key), b"", b"")
    if _server_is_good(kept, names, now):
        return kept
    key = _new_key()
    return replace(kept, server=_pem(_server(kept, key, names, now)), server_key=_key_pem(key))


def tls_context(certificates: Certificates) -> ssl.SSLContext:
    """What the server speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with (
        tempfile.NamedTemporaryFile() as file
    ):  # the ssl module reads keys from files only; this one is ours alone
        file.write(certificates.server + certificates.server_key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _authority_is_good(kept: Certificates, now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(kept.authority)
        key = serialization.load_pem_private_key(kept.authority_key, None)
    except (ValueError, TypeError):
        return False
    ours = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key()
    return ours and now < certificate.not_valid_after_utc - AUTHORITY_RENEWED_BEFORE


def _server_is_good(kept: Certificates, names: list[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(kept.server)
        key = serialization.load_pem_private_key(kept.server_key, None)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(kept.authority))
        shown = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    ours = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key()
    same = sorted(str(name.value) for name in shown) == names
    return ours and same and now < certificate.not_valid_after_utc - SERVER_RENEWED_BEFORE


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loadstar-progress-ca")])
    builder = _certificate(name, name, key.public_key(), now, AUTHORITY_LASTS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return builder.sign(key, hashes.SHA256())


def _server(
    kept: Certificates, key: ec.EllipticCurvePrivateKey, names: list[str], now: datetime
) -> x509.Certificate:
    authority = x509.load_pem_x509_certificate(kept.authority)
    signing = serialization.load_pem_private_key(kept.authority_key, None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loadstar-progress")])
    builder = _certificate(subject, authority.subject, key.public_key(), now, SERVER_LASTS)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    builder = builder.add_extension(issuer, critical=False)
    shown = x509.SubjectAlternativeName([_general_name(name) for name in names])
    return builder.add_extension(shown, critical=False).sign(signing, hashes.SHA256())


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _CLOCK_SLACK).not_valid_after(now + lasts)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
