"""The certificates' promises: one URI SAN, one day, renewed at half of it, pairs that belong together."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mesh.stack.certificates import Certificates

NOW = datetime.now(UTC)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    made = Certificates(tmp_path / "certificates")
    made.prepare(now=NOW)
    return made


def san(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def shown(certificates: Certificates, identity: str) -> x509.Certificate:
    certificate = certificates.certificate(identity)
    assert certificate is not None
    return certificate


def pair_matches(directory: Path) -> bool:
    certificate = x509.load_pem_x509_certificate((directory / "certificate.pem").read_bytes())
    key = serialization.load_pem_private_key((directory / "key.pem").read_bytes(), None)
    return certificate.public_key() == key.public_key()


def test_every_identity_has_exactly_one_uri_san(certificates: Certificates) -> None:
    for identity in certificates.identities:
        uris = san(shown(certificates, identity)).get_values_for_type(
            x509.UniformResourceIdentifier
        )
        assert uris == [f"spiffe://hazina/{identity}"]


def test_a_leaf_lives_a_day_and_answers_to_localhost(certificates: Certificates) -> None:
    leaf = shown(certificates, "wallet")
    assert leaf.not_valid_after_utc - NOW.replace(microsecond=0) <= timedelta(hours=24, seconds=1)
    assert {"localhost", "wallet"} <= set(san(leaf).get_values_for_type(x509.DNSName))


def test_the_mesh_certificate_answers_to_every_services_name(certificates: Certificates) -> None:
    names = san(shown(certificates, "mesh")).get_values_for_type(x509.DNSName)
    assert {"auth", "wallet", "payments", "groups", "comms"} <= set(names)


def test_keys_are_for_their_owner_only(certificates: Certificates) -> None:
    for key in certificates.folder.rglob("*key*"):
        assert key.stat().st_mode & 0o077 == 0


def test_preparing_again_changes_nothing_before_half_life(certificates: Certificates) -> None:
    before = shown(certificates, "wallet").serial_number
    certificates.prepare(now=NOW + timedelta(hours=11))
    assert shown(certificates, "wallet").serial_number == before


def test_preparing_after_half_life_renews(certificates: Certificates) -> None:
    before = shown(certificates, "wallet").serial_number
    certificates.prepare(now=NOW + timedelta(hours=12, minutes=1))
    assert shown(certificates, "wallet").serial_number != before


def test_certificate_and_key_always_belong_together(certificates: Certificates) -> None:
    resolved_before = certificates.directory("wallet").resolve()
    certificates.rotate(now=NOW)
    assert pair_matches(certificates.directory("wallet"))
    assert pair_matches(resolved_before), "a reader under way still finds the pair it resolved"


def test_old_versions_do_not_pile_up(certificates: Certificates) -> None:
    for _ in range(4):
        certificates.rotate(now=NOW)
    assert len(list((certificates.folder / "versions").glob("wallet-*"))) == 2


def test_envoy_gets_certificate_and_key_in_one_secret(certificates: Certificates) -> None:
    for identity in ("edge", "mesh"):
        document = json.loads((certificates.sds_folder / f"{identity}.yaml").read_text())
        (secret,) = document["resources"]
        assert secret["name"] == identity
        assert set(secret["tls_certificate"]) == {"certificate_chain", "private_key"}
    (trusted,) = json.loads((certificates.sds_folder / "authorities.yaml").read_text())["resources"]
    assert (
        trusted["validation_context"]["trusted_ca"]["inline_string"]
        == certificates.authorities_pem()
    )


def test_a_new_authority_is_trusted_before_it_issues_and_the_old_one_until_all_have_changed(
    certificates: Certificates,
) -> None:
    old = (
        shown(certificates, "wallet")
        .extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        .value
    )

    certificates.begin_authority_roll(now=NOW)
    both = (certificates.directory("auth") / "authorities.pem").read_text()
    assert both.count("BEGIN CERTIFICATE") == 2
    certificates.rotate(now=NOW)
    leaf = shown(certificates, "wallet")
    assert leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value == old

    certificates.switch_authority(now=NOW)
    leaf = shown(certificates, "wallet")
    assert leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value != old
    assert (certificates.directory("auth") / "authorities.pem").read_text() == both

    certificates.drop_old_authorities()
    (only,) = x509.load_pem_x509_certificates(
        (certificates.directory("auth") / "authorities.pem").read_bytes()
    )
    leaf.verify_directly_issued_by(only)
