"""One form of XAdES: written, read back to the byte, and refused in any other."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable

import pytest
from lxml import etree

from gateway.errors import EvidenceInvalid
from gateway.evidence.container import ENTRIES_MAX, NAME_MAX
from gateway.signing import xades
from gateway.signing.keys import SigningKey
from gateway.signing.xades import Reference
from tests.support import pki

KEYS: dict[str, Callable[[], SigningKey]] = {
    "p256": pki.gateway,
    "rsa": pki.agency,
    "p384": lambda: pki.agency_of_curve("secp384r1"),
    "p521": lambda: pki.agency_of_curve("secp521r1"),
}


def references(count: int = 2, name: str = "page.vi.html") -> list[Reference]:
    return [
        Reference(uri=f"{n}{name}", digest=hashlib.sha256(b"%d" % n).digest(), media_type="text/html")
        for n in range(count)
    ]


GOOD = xades.sign(references(), pki.gateway(), at=pki.NOW)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("token", [None, b"token"])
def test_what_is_written_is_read_and_fits_its_key_alone(key: Callable[[], SigningKey], token: bytes | None) -> None:
    made = xades.sign(references(), key(), at=pki.NOW)
    made = made if token is None else made.stamped(token)
    found = xades.read(made.render())
    assert found == made
    found.check(key().certificate)
    with pytest.raises(EvidenceInvalid):
        found.check(pki.agency_ec().certificate)


def test_it_is_written_canonically_and_signs_what_canonicalisation_makes() -> None:
    raw = GOOD.render()
    root = etree.fromstring(raw)
    assert etree.tostring(root, method="c14n", exclusive=True) == raw
    signed_info = root.find("{*}SignedInfo")
    assert etree.tostring(signed_info, method="c14n", exclusive=True) == GOOD.to_be_signed()
    properties = root.find(".//{*}SignedProperties")
    digest = hashlib.sha256(etree.tostring(properties, method="c14n", exclusive=True)).digest()
    assert root.findall(".//{*}DigestValue")[2].text == b64encode(digest).decode()


def test_names_and_types_are_escaped() -> None:
    odd = Reference(uri='a&b<"c>', digest=bytes(32), media_type="a<b>&c")
    made = xades.sign([odd], pki.gateway(), at=pki.NOW)
    assert xades.read(made.render()).references == (odd,)


def test_the_signature_of_the_largest_container_can_be_read() -> None:
    made = xades.sign(references(ENTRIES_MAX, name="x" * (NAME_MAX - 4)), pki.gateway(), at=pki.NOW)
    assert xades.read(made.render()) == made


@pytest.mark.parametrize(
    "change",
    [
        lambda s: b"",
        lambda s: b"<a/>",
        lambda s: b"<" * 100,
        lambda s: s + b"\n",
        lambda s: s.replace(b"Id=", b" Id=", 1),
        lambda s: s.replace(b"<ds:KeyInfo>", b"<ds:KeyInfo><!-- -->"),
        lambda s: s.replace(b"2026-03-05T07:30:00Z", b"2026-03-05T07:30:00.0Z"),
        lambda s: s.replace(b"2026-03-05T07:30:00Z", b"yesterday"),
        lambda s: s.replace(b"</ds:Object>", b"</ds:Object><ds:Object></ds:Object>"),
        lambda s: s.replace(b'URI="0page', b'URI="9page'),
        lambda s: s.replace(b"<xades:MimeType>text/html", b"<xades:MimeType>text/xml", 1),
        lambda s: s.replace(b"<ds:SignatureValue>", b"<ds:SignatureValue>=="),
        lambda s: s.replace(b"ecdsa-sha256", b"rsa-sha1"),
        lambda s: b'<!DOCTYPE a [<!ENTITY b "c">]>' + s,
        lambda s: s + b" " * xades.BYTES_MAX,
    ],
)
def test_any_other_form_or_value_is_refused_by_name(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(EvidenceInvalid):
        xades.read(change(GOOD.render())).check(pki.gateway().certificate)
