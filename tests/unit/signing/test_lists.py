"""A CRL that is taken apart once: what is looked up is what stands there; the signature is the whole list's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asn1crypto import core, crl

from gateway.signing.keys import known
from gateway.signing.trust import Revocation, RevocationFacts, RevocationMode, TrustAnchors, read_item
from gateway.signing.trust.lists import OpenedList
from tests.support import pki

DAY = timedelta(days=1)


def serial(number: int) -> bytes:
    der: bytes = core.Integer(number).dump()
    return der


def numbers(der: bytes) -> list[int]:
    listed = crl.CertificateList.load(der, strict=True)["tbs_cert_list"]["revoked_certificates"]
    return [entry["user_certificate"].native for entry in listed]


@pytest.mark.parametrize("count", [0, 1, 2, 3000])
def test_what_is_looked_up_is_what_stands_in_the_list(count: int) -> None:
    listed = {n * 7 + 1: (pki.NOW - DAY, None) for n in range(count)}
    whole = pki.crl(revoked=listed)
    opened = OpenedList(whole)
    for number in [*list(listed)[:: max(count // 5, 1)], 3, 2**150]:
        assert numbers(opened.about(serial(number))) == ([number] if number in listed else [])
    assert numbers(opened.bare) == []
    bare, full = (crl.CertificateList.load(der) for der in (opened.bare, whole))
    for name in ("version", "signature", "issuer", "this_update", "next_update", "crl_extensions"):
        assert bare["tbs_cert_list"][name].dump() == full["tbs_cert_list"][name].dump()
    assert bare["signature"].dump() == full["signature"].dump()


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1])
def test_what_is_no_list_in_der_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="DER"):
        OpenedList(pki.crl(revoked={5: (pki.NOW, None)})[:cut])


def test_an_entry_that_was_changed_spoils_what_the_list_says_of_all_others() -> None:
    ours = pki.agency().certificate
    whole = pki.crl(revoked={0x1122334455667788: (pki.NOW - DAY, None), ours.serial_number: (pki.NOW - DAY, None)})
    changed = whole.replace(bytes.fromhex("1122334455667788"), bytes.fromhex("1122334455667789"))
    root = read_item(pki.crl(pki.root()), source="root")
    found = [
        TrustAnchors(
            [pki.root().certificate],
            [pki.intermediate().certificate],
            mode=RevocationMode.IF_KNOWN,
            facts=RevocationFacts([root, read_item(der, source="list")]),
        )
        .judge(known(ours), at=pki.NOW)
        .revocation
        for der in (whole, changed)
    ]
    assert found == [Revocation.REVOKED, Revocation.UNKNOWN]
