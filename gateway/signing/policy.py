"""
What the gateway accepts as a signature: one allow-list, as data.

Everything that is not listed here is refused before any cryptography is done.
``verify.py`` reads these tables; ``docs/errors.md`` prints :class:`Reason`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gateway.edxml.package import C14N
from gateway.model import Standing

DS = "http://www.w3.org/2000/09/xmldsig#"
DSIG11 = "http://www.w3.org/2009/xmldsig11#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DS + "enveloped-signature"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
XADES_141 = "http://uri.etsi.org/01903/v1.4.1#"
"""Of the unsigned properties that came later, such as archive time-stamps."""
SIGNED_PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"
"""Type of the reference by which an XAdES signature covers its own properties."""

KIT_TRANSFORM = "http://www.w3.org/TR/xml-exc-c14n#"
"""Names no algorithm; the national kit writes it in all its packages, so nobody can verify them (domain §1.9)."""


class Reason(enum.StrEnum):
    """Why a verdict is as it is; stable, shown to senders and kept in the ledger."""

    VERIFIED = "signature.verified"
    NONE = "signature.none"
    """No signature at all."""
    FOREIGN_NAMESPACE = "signature.foreign_namespace"
    """The names of XML-DSig outside its namespace: the kit's form."""
    PLACEHOLDER = "signature.placeholder"
    """An empty element, the kit's placeholder, or a package whose canonical form is undefined (undeclared prefixes)."""
    NO_REGISTERED_CERTIFICATE = "signature.no_registered_certificate"
    """Well-formed and over this content, but the directory holds no certificate to judge it by."""
    STRUCTURE = "signature.structure"
    """Not the one form that is accepted: one ds:Signature, in the header, with nothing strange in it."""
    COMMENTS = "signature.comments"
    """Comments or processing instructions, which signatures do not cover."""
    REFERENCE = "signature.reference"
    """Not exactly one Reference to the whole document, or another than to an XAdES signature's own properties."""
    TRANSFORM = "signature.transform"
    """Transforms other than enveloped-signature, optionally followed by canonicalization."""
    ALGORITHM = "signature.algorithm"
    """A signature, digest or canonicalization algorithm that policy does not accept."""
    DIGEST_MISMATCH = "signature.digest_mismatch"
    """The content is not what was signed."""
    VALUE_MISMATCH = "signature.value_mismatch"
    """No registered certificate's key made this signature."""
    CERTIFICATE_NOT_REGISTERED = "signature.certificate_not_registered"
    """KeyInfo names certificates of which none is registered for the sender or the gateway."""
    CERTIFICATE_EXPIRED = "signature.certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "signature.certificate_not_yet_valid"
    CERTIFICATE_UNTRUSTED = "signature.certificate_untrusted"
    """Registered, but it does not chain to a configured anchor."""
    CERTIFICATE_USAGE = "signature.certificate_usage"
    """Not a certificate to sign documents with: a CA's, or its key usage says otherwise."""
    CERTIFICATE_REVOKED = "signature.certificate_revoked"
    """Revoked, or one of its issuers, at or before the moment of receipt."""
    REVOCATION_UNKNOWN = "signature.revocation_unknown"
    """Verified; whether the certificate was revoked is not known, and has to be here."""
    KEY_TOO_SMALL = "signature.key_too_small"
    """Fewer RSA bits than policy asks for, or a curve other than P-256, P-384, P-521."""


METHODS: dict[str, str] = {
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": "RSA_SHA256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": "RSA_SHA384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": "RSA_SHA512",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": "ECDSA_SHA256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": "ECDSA_SHA384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": "ECDSA_SHA512",
}
"""SignatureMethod URIs, with signxml's names for them. No HMAC: a public key would be its secret. No DSA, MD5, PSS."""

WEAK_METHODS: dict[str, str] = {DS + "rsa-sha1": "RSA_SHA1"}
"""Only where policy tolerates SHA-1, and then the verdict is ``valid_weak``."""

DIGESTS: dict[str, tuple[str, int]] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": ("sha256", 32),
    "http://www.w3.org/2001/04/xmldsig-more#sha384": ("sha384", 48),
    "http://www.w3.org/2001/04/xmlenc#sha512": ("sha512", 64),
}
"""DigestMethod URIs: hashlib's name, and the length of a value in bytes."""

WEAK_DIGESTS: dict[str, tuple[str, int]] = {DS + "sha1": ("sha1", 20)}

CANONICALIZATIONS: dict[str, C14N] = {c.value: c for c in C14N}
"""Without comments only: what a comment splits would be read differently from what was signed."""

PREFIXES_MAX = 16
"""Prefixes in an InclusiveNamespaces list; each costs a look-up per element."""
PREFIX_LIST_CHARACTERS_MAX = 512
NAMESPACES_IN_SCOPE_MAX = 64
"""Declarations around one element. Inclusive canonicalisation compares each with each at every element:
3,300 of them around 1,000 elements, which is 75 KB, cost libxml2 39 seconds."""
VALUE_CHARACTERS_MAX = 4096
"""Characters of a DigestValue or SignatureValue: RSA-16384 needs 2,732."""
KEY_INFO_CERTIFICATES_MAX = 10
CERTIFICATE_CHARACTERS_MAX = 64 * 1024
TOKENS_MAX = 4
TOKEN_CHARACTERS_MAX = 128 * 1024
CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})


@dataclass(frozen=True)
class SignaturePolicy:
    """What to accept from one sender."""

    accepted: frozenset[Standing]
    """Verdicts that let a package in. ``invalid`` cannot be among them."""
    tolerate_sha1: bool = False
    """Judge SHA-1, in signatures and certificates, as ``valid_weak`` instead of ``invalid``; samples of 2018 use it."""
    minimum_rsa_bits: int = 2048
    tolerate_rsa_1024: bool = False
    """Judge RSA keys from 1024 bits as ``valid_weak``; tokens of before 2014 hold such."""

    def __post_init__(self) -> None:
        if Standing.INVALID in self.accepted:
            raise ValueError("A policy cannot accept invalid signatures.")

    def method(self, uri: str | None) -> str | None:
        """signxml's name of an accepted SignatureMethod; ``None`` when it is refused."""
        known = METHODS | WEAK_METHODS if self.tolerate_sha1 else METHODS
        return known.get(uri or "")

    def digest(self, uri: str | None) -> tuple[str, int] | None:
        """hashlib's name and length in bytes of an accepted DigestMethod; ``None`` when it is refused."""
        known = DIGESTS | WEAK_DIGESTS if self.tolerate_sha1 else DIGESTS
        return known.get(uri or "")


def is_weak(method: str, digest: str) -> bool:
    """Whether a signature with these algorithm URIs is at most ``valid_weak``."""
    return method in WEAK_METHODS or digest in WEAK_DIGESTS
