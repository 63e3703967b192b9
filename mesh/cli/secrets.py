"""`hazina keys` and `hazina certs`."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from cryptography import x509

from mesh.cli.screen import console, since, succeed, table
from mesh.stack import due, rendering
from mesh.stack.certificates import Certificates
from mesh.stack.environment import Stack
from mesh.stack.files import note_due
from mesh.stack.home import StackError
from mesh.stack.keys import TOKEN_LIFE_MAX, SigningKeys
from mesh.stack.ports import IDENTITIES

# Envoy takes a new file within two seconds, services look once a second, and tokens are verified from a set
# that is at most that old.
PUBLISH_SECONDS = 6.0


def show_keys() -> None:
    """List the signing keys."""
    keys = _keys(Stack.from_environment())
    shown = table("kid", "state", "since", "until")
    for key in keys.all():
        until = ""
        if key.state == "retired":
            until = f"{key.change_time + TOKEN_LIFE_MAX:%H:%M:%S} UTC"
        shown.add_row(key.kid, key.state.value, since(key.change_time.timestamp()), until)
    console.print(shown)


def rotate_keys() -> None:
    """All steps that can be taken now; the supervisor drops the old key when its last token has ended."""
    stack = Stack.from_environment()
    keys = _keys(stack)
    new = keys.publish_next()
    rendering.render_keys(stack)
    with console.status(f"{new.kid} is published; waiting until everyone has it"):
        time.sleep(PUBLISH_SECONDS)
    keys.activate_next()
    rendering.render_keys(stack)
    note_due(stack.home, _certificates(stack), keys)
    succeed(f"Tokens are now signed with {new.kid}.")
    console.print(
        f"[dim]The old key stays published for {TOKEN_LIFE_MAX.total_seconds() / 60:.0f} minutes, "
        "as long as tokens of its own live; the running mesh drops it then.[/]"
    )


def show_certificates() -> None:
    """List the certificates."""
    certificates = _certificates(Stack.from_environment())
    shown = table("identity", "URI", "issued", "valid until", "issuer's key")
    for identity in IDENTITIES:
        certificate = certificates.certificate(identity)
        if certificate is None:
            shown.add_row(identity, "[dim]none[/]")
            continue
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert issuer.key_identifier is not None, "we write it"
        shown.add_row(
            identity,
            " ".join(names.get_values_for_type(x509.UniformResourceIdentifier)),
            f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
            f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            issuer.key_identifier.hex()[:12],
        )
    console.print(shown)
    trusted = certificates.authorities_pem().count("BEGIN CERTIFICATE")
    console.print(f"[dim]{trusted} authorit{'y is' if trusted == 1 else 'ies are'} trusted.[/]")


def rotate_certificates(*, authority: bool) -> None:
    """New leaves; with `authority`, of a new authority, in three steps."""
    stack = Stack.from_environment()
    certificates = _certificates(stack)
    if authority:
        with console.status("Everyone learns to trust the new authority beside the old one"):
            certificates.begin_authority_roll()
            time.sleep(PUBLISH_SECONDS)
        with console.status("Everyone shows a certificate of the new authority"):
            certificates.switch_authority()
            time.sleep(PUBLISH_SECONDS)
        certificates.drop_old_authorities()
    else:
        certificates.rotate()
    note_due(stack.home, certificates, _keys(stack))
    assert not due.is_due(stack.home, datetime.now(UTC).timestamp()), (
        "what was just renewed is not due"
    )
    succeed(
        f"{len(IDENTITIES)} certificates are new{', and so is the authority' if authority else ''}."
    )


def _keys(stack: Stack) -> SigningKeys:
    keys = SigningKeys(stack.home.keys)
    if not keys.all():
        raise StackError(f"There are no keys in {stack.home.keys} yet. `hazina up` makes them.")
    return keys


def _certificates(stack: Stack) -> Certificates:
    certificates = Certificates(stack.home.certificates, IDENTITIES)
    if certificates.certificate("ops") is None:
        raise StackError(
            f"There are no certificates in {stack.home.certificates} yet. `hazina up` makes them."
        )
    return certificates
