"""The local certificate authority: one identity, one certificate, one URI SAN; renewed while everything runs.

Layout below `<home>/certificates`:

    authority/<number>-<serial>.{pem,key}
                                   authorities, oldest first; `authority/current` names the one that issues
    <identity>                     a symbolic link to the newest `versions/<identity>-<serial>/` with
                                   certificate.pem, key.pem, authorities.pem; swapped by one rename, so a
                                   reader that resolves the link once reads a pair that belongs together
    envoy/<identity>.yaml          SDS: one Secret named `<identity>`, certificate and key together (edge, mesh)
    envoy/authorities.yaml         SDS: one Secret named `authorities`, the validation context

Envoy watches the folder `envoy` and takes a renamed file within two seconds.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.stack.home import Exclusive, StackError, write_atomically
from mesh.stack.ports import IDENTITIES, SERVICES

LEAF_LIFE = timedelta(hours=24)
AUTHORITY_LIFE = timedelta(days=365)
# Clocks of two machines may differ a little; on one machine nobody should see "not yet valid".
BACKDATE = timedelta(minutes=5)
ENVOY_IDENTITIES = ("edge", "mesh")
TRUST_DOMAIN = "hazina"


def spiffe_id(identity: str) -> str:
    """The one URI SAN of `identity`."""
    return f"spiffe://{TRUST_DOMAIN}/{identity}"


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate with the key that signs leaves."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def serial(self) -> str:
        """Serial number in hex: names its files."""
        return f"{self.certificate.serial_number:040x}"


@dataclass(slots=True)
class Certificates:
    """All certificates of one mesh, below `folder`."""

    folder: Path
    identities: Sequence[str] = IDENTITIES
    # Further DNS names of the edge listener, e.g. a public host name.
    edge_names: Sequence[str] = ()
    _lock: Exclusive = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._lock = Exclusive(self.folder)

    def prepare(self, *, now: datetime | None = None) -> None:
        """Make what is missing or past half of its life; leave everything else alone."""
        now = now or datetime.now(UTC)
        with self._lock:
            if not self._authorities():
                self._add_authority(now)
            due = [identity for identity in self.identities if self._is_due(identity, now)]
            for identity in due:
                self._issue(identity, now)
            self._write_sds()

    def rotate(self, *, now: datetime | None = None) -> None:
        """Issue a new certificate for every identity."""
        now = now or datetime.now(UTC)
        with self._lock:
            for identity in self.identities:
                self._issue(identity, now)
            self._write_sds()

    def begin_authority_roll(self, *, now: datetime | None = None) -> None:
        """First step of a new authority: everyone trusts both, the old one still issues."""
        now = now or datetime.now(UTC)
        with self._lock:
            issuer = self._issuer()
            self._add_authority(now)
            write_atomically(self._authority_folder / "current", issuer.serial + "\n")
            self._republish_authorities()

    def switch_authority(self, *, now: datetime | None = None) -> None:
        """Second step, when everyone trusts both: the newest authority issues, all leaves are new."""
        with self._lock:
            newest = self._authorities()[-1]
            write_atomically(self._authority_folder / "current", newest.serial + "\n")
            self.rotate(now=now)

    def drop_old_authorities(self) -> None:
        """Last step, when everyone shows a new leaf: only the issuing authority is trusted."""
        with self._lock:
            issuer = self._issuer()
            for authority in self._authorities():
                if authority.serial != issuer.serial:
                    for path in self._authority_folder.glob(f"*-{authority.serial}.*"):
                        path.unlink()
            self._republish_authorities()

    async def roll_authority(self, *, pause_seconds: float = 6) -> None:
        """All three steps, with time between them for every process to read what changed."""
        await asyncio.to_thread(self.begin_authority_roll)
        await asyncio.sleep(pause_seconds)
        await asyncio.to_thread(self.switch_authority)
        await asyncio.sleep(pause_seconds)
        await asyncio.to_thread(self.drop_old_authorities)

    def renewal_time(self) -> datetime:
        """When the first certificate reaches half of its life."""
        shown = (self.certificate(identity) for identity in self.identities)
        return min(_half_life(certificate) for certificate in shown if certificate)

    def directory(self, identity: str) -> Path:
        """The folder with certificate.pem, key.pem and authorities.pem of `identity`."""
        return self.folder / identity

    @property
    def sds_folder(self) -> Path:
        """The folder with Envoy's SDS files."""
        return self.folder / "envoy"

    def certificate(self, identity: str) -> x509.Certificate | None:
        """The certificate that `identity` shows now; None when it has none."""
        path = self.directory(identity) / "certificate.pem"
        return x509.load_pem_x509_certificate(path.read_bytes()) if path.exists() else None

    def authorities_pem(self) -> str:
        """All trusted authorities, one PEM after the other."""
        return "".join(_pem(authority.certificate) for authority in self._authorities())

    # The authority

    @property
    def _authority_folder(self) -> Path:
        path = self.folder / "authority"
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def _authorities(self) -> list[Authority]:
        return [_load_authority(path) for path in sorted(self._authority_folder.glob("*.pem"))]

    def _issuer(self) -> Authority:
        authorities = self._authorities()
        current = self._authority_folder / "current"
        serial = current.read_text().strip() if current.exists() else ""
        for authority in authorities:
            if authority.serial == serial:
                return authority
        if not authorities:
            raise StackError(
                f"There is no certificate authority in {self._authority_folder}. Run `hazina up` once."
            )
        return authorities[-1]

    def _add_authority(self, now: datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hazina local authority")])
        public = key.public_key()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATE)
            .not_valid_after(now + AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(sign_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(key, hashes.SHA256())
        )
        authority = Authority(certificate, key)
        # Names sort by age: the number of authorities ever made here, then the serial.
        number = 1 + max(
            (int(path.name.split("-")[0]) for path in self._authority_folder.glob("*.pem")),
            default=0,
        )
        stem = self._authority_folder / f"{number:06d}-{authority.serial}"
        write_atomically(stem.with_suffix(".key"), _key_pem(key), mode=0o600)
        write_atomically(stem.with_suffix(".pem"), _pem(certificate))
        if number == 1:
            write_atomically(self._authority_folder / "current", authority.serial + "\n")

    # Leaves

    def _is_due(self, identity: str, now: datetime) -> bool:
        certificate = self.certificate(identity)
        if certificate is None:
            return True
        if now >= _half_life(certificate):
            return True
        if certificate.issuer != self._issuer().certificate.subject:
            return True
        return (self.directory(identity) / "authorities.pem").read_text() != self.authorities_pem()

    def _issue(self, identity: str, now: datetime) -> None:
        issuer = self._issuer()
        key = ec.generate_private_key(ec.SECP256R1())
        names = ["localhost", identity]
        if identity == "mesh":
            # Health is asked with the service's name as authority, and clients check TLS against that name.
            names += [name for name in self.identities if name in SERVICES]
        if identity == "edge":
            names += self.edge_names
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity)]))
            .issuer_name(issuer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATE)
            .not_valid_after(now + LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(sign_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName(
                    [
                        x509.UniformResourceIdentifier(spiffe_id(identity)),
                        *(x509.DNSName(name) for name in dict.fromkeys(names)),
                        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                        x509.IPAddress(ipaddress.ip_address("::1")),
                    ]
                ),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
                critical=False,
            )
            .sign(issuer.key, hashes.SHA256())
        )
        self._publish(identity, _pem(certificate), _key_pem(key))

    def _publish(self, identity: str, certificate_pem: str, key_pem: str) -> None:
        """Write a version of its own, then swap the link; the version before stays for readers under way."""
        versions = self.folder / "versions"
        versions.mkdir(parents=True, exist_ok=True, mode=0o700)
        version = versions / f"{identity}-{os.urandom(8).hex()}"
        version.mkdir(mode=0o700)
        write_atomically(version / "certificate.pem", certificate_pem)
        write_atomically(version / "key.pem", key_pem, mode=0o600)
        write_atomically(version / "authorities.pem", self.authorities_pem())
        link = self.directory(identity)
        before = link.resolve() if link.is_symlink() else None
        temporary = versions / f".{version.name}.link"
        temporary.symlink_to(Path("versions") / version.name)
        os.replace(temporary, link)
        for old in versions.glob(f"{identity}-*"):
            if old != version and old.resolve() != before:
                shutil.rmtree(old, ignore_errors=True)

    def _republish_authorities(self) -> None:
        for identity in self.identities:
            directory = self.directory(identity)
            self._publish(
                identity,
                (directory / "certificate.pem").read_text(),
                (directory / "key.pem").read_text(),
            )
        self._write_sds()

    # Envoy

    def _write_sds(self) -> None:
        self.sds_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for identity in ENVOY_IDENTITIES:
            if identity in self.identities:
                directory = self.directory(identity).resolve()
                secret = {
                    "name": identity,
                    "tls_certificate": {
                        "certificate_chain": {
                            "inline_string": (directory / "certificate.pem").read_text()
                        },
                        "private_key": {"inline_string": (directory / "key.pem").read_text()},
                    },
                }
                self._write_secret(identity, secret)
        trusted = {"trusted_ca": {"inline_string": self.authorities_pem()}}
        self._write_secret("authorities", {"name": "authorities", "validation_context": trusted})

    def _write_secret(self, name: str, secret: Mapping[str, object]) -> None:
        resource = {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            **secret,
        }
        text = json.dumps({"resources": [resource]}, indent=2) + "\n"  # JSON is YAML
        path = self.sds_folder / f"{name}.yaml"
        if not path.exists() or path.read_text() != text:
            write_atomically(path, text, mode=0o600)


def _half_life(certificate: x509.Certificate) -> datetime:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) / 2


def _load_authority(path: Path) -> Authority:
    key = serialization.load_pem_private_key(path.with_suffix(".key").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "we only ever write EC keys"
    return Authority(x509.load_pem_x509_certificate(path.read_bytes()), key)


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
