# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and certificates of the control plane: one authority, made anew at every start."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshlab.settings import API_SERVICE_IP, CLUSTER_DOMAIN, NODE_IP, NODE_NAME

VALIDITY = datetime.timedelta(days=30)
CLOCK_SKEW = datetime.timedelta(hours=1)


class Identity(NamedTuple):
    """Whom a certificate speaks for: a user and groups of Kubernetes, and addresses if it is a server's."""

    user: str
    groups: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


MASTERS = "system:masters"

IDENTITIES = {
    "kube-apiserver": Identity(
        "kube-apiserver",
        addresses=(
            NODE_IP,
            API_SERVICE_IP,
            "127.0.0.1",
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{CLUSTER_DOMAIN}",
        ),
    ),
    "kubelet": Identity(f"system:node:{NODE_NAME}", ("system:nodes",), (NODE_IP, NODE_NAME)),
    "kube-apiserver-kubelet-client": Identity("kube-apiserver-kubelet-client", (MASTERS,)),
    "admin": Identity("kubernetes-admin", (MASTERS,)),
    "kube-controller-manager": Identity("system:kube-controller-manager"),
    "kube-scheduler": Identity("system:kube-scheduler"),
    "kube-proxy": Identity("system:kube-proxy"),
    # The lab does not put the node authorizer to the test.
    "node-agent": Identity(f"meshlab:node:{NODE_NAME}", (MASTERS,)),
    # A certificate for a ServiceAccount's user name: RBAC as shipped, and no token that has to be renewed.
    "coredns": Identity("system:serviceaccount:kube-system:coredns", ("system:serviceaccounts",)),
    "istiod": Identity(
        "system:serviceaccount:istio-system:istiod", ("system:serviceaccounts", "system:serviceaccounts:istio-system")
    ),
}
"""Every certificate of the lab, by the name of its files."""


def create(folder: Path) -> None:
    """Write to *folder* ca.{crt,key}, service-account.{pub,key}, and <name>.{crt,key} of each identity."""
    folder.mkdir(parents=True, exist_ok=True)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = authority_certificate(authority_key)
    write_key(folder / "ca.key", authority_key)
    (folder / "ca.crt").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    for name, identity in IDENTITIES.items():
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = issue(identity, key.public_key(), authority, authority_key)
        write_key(folder / f"{name}.key", key)
        (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    tokens = ec.generate_private_key(ec.SECP256R1())
    write_key(folder / "service-account.key", tokens)
    public = tokens.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "service-account.pub").write_bytes(public)


def authority_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Return the self-signed certificate of the authority."""
    name = distinguished_name("meshlab-ca", ())
    usage = key_usage(key_cert_sign=True, crl_sign=True)
    builder = certificate_builder(name, name, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def issue(
    identity: Identity,
    key: ec.EllipticCurvePublicKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """Return a certificate for *identity*, which serves as client and, where it has addresses, as server."""
    subject = distinguished_name(identity.user, identity.groups)
    builder = certificate_builder(subject, authority.subject, key)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(key_usage(digital_signature=True), critical=True)
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if identity.addresses:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        names = x509.SubjectAlternativeName(map(general_name, identity.addresses))
        builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return builder.add_extension(identifier, critical=False).sign(authority_key, hashes.SHA256())


def distinguished_name(user: str, groups: Iterable[str]) -> x509.Name:
    """Return the name by which Kubernetes reads a user (CN) and groups (O)."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def certificate_builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """Return a builder with what all certificates have in common."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALIDITY)
    )


def key_usage(**wanted: bool) -> x509.KeyUsage:
    """Return a key usage extension with only the *wanted* uses."""
    uses = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**uses, **wanted})


def general_name(address: str) -> x509.GeneralName:
    """Return *address* as the subject alternative name of its type."""
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a private key that only its owner can read."""
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
