# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and kubeconfigs."""

from __future__ import annotations

import base64
import json
import ssl

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from meshlab import kubeconfig, pki
from meshlab.settings import Folders


@pytest.fixture
def made(lab_folders: Folders) -> Folders:
    lab_folders.state.mkdir()
    pki.create(lab_folders.pki)
    return lab_folders


def certificate(folders: Folders, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folders.pki / f"{name}.crt").read_bytes())


@pytest.mark.parametrize("name", pki.IDENTITIES)
def test_the_authority_signs_every_certificate(made: Folders, name: str) -> None:
    certificate(made, name).verify_directly_issued_by(certificate(made, "ca"))
    ssl.create_default_context().load_cert_chain(made.pki / f"{name}.crt", made.pki / f"{name}.key")


def test_a_user_and_its_groups_are_in_the_subject(made: Folders) -> None:
    subject = certificate(made, "istiod").subject
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [
        "system:serviceaccount:istio-system:istiod"
    ]
    assert sorted(a.value for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)) == [
        "system:serviceaccounts",
        "system:serviceaccounts:istio-system",
    ]


def test_the_api_server_is_reached_by_loopback_service_and_name(made: Folders) -> None:
    names = certificate(made, "kube-apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["10.9.0.1", "10.96.0.1", "127.0.0.1"]
    assert "kubernetes.default.svc.cluster.local" in names.get_values_for_type(x509.DNSName)


def test_only_servers_may_serve(made: Folders) -> None:
    def purposes(name: str) -> set[x509.ObjectIdentifier]:
        return set(certificate(made, name).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)

    assert purposes("kubelet") == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    assert purposes("admin") == {ExtendedKeyUsageOID.CLIENT_AUTH}


def test_keys_are_private(made: Folders) -> None:
    assert {path.stat().st_mode & 0o777 for path in made.pki.glob("*.key")} == {0o600}


def test_people_and_programs_use_different_ways_to_the_api_server(made: Folders) -> None:
    kubeconfig.create(made)

    def read(path):
        return json.loads(path.read_text())

    people, program = read(made.kubeconfig), read(made.pki / "kube-scheduler.kubeconfig")
    assert people["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:16443"
    assert program["clusters"][0]["cluster"]["server"] == "https://10.9.0.1:6443"
    embedded = base64.b64decode(people["users"][0]["user"]["client-certificate-data"])
    assert embedded == (made.pki / "admin.crt").read_bytes()
    assert made.kubeconfig.stat().st_mode & 0o777 == 0o600
